"""What is checked before Hydra acts on a configuration: that no YAML runs code, and that no secret is given as a value.

Hydra instantiates callbacks, launcher, sweeper and logging handlers by itself, from the same YAML files.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

SECRET = re.compile(r"(?i)(api_?key|access_?key|token|secret|password|passwd|credential)s?$")
SHORTEST_SECRET = 8
"""Characters; a shorter value of such a variable is taken for a word."""

TARGETS = ("its.run.job.Closing", "hydra._internal.core_plugins.", "hydra_plugins.its_launcher.")
HANDLERS = ("logging.", "colorlog.")
FLAGS = ("--config-dir", "-cd", "--config-path", "-cp", "--config-name", "-cn", "--experimental-rerun")


def check_command_line(arguments: Sequence[str], conf: Path) -> None:
    """Refuse a command line, or the configuration it composes, that breaks a rule.

    What does not compose is left to Hydra, which says why.

    Raises:
        ValueError: a secret as a value, a flag that swaps the configuration, or a target of Hydra's own that is not
            known.
    """
    for argument in arguments:
        if argument.split("=")[0] in FLAGS:
            raise ValueError(
                f"{argument} is not supported; add a folder of your own with hydra.searchpath=[file://...]"
            )
    overrides = [argument for argument in arguments if not argument.startswith("-")]
    for override in overrides:
        check_key(override.split("=", 1)[0].lstrip("+~"))
    check_values(list(arguments))
    try:
        with initialize_config_dir(str(conf), version_base=None):
            config = compose("config", list(_single(overrides)), return_hydra_config=True)
        plain: Any = OmegaConf.to_container(config, resolve=False)
    except (HydraException, OmegaConfBaseException):
        return
    own = [str(key) for key in plain if key != "hydra"]
    check_keys({key: plain[key] for key in own})
    check_hydra(plain["hydra"])
    check_values(plain)
    with suppress(OmegaConfBaseException):  # the job says why
        check_values(OmegaConf.to_container(OmegaConf.masked_copy(config, own), resolve=True))


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


def check_values(node: Any, environment: Mapping[str, str] = os.environ, path: str = "") -> None:
    """Refuse a value anywhere below a node that is, or holds, what a variable with a secret's name holds."""
    if isinstance(node, str):
        for name, secret in environment.items():
            if SECRET.search(name) and len(secret) >= SHORTEST_SECRET and secret in node:
                raise ValueError(
                    f"{path or 'a value'} holds what the environment's {name} holds, and configurations "
                    "are written to disk; take it out"
                )
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        check_values(value, environment, f"{path}.{key}".lstrip("."))


def check_hydra(node: dict[str, Any]) -> None:
    """Refuse targets and handlers of Hydra's own that are not known."""
    for path, key, value in _entries(node):
        name = str(value)
        if key == "_target_" and not any(
            name == known or (known.endswith(".") and name.startswith(known)) for known in TARGETS
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


def _single(overrides: Sequence[str]) -> Iterator[str]:
    """Overrides with the first value of every sweep."""
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        if override.is_sweep_override():
            yield f"{override.get_key_element()}={next(iter(override.sweep_string_iterator()))}"
        else:
            yield str(override.input_line)
