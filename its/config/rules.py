"""Rules of configurations as they are written: no YAML runs code, and no secret is given as a value.

Hydra makes callbacks, launcher, sweeper and log handlers by itself, from the same files. So the loader of
`its.config.composed` hands it no configuration that has not passed here, whoever asks for it and for which job. The
check sees what is written, before anything is resolved; targets and values of a job are checked again once they are, by
`Blueprint.of`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import OmegaConf

from its.config.hydra_node import check_hydra
from its.config.names import current_word
from its.config.plugins import KEY
from its.config.secrets import check_key, check_keys, check_secrets, is_secret

PROMPT = "prompt"
"""Key of a text that anybody may have written."""

FILLED_IN = re.compile(r"(?<!\\)(\\\\)*\$\{")
"""What begins an interpolation."""


def check_words(words: Sequence[str]) -> None:
    """Refuse words that name or hold a secret, a key by a name of before, or a prompt that would be filled in.

    Raises:
        ValueError: naming the key.
    """
    for word in words:
        key, _, value = word.partition("=")
        check_key(key.lstrip("+~"))
        check_secrets(value, path=key.lstrip("+~"))
        check_secrets(key)
        if key.lstrip("+~") == PROMPT and FILLED_IN.search(value):
            raise ValueError(f"{word} would be filled in from elsewhere, and a prompt is a text; write \\${{ for ${{")
        if current_word(word) != word:
            raise ValueError(f"{word} has another name now; write {current_word(word)}")


def check_configuration(
    plain: dict[str, Any], reference: Mapping[str, Any], words: Sequence[str], plugins: Sequence[str]
) -> None:
    """Refuse a whole configuration that breaks a rule.

    Args:
        plain: unresolved.
        reference: Hydra's own node as it is by default, unresolved.
        words: that it was composed of.
        plugins: that the command line lists.

    Raises:
        ValueError: a secret, plugins that the command line does not name, or an unknown entry of Hydra's node.
    """
    task = {key: value for key, value in plain.items() if key != "hydra"}
    settings = {key: value for key, value in plain["hydra"].items() if key != "overrides"}
    job = {key: value for key, value in settings["job"].items() if key != "override_dirname"}
    runtime = {"choices": settings["runtime"]["choices"]}
    check_keys(task)
    check_secrets({**task, "hydra": {**settings, "job": job, "runtime": runtime}})
    check_hydra(plain["hydra"], reference, words)
    if plain.get(KEY) != list(plugins):
        raise ValueError(
            f"{KEY} is {plain.get(KEY)} in a YAML or a sweep; whose code runs is said on the command line, "
            f"once: {KEY}=[...]"
        )


def restrict_resolvers() -> None:
    """Let no interpolation read an environment variable that holds a secret."""
    OmegaConf.register_new_resolver("oc.env", _environment, replace=True)


def _environment(variable: str, *default: str | None) -> str | None:
    from omegaconf.resolvers import oc

    if is_secret(variable):
        raise ValueError(
            f"${{oc.env:{variable}}} would put what the environment's {variable} holds into a configuration, and "
            "configurations are written to disk; take it out"
        )
    return oc.env(variable, *default)
