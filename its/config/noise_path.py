"""The noise path of a model as its configuration states it, so that a plan knows the grid. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from its.config import names
from its.config.declarations import parameters
from its.model.config_file import ConfigFile
from its.model.flow_scheduler import flux2_path, flux_path, qwen_path, sana_scheduler, sd3_path
from its.model.scheduler_entries import consistency_entries, entries, latent_path
from its.sampler.noise_paths import EDM, VP, Flow, NoisePath, betas_named, linear_vp
from its.sampler.published_paths import PublishedConsistency, PublishedFlow, TrigFlow
from its.weights import file_here

SCHEDULER = "scheduler_config.json"


class StatedPath(NamedTuple):
    """A noise path.

    Attributes:
        path: None where the configuration does not state it.
        missing: what is not known of it, in words; empty if nothing is.
    """

    path: NoisePath | None
    missing: str = ""


BETAS = "a second-order sampler leaves out times that are too noisy for it"

NOT_HERE = "the grid stands in a checkpoint that is not here"


def stated_path(model: Mapping[str, Any]) -> StatedPath:
    """Return the noise path that a model's node, or a checkpoint that it names and that is here, states."""
    target = str(model["_target_"])
    defaults = {key: each.default for key, each in parameters(target).items() if each.has_default}
    of = PATHS.get(names.recorded(target))
    if of is None:
        return StatedPath(None, f"the grid stands in {target}, which a plan does not run")
    return of({**defaults, **model})


def any_noise(steps: int) -> VP:
    """Return a path of so many training steps on which a sampling may begin anywhere; of its times no one is too noisy.

    It stands for one whose times are known alone.
    """
    return VP(tuple(np.linspace(0.15, 0.001, steps).tolist()))


def _of_pipeline(model: Mapping[str, Any]) -> StatedPath:
    """Return the times of a scheduler's file; its betas, which torch makes a table of, are left out."""
    path = file_here(model["weights"], SCHEDULER, f"scheduler/{SCHEDULER}")
    if path is None:
        return StatedPath(None, NOT_HERE)
    file = entries(path)
    return StatedPath(VP(_table(file), offset=file.get("steps_offset", 0)), BETAS)


def _of_latents(model: Mapping[str, Any]) -> StatedPath:
    """Return the times of the scheduler of a pipeline of latents, as `_of_pipeline` does."""
    path = file_here(model["weights"], f"scheduler/{SCHEDULER}")
    if path is None:
        return StatedPath(None, NOT_HERE)
    return StatedPath(latent_path(path, _table, model["timestep_spacing"])[1], BETAS)


def _of_flow(model: Mapping[str, Any], path_of: Callable[[Path, int], PublishedFlow]) -> StatedPath:
    """Return the path of a flow model's scheduler, by the tokens of an image, each of 16 pixels a side."""
    path = file_here(model["weights"], f"scheduler/{SCHEDULER}")
    return StatedPath(None, NOT_HERE) if path is None else StatedPath(path_of(path, (model["size"] // 16) ** 2))


def _of_sana(model: Mapping[str, Any]) -> StatedPath:
    """Return the path of SANA's scheduler."""
    path = file_here(model["weights"], f"scheduler/{SCHEDULER}")
    return StatedPath(None, NOT_HERE) if path is None else StatedPath(sana_scheduler(path).path)


def _of_lcm(model: Mapping[str, Any]) -> StatedPath:
    """Return the times of a latent consistency model's scheduler, as `_of_pipeline` does."""
    path = file_here(model["weights"], f"scheduler/{SCHEDULER}")
    if path is None:
        return StatedPath(None, NOT_HERE)
    file, origin = consistency_entries(path)
    return StatedPath(PublishedConsistency(_table(file), origin=origin), BETAS)


def _table(file: ConfigFile) -> tuple[float, ...]:
    return any_noise(file.needed("num_train_timesteps")).alphas_cumprod


PATHS: Mapping[str, Callable[[Mapping[str, Any]], StatedPath]] = {
    "model/dit": lambda model: StatedPath(linear_vp()),
    "model/edm": lambda model: StatedPath(
        EDM(sigma_min=model["sigma_min"], sigma_max=model["sigma_max"], rho=model["rho"])
    ),
    "model/flux": lambda model: _of_flow(model, flux_path),
    "model/flux2": lambda model: _of_flow(model, flux2_path),
    "model/lcm": _of_lcm,
    "model/lightningdit": lambda model: StatedPath(Flow(shift=model["shift"])),
    "model/mixture": lambda model: StatedPath(Flow() if model["path"] == "flow" else linear_vp()),
    "model/openai": lambda model: StatedPath(betas_named(model["betas"], model["steps"])),
    "model/pixart_sigma": _of_latents,
    "model/qwen_image": lambda model: _of_flow(model, qwen_path),
    "model/rae": lambda model: StatedPath(Flow(shift=model["shift"], end=model["end"])),
    "model/sana": _of_sana,
    "model/sana_sprint": lambda model: StatedPath(TrigFlow()),
    "model/sd15": _of_latents,
    "model/sd35": lambda model: _of_flow(model, sd3_path),
    "model/sdxl": _of_latents,
    "model/sit": lambda model: StatedPath(Flow()),
    "model/unet2d": _of_pipeline,
    "model/z_image": lambda model: _of_flow(model, flux_path),
}
"""Noise paths by the recorded names of loaders."""
