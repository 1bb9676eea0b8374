"""Composing: from the words of a command line to a configuration. Nothing else calls Hydra's compose."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from hydra import compose, initialize_config_dir
from hydra.conf import HydraConf
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

CONF = Path(__file__).parents[2] / "conf"


class Composed(NamedTuple):
    """One job's configuration.

    Attributes:
        config: without Hydra's own node.
        choices: the YAML chosen in each group.
        overrides: the words that were given, but for `out_dir`, which decides nothing.
    """

    config: DictConfig
    choices: dict[str, str]
    overrides: tuple[str, ...]


def composed(words: Sequence[str]) -> Composed:
    """Compose one job from the words of run.py; no word may be a sweep or a flag.

    Raises:
        HydraException: there is no such choice or key.
    """
    return without_hydra(compose_whole(words))


def composed_sweep(words: Sequence[str], *more: str) -> list[Composed]:
    """Compose every job that the words of run.py stand for, the axes of an experiment file included.

    Args:
        more: words that are added to every job.
    """
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    hydra = [word for word in words if word.startswith("hydra.searchpath=")]
    task = [word for word in words if not word.startswith(("hydra.", "hydra/", "-"))]
    axes = (compose_whole([*hydra, *first_values(task)]).hydra.sweeper.get("params") or {}).items()
    overrides = OverridesParser.create().parse_overrides([*(f"{key}={value}" for key, value in axes), *task])
    jobs = BasicSweeper.split_arguments(overrides, None)[0]
    return [composed([*hydra, *job, *more]) for job in jobs]


def compose_whole(words: Sequence[str]) -> DictConfig:
    """Compose with Hydra's own node below `hydra`."""
    with initialize_config_dir(str(CONF), version_base=None):
        return compose("config", list(words), return_hydra_config=True)


def without_hydra(config: DictConfig) -> Composed:
    """Take Hydra's own node out of a whole configuration."""
    keys = [str(key) for key in config if key != "hydra"]
    return of_job(OmegaConf.masked_copy(config, keys), config.hydra)


def of_job(config: DictConfig, hydra: HydraConf | DictConfig) -> Composed:
    """Put a job's configuration together with what Hydra's node says about it."""
    overrides = tuple(word for word in hydra.overrides.task if not word.startswith("out_dir="))
    return Composed(config, {str(group): str(choice) for group, choice in hydra.runtime.choices.items()}, overrides)


def first_values(words: Sequence[str]) -> list[str]:
    """Replace every sweep by its first value."""
    return [
        f"{override.get_key_element()}={next(iter(override.sweep_string_iterator()))}"
        if override.is_sweep_override()
        else str(override.input_line)
        for override in OverridesParser.create().parse_overrides(list(words))
    ]
