"""Checks of a command line before Hydra acts on it: no YAML runs code, and no secret is given as a value.

Hydra instantiates callbacks, launcher, sweeper and logging handlers by itself, from the same YAML files.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from its.config.composed import compose_whole, first_values
from its.config.names import current_word

SECRET = re.compile(r"(?i)(api_?key|access_?key|token|secret|password|passwd|credential)s?$")
SHORTEST_SECRET = 8
"""Characters; a shorter value of a variable with a secret's name is taken for a word."""

TARGETS = ("its.run.job.Closing", "hydra._internal.core_plugins.", "hydra_plugins.its_launcher.")
HANDLERS = ("logging.", "colorlog.")
FLAGS = ("--config-dir", "-cd", "--config-path", "-cp", "--config-name", "-cn", "--experimental-rerun")


def check_command_line(arguments: Sequence[str]) -> None:
    """Refuse a command line, or the configuration it composes, that breaks a rule.

    A configuration that does not compose is left to Hydra, which says why.

    Raises:
        ValueError: a secret as a value, a flag that swaps the configuration, or a target of Hydra's own that is not
            known.
    """
    # The words themselves.
    for argument in arguments:
        if argument.split("=")[0] in FLAGS:
            raise ValueError(
                f"{argument} is not supported; add a folder of your own with hydra.searchpath=[file://...]"
            )
    overrides = [argument for argument in arguments if not argument.startswith("-")]
    for override in overrides:
        check_key(override.split("=", 1)[0].lstrip("+~"))
        if current_word(override) != override:
            raise ValueError(f"{override} has another name now; write {current_word(override)}")
    check_secrets(list(arguments))

    # The configuration that they compose.
    try:
        config = compose_whole(first_values(overrides))
        plain: Any = OmegaConf.to_container(config, resolve=False)
    except (HydraException, OmegaConfBaseException):
        return
    keys = [str(key) for key in plain if key != "hydra"]
    check_keys({key: plain[key] for key in keys})
    check_hydra(plain["hydra"])
    check_secrets(plain)
    with suppress(OmegaConfBaseException):  # the job says why
        check_secrets(OmegaConf.to_container(OmegaConf.masked_copy(config, keys), resolve=True))


def check_key(key: str) -> None:
    """Refuse a key that names a secret."""
    last = key.rsplit(".", 1)[-1].rsplit("/", 1)[-1]
    if SECRET.search(last) and last != "cls_token":
        raise ValueError(
            f"{key} looks like a secret, and configurations are written to disk; put it into the "
            "environment of the process instead"
        )


def check_keys(node: Any) -> None:
    """Refuse secrets anywhere below a node."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        check_key(str(key))
        check_keys(value)


def check_secrets(node: Any, environment: Mapping[str, str] = os.environ, path: str = "") -> None:
    """Refuse a value anywhere below a node that contains the value of an environment variable with a secret's name."""
    if isinstance(node, str):
        for name, secret in environment.items():
            if SECRET.search(name) and len(secret) >= SHORTEST_SECRET and secret in node:
                raise ValueError(
                    f"{path or 'a value'} holds what the environment's {name} holds, and configurations "
                    "are written to disk; take it out"
                )
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        check_secrets(value, environment, f"{path}.{key}".lstrip("."))


def check_hydra(node: dict[str, Any]) -> None:
    """Refuse targets and handlers of Hydra's own that are not known."""
    for path, key, value in _entries(node):
        name = str(value)
        if key == "_target_" and not any(
            name == target or (target.endswith(".") and name.startswith(target)) for target in TARGETS
        ):
            raise ValueError(f"{path} is {name!r}; a YAML may not make Hydra run it: take it out")
        logs = path.startswith(("hydra.job_logging", "hydra.hydra_logging"))
        if logs and (key == "()" or (key in ("class", "stream") and not name.startswith((*HANDLERS, "ext://sys.std")))):
            raise ValueError(f"{path} is {name!r}; logging may use handlers of {' and '.join(HANDLERS)} only")


def _entries(node: Any, path: str = "hydra") -> Iterator[tuple[str, str, Any]]:
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield f"{path}.{key}", str(key), value
        yield from _entries(value, f"{path}.{key}")
