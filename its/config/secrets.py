"""Secrets: they are given in the environment of a process, and never as a value of a configuration.

A configuration is written to disk, printed, and told to trackers. So a key with a secret's name is refused, a URL with
a password, and a value that is or holds, as a whole word, what a variable with a secret's name holds.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from its.process.source_tree import ROOT

KEY = re.compile(r"(?i)(api_?key|access_?key|token|secret|password|passwd|credential)s?$")
OPTION = re.compile(
    r"(?i)((max|min|num|n)_([a-z]+_)*tokens"
    r"|((use|add|has|with|no)_)?(cls|class|dist|reg|register|mask|pad|padding|bos|eos|sep|unk|image|prefix)_tokens?)$"
)
"""Keys that end as a secret's do and are options of networks."""

VARIABLE = re.compile(
    r"(?i)KEY|TOKEN|SECRET|PASS|CREDENTIAL|WEBHOOK|COOKIE|PRIVATE|BEARER|JWT|CONN(ECTION)?_?STR"
    r"|(^|_)(PAT|DSN|O?AUTH|SAS|SIGNATURE)(_|$)|_(PWD|PSK)$"
)
URL = re.compile(r"(?i)\b[a-z][a-z0-9+.-]*://[^\s/?#@:]*:(?P<password>[^\s/?#@]+)@[^\s/?#]+")
QUERY = re.compile(r"(?i)://\S*[?&]([\w-]*[_-])?(api|access)?(key|token|secret|password|signature|sig)=[^&\s]")

SHORTEST, SHORTEST_MIXED = 8, 6
"""Characters of a secret: of any, and of one in which letters and digits are mixed; a shorter value is a word."""


def is_secret(variable: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether an environment variable has a secret's name or holds a URL with a password."""
    return bool(VARIABLE.search(variable) or URL.search(environment.get(variable, "")))


def check_key(key: str) -> None:
    """Refuse a key that names a secret.

    Raises:
        ValueError: naming it.
    """
    last = re.split(r"[./@:]", key)[-1]
    if KEY.search(last) and not OPTION.fullmatch(last):
        raise ValueError(
            f"{key} looks like a secret, and configurations are written to disk; put it into the "
            "environment of the process instead"
        )


def check_keys(node: Any) -> None:
    """Refuse keys that name secrets anywhere below a node."""
    for key, value in _entries(node):
        check_key(str(key))
        check_keys(value)


def check_secrets(node: Any, environment: Mapping[str, str] = os.environ, path: str = "") -> None:
    """Refuse keys and values anywhere below a node that are secrets or hold one.

    Raises:
        ValueError: naming the value's place and the variable, never the secret.
    """
    secrets = [*secrets_of(environment)]
    for where, text in _texts(node, path):
        place = where or "a value"
        if URL.search(text) or QUERY.search(text):
            raise ValueError(
                f"{place} is a URL with a password or a key in it, and configurations are written to disk; take it out"
            )
        for variable, secret in secrets:
            if secret in text and _word(secret).search(text) and not _is_path(text) and not _is_ours(secret):
                raise ValueError(
                    f"{place.replace(secret, '...')} holds what the environment's {variable} holds, and configurations "
                    "are written to disk; take it out"
                )


def without_secrets(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return a text, such as an error of another library, with names of variables in place of what they keep secret."""
    for variable, secret in sorted(secrets_of(environment), key=lambda found: -len(found[1])):
        text = f"<{variable}>".join(_word(secret).split(text))
    return URL.sub(lambda url: url[0].replace(url["password"], "..."), text)


def secrets_of(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the name of each variable that holds a secret, and the secret; paths and common words are none."""
    for variable, value in environment.items():
        found = [value.strip()] if VARIABLE.search(variable) else []
        for url in URL.finditer(value):
            found += [url.group(), url["password"], unquote(url["password"])]
        for secret in dict.fromkeys(found):
            mixed = re.search(r"\d", secret) and re.search(r"[^\W\d_]", secret)
            if len(secret) >= (SHORTEST_MIXED if mixed else SHORTEST) and not _is_path(secret):
                yield variable, secret


def _texts(node: Any, path: str) -> Iterator[tuple[str, str]]:
    """Every key and value below a node as text, with its place."""
    if isinstance(node, str) or (isinstance(node, int | float) and not isinstance(node, bool)):
        yield path, str(node)
    for key, value in _entries(node):
        below = f"{path}.{key}".lstrip(".")
        yield below, str(key)
        yield from _texts(value, below)


def _entries(node: Any) -> Iterator[tuple[Any, Any]]:
    """Keys and values of a mapping, numbers and values of a list, and nothing of anything else."""
    if isinstance(node, Mapping):
        yield from node.items()
    elif isinstance(node, list | tuple):
        yield from enumerate(node)


def _word(secret: str) -> re.Pattern[str]:
    """A pattern of `secret` with neither letter nor digit before or after it."""
    before, after = (r"(?<![^\W_])" if secret[0].isalnum() else ""), (r"(?![^\W_])" if secret[-1].isalnum() else "")
    return re.compile(before + re.escape(secret) + after)


def _is_path(text: str) -> bool:
    """Whether something lies at a path; one may be written as an entry of `hydra.searchpath`."""
    try:
        return os.path.lexists(Path(text.strip("[]'\"").removeprefix("file://")).expanduser())
    except (OSError, RuntimeError, ValueError):  # no path at all
        return False


def _is_ours(secret: str) -> bool:
    """Whether the word stands in our own configurations, and so is none that somebody keeps."""
    return any(_word(secret).search(file.read_text(encoding="utf-8")) for file in (ROOT / "conf").rglob("*.yaml"))
