"""The noise path of a pipeline of latents, from its `scheduler_config.json`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

from its.model.scheduler_config import alphas_cumprod
from its.model.scheduler_entries import LATENT_CLASSES, SOLVERS, Prediction, consistency_entries, entries, spacing_of
from its.sampler.published_paths import PublishedConsistency, PublishedVP


class LatentScheduler(NamedTuple):
    """What a scheduler says of its network: the path that it was trained on, and the type of its output."""

    path: PublishedVP
    prediction: Prediction
    offset: int


class ConsistencyScheduler(NamedTuple):
    """What the scheduler of a latent consistency model says of its network; see `LatentScheduler`."""

    path: PublishedConsistency
    prediction: Prediction
    timestep_scaling: float


def read(path: Path, timestep_spacing: str | None = None) -> LatentScheduler:
    """Read a scheduler of the variance-preserving path; its steps are ours, and it is never stepped.

    Args:
        timestep_spacing: in place of the file's own, as where a distilled network is put into another's pipeline.

    Raises:
        ValueError: the class, an entry or a value is not on the allow-list, or an entry is missing.
    """
    # Read where the last step ends.
    file = entries(path, LATENT_CLASSES)
    scheduler = file.needed("_class_name")
    if not math.isinf(float(file.get("lambda_min_clipped", -math.inf))):
        raise file.refusal("lambda_min_clipped", "a grid that begins below the noisiest level is not known here")
    table = alphas_cumprod(file)
    if scheduler in SOLVERS:
        clean = file.get("final_sigmas_type", "zero") == "zero"
    else:
        clean = file.get("set_alpha_to_one", scheduler == "DDIMScheduler")

    # Read where the steps lie, and what they begin with.
    spacing, offset = spacing_of(file, timestep_spacing), file.get("steps_offset", 0)
    level_prior = scheduler == "EulerDiscreteScheduler" and spacing != "leading"
    last = 1.0 if clean else table[0]
    noise_path = PublishedVP(table, offset, last, spacing=spacing, level_prior=level_prior)
    return LatentScheduler(noise_path, file.get("prediction_type", "epsilon"), offset)


def read_consistency(path: Path) -> ConsistencyScheduler:
    """Read diffusers' LCMScheduler, which ends at alpha 1 and has a spacing of its own.

    Raises:
        ValueError: the class, an entry or a value is not on the allow-list, or an entry is missing.
    """
    file, origin = consistency_entries(path)
    scaling = float(file.get("timestep_scaling", 10.0))
    if not 0 < scaling < math.inf:
        raise file.refusal("timestep_scaling", "it is above 0, and finite")
    noise_path = PublishedConsistency(alphas_cumprod(file), origin=origin)
    return ConsistencyScheduler(noise_path, file.get("prediction_type", "epsilon"), scaling)
