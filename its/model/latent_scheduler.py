"""The noise path of a pipeline of latents, from its `scheduler_config.json`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

from its.model.scheduler_config import alphas_cumprod
from its.model.scheduler_entries import Prediction, consistency_entries, latent_path
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
    file, noise_path = latent_path(path, alphas_cumprod, timestep_spacing)
    return LatentScheduler(noise_path, file.get("prediction_type", "epsilon"), noise_path.offset)


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
