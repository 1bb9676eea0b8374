"""diffusers' `scheduler_config.json`: the noise path and the parameters that a network was trained and sampled with.

The schedulers that are read share one noise path, so any sampler of ours may follow it; which steps a scheduler would
take (`timestep_spacing`, PNDM's `skip_prk_steps`, a solver's order) is ours to say and is not read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from its.model.config_file import ConfigFile
from its.model.scheduler_entries import Prediction, Spacing, Variance, entries


@dataclass(frozen=True)
class SchedulerConfig:
    """The settings of a scheduler that decide what a network's outputs mean.

    Attributes:
        alphas_cumprod: alpha^2 at each training step, descending; the last is exactly 0 at zero terminal SNR.
        prediction_type: the type of the network's output.
        clip: the unguided x0_hat is clamped to [-clip, clip]; None leaves it.
        steps_offset: added to the times of `leading` spacing.
        set_alpha_to_one: whether the last step ends at alpha 1; otherwise at `alphas_cumprod[0]`.
        variance_type: of ancestral steps; None where the scheduler has none. `fixed_small_log` is `fixed_small`.
        timestep_spacing: the scheduler's own; ours is `sampler.spacing`, so this one decides nothing.
    """

    alphas_cumprod: tuple[float, ...]
    prediction_type: Prediction
    clip: float | None
    steps_offset: int
    set_alpha_to_one: bool
    variance_type: Variance | None
    timestep_spacing: Spacing

    @classmethod
    def read(cls, path: Path) -> SchedulerConfig:
        """Read a `scheduler_config.json`.

        Entries that early versions of diffusers did not have stand at their documented defaults, which describe what
        those versions did; entries that all versions write are required.

        Raises:
            ValueError: the class, an entry or a value is not on the allow-list, or an entry is missing.
        """
        # PNDM never clips, and DDPM always ends at alpha 1.
        file = entries(path)
        scheduler = file.needed("_class_name")
        implicit = scheduler.startswith("DDIM")
        clips = scheduler != "PNDMScheduler" and file.needed("clip_sample")
        limit = float(file.get("clip_sample_range", 1.0))
        if not 0 < limit < inf:
            raise file.refusal("clip_sample_range", "it is above 0, and finite")
        return cls(
            alphas_cumprod(file),
            file.get("prediction_type", "epsilon"),
            limit if clips else None,
            file.get("steps_offset", 0),
            scheduler.startswith("DDPM") or file.get("set_alpha_to_one", implicit),
            file.get("variance_type", "fixed_small" if scheduler.startswith("DDPM") else None),
            file.get("timestep_spacing", "leading"),
        )


def alphas_cumprod(file: ConfigFile) -> tuple[float, ...]:
    """Compute alpha^2 at each training step from a scheduler's betas, in float32 as diffusers does.

    The network was trained on that table: at the first steps 1 - alpha^2 differs from the exact one by up to 0.1 %.

    Raises:
        ValueError: the betas are not between 0 and 1, or not as many as the training steps.
    """
    # Compute the betas.
    steps, trained = file.needed("num_train_timesteps"), file.get("trained_betas", None)
    if trained is not None:
        betas = torch.tensor(trained, dtype=torch.float32)
    else:
        betas = BETAS[file.needed("beta_schedule")](steps, file.needed("beta_start"), file.needed("beta_end"))
    key = "beta_schedule" if trained is None else "trained_betas"
    if len(betas) != steps:
        raise file.refusal(key, f"num_train_timesteps is {steps}, and there are {len(betas)} of them")
    if not ((betas > 0) & (betas < 1)).all():
        raise file.refusal(key, f"betas lie between 0 and 1, and these go from {betas.min():g} to {betas.max():g}")

    # Multiply them up, to no signal at all where the file says so.
    if file.get("rescale_betas_zero_snr", False):
        betas = without_terminal_signal(betas)
    return tuple(torch.cumprod(1.0 - betas, dim=0).double().tolist())


def without_terminal_signal(betas: Tensor) -> Tensor:
    """Shift and scale alpha so that the last is 0 and the first stays (Lin et al. 2023, arXiv:2305.08891, Alg. 1)."""
    alpha = torch.cumprod(1.0 - betas, dim=0).sqrt()
    first, last = alpha[0].clone(), alpha[-1].clone()
    signal = ((alpha - last) * (first / (first - last))) ** 2
    return 1 - torch.cat([signal[:1], signal[1:] / signal[:-1]])


def _linear(steps: int, start: float, end: float) -> Tensor:
    return torch.linspace(start, end, steps)


def _scaled_linear(steps: int, start: float, end: float) -> Tensor:
    return torch.linspace(start**0.5, end**0.5, steps) ** 2


def _sigmoid(steps: int, start: float, end: float) -> Tensor:
    """GeoDiff's (Xu et al. 2022, arXiv:2203.02923), between logits -6 and 6."""
    return torch.sigmoid(torch.linspace(-6, 6, steps)) * (end - start) + start


def _cosine(steps: int, start: float, end: float) -> Tensor:
    """Nichol and Dhariwal 2021 (arXiv:2102.09672), Eq. 17; start and end have no part in it."""
    return _betas_of(np.cos((np.arange(steps + 1) / steps + 0.008) / 1.008 * np.pi / 2) ** 2)


def _laplace(steps: int, start: float, end: float) -> Tensor:
    """Hang et al. 2024 (arXiv:2407.03297), as diffusers has it; start and end have no part in it."""
    share = np.arange(steps + 1) / steps
    log_ratio = -0.5 * np.where(share <= 0.5, 1.0, -1.0) * np.log(1 - 2 * np.abs(0.5 - share) + 1e-6)
    return _betas_of(np.sqrt(1 / (1 + np.exp(-log_ratio))))


def _betas_of(signal: NDArray[np.float64]) -> Tensor:
    """Return the betas, at most 0.999, that lead from each alpha^2 to the next."""
    return torch.tensor(np.minimum(1 - signal[1:] / signal[:-1], 0.999), dtype=torch.float32)


BETAS: Mapping[str, Callable[[int, float, float], Tensor]] = {
    "linear": _linear,
    "scaled_linear": _scaled_linear,
    "squaredcos_cap_v2": _cosine,
    "sigmoid": _sigmoid,
    "laplace": _laplace,
}
"""Betas by rule, float32, of the number of training steps, and the first and the last where the rule has them."""
