"""The values of a finished run that a rendering takes over, and what must be the same here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from its.config.identity import differences, record
from its.config.instantiate import TARGET
from its.config.names import recorded
from its.config.unknown import resolved

UNGUIDED = "guidance/none"
"""The recorded class of no guidance."""

UNUSED = ("guidance", "guide")
"""Sections of a run whose search takes gradients, which play no part once its starting points are found."""


def plain_of(saved: Mapping[str, Any], config: DictConfig) -> dict[str, Any]:
    """Return the run's own values under those of the new sampler, of metrics, and of the place where it runs."""
    config = config.copy()
    OmegaConf.set_struct(config, False)
    for group in ("dataset", "model", "verifier"):
        config[group] = OmegaConf.merge(config[group], saved[group])
    for key in ("search", "budget", "seed", *UNUSED):
        if key in saved:
            config[key] = saved[key]
    return resolved(config)


def check_same(saved: Mapping[str, Any], plain: dict[str, Any]) -> None:
    """Refuse if the packages and weights here would make other images than the run's, or it was guided.

    Raises:
        ValueError: naming what differs.
    """
    if "guide" in saved and recorded(saved.get("guidance", {}).get(TARGET, "")) != UNGUIDED:
        raise ValueError(
            "the run was guided, and only unguided samplings are rendered again; choose a run with guidance=none, and "
            "a search that does not guide its steps itself"
        )
    saved = {key: value for key, value in saved.items() if key not in UNUSED}
    sections = {key: plain[key] for key in saved if key in plain}
    here = record({**sections, "dataset": {"images": plain["dataset"]["images"]}, "sampler": saved["sampler"]})
    other = differences({**here, "shard": saved["shard"]}, saved)
    if other:
        raise ValueError(
            f"{', '.join(other)} of the run cannot be had here as its config.yaml has it; restore the "
            "weights and the version that made it"
        )
