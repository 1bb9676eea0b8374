"""The entries of diffusers' `scheduler_config.json` that are known, by an allow-list. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from its.model.config_file import METADATA, ConfigFile

Prediction = Literal["epsilon", "sample", "v_prediction"]
Variance = Literal["fixed_small", "fixed_small_log", "fixed_large", "learned_range"]
Spacing = Literal["leading", "trailing", "linspace"]

REMEDY = "choose a checkpoint of DDPMScheduler, DDIMScheduler or PNDMScheduler, or correct the entry if it is wrong"

OTHERS = dict.fromkeys(
    (
        "algorithm_type",
        "dynamic_thresholding_ratio",
        "euler_at_final",
        "final_sigmas_type",
        "interpolation_type",
        "lambda_min_clipped",
        "lower_order_final",
        "sample_max_value",
        "sigma_max",
        "sigma_min",
        "skip_prk_steps",
        "solver_order",
        "solver_type",
        "tensor_format",
        "timestep_type",
        "use_beta_sigmas",
        "use_exponential_sigmas",
        "use_karras_sigmas",
    ),
    Any,
)
"""Entries that choose steps, or act with thresholding alone; diffusers keeps one scheduler's in another's file."""

KNOWN: Mapping[str, Any] = {
    **METADATA,
    **OTHERS,
    "num_train_timesteps": int,
    "beta_start": float,
    "beta_end": float,
    "beta_schedule": Literal["linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid", "laplace"],
    "trained_betas": Sequence[float] | None,
    "rescale_betas_zero_snr": bool,
    "prediction_type": Prediction,
    "predict_epsilon": Literal[True],
    "clip_sample": bool,
    "clip_sample_range": float,
    "thresholding": Literal[False],
    "set_alpha_to_one": bool,
    "steps_offset": int,
    "timestep_spacing": Spacing,
    "timestep_values": type(None),
    "use_flow_sigmas": Literal[False],
    "variance_type": Variance | None,
}
"""The allow-list of entries and values."""

NEVER_CLIPS: Mapping[str, Any] = {**KNOWN, "clip_sample": Literal[False], "rescale_betas_zero_snr": Literal[False]}

CLASSES: Mapping[str, Mapping[str, Any]] = {
    "DDPMScheduler": KNOWN,
    "DDPMParallelScheduler": KNOWN,
    "DDIMScheduler": KNOWN,
    "DDIMParallelScheduler": KNOWN,
    "PNDMScheduler": NEVER_CLIPS,
}
"""The schedulers that are read, and the allow-list of each."""


def entries(path: Path) -> ConfigFile:
    """Read a `scheduler_config.json`, and refuse other schedulers and entries that are not known.

    Raises:
        ValueError: the class, an entry or a value is not on the allow-list, or an entry is missing.
    """
    file = ConfigFile.read(path, REMEDY)
    scheduler = str(file.needed("_class_name"))
    if scheduler not in CLASSES:
        raise file.refusal("_class_name", "its noise path is another, or is not known here to be the same")
    if file.get("predict_epsilon", True) is False:
        raise file.refusal("predict_epsilon", "the entry is out of date", 'write "prediction_type": "sample"')
    file.require(CLASSES[scheduler])
    if file.needed("num_train_timesteps") < 1:
        raise file.refusal("num_train_timesteps", "it is at least 1")
    return file
