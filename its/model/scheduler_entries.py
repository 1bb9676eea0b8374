"""The entries of diffusers' `scheduler_config.json` that are known, by an allow-list. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import inf, isinf
from pathlib import Path
from typing import Any, Literal

from its.model.config_file import METADATA, ConfigFile
from its.sampler.published_paths import PublishedVP
from its.sampler.spacing import EVEN

Prediction = Literal["epsilon", "sample", "v_prediction"]
Variance = Literal["fixed_small", "fixed_small_log", "fixed_large", "learned_range"]
Spacing = Literal["leading", "trailing", "linspace"]

SOLVERS = ("EulerDiscreteScheduler", "DPMSolverMultistepScheduler")
"""The schedulers that end at alpha 1, and never clip."""

REMEDY = "choose a checkpoint of DDPMScheduler, DDIMScheduler or PNDMScheduler, or correct the entry if it is wrong"

OTHER_CLASSES = "choose a pipeline with one of {}, or correct the entry if it is wrong"

OTHERS = dict.fromkeys(
    (
        "algorithm_type",
        "dynamic_thresholding_ratio",
        "euler_at_final",
        "final_sigmas_type",
        "flow_shift",
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
        "time_shift_type",
        "timestep_type",
        "use_beta_sigmas",
        "use_dynamic_shifting",
        "use_exponential_sigmas",
        "use_karras_sigmas",
        "use_lu_lambdas",
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

_NO_OTHER_GRID = dict.fromkeys(
    ("use_beta_sigmas", "use_exponential_sigmas", "use_karras_sigmas", "use_lu_lambdas", "use_dynamic_shifting"),
    Literal[False],
)

_SOLVER: Mapping[str, Any] = {
    **NEVER_CLIPS,
    **_NO_OTHER_GRID,
    "clip_sample": Any,
    "final_sigmas_type": Literal["zero"],
    "interpolation_type": Literal["linear"],
    "timestep_type": Literal["discrete"],
    "variance_type": Literal["learned", "learned_range"] | None,
}

_DPM_SOLVER = {
    "algorithm_type": Literal["dpmsolver++"],
    "lambda_min_clipped": float,
    "solver_order": Literal[2],
    "solver_type": Literal["midpoint"],
}
"""What `sampler=dpmpp_2m` is."""

_BETAS = {"beta_schedule": Literal["linear", "scaled_linear", "squaredcos_cap_v2"]}

LATENT_CLASSES: Mapping[str, Mapping[str, Any]] = {
    "DDIMScheduler": {**NEVER_CLIPS, **_BETAS, "rescale_betas_zero_snr": bool},
    "PNDMScheduler": {**NEVER_CLIPS, **_BETAS},
    "EulerDiscreteScheduler": {**_SOLVER, **_BETAS},
    "DPMSolverMultistepScheduler": {**_SOLVER, **_BETAS, **_DPM_SOLVER},
}
"""The schedulers of pipelines of latents on the variance-preserving path: none clips, and none places its steps by
sigma. A solver leaves `variance_type` aside where its network has learned one, and ends at clean latents."""

CONSISTENCY: Mapping[str, Mapping[str, Any]] = {
    "LCMScheduler": {
        **NEVER_CLIPS,
        **_NO_OTHER_GRID,
        "beta_schedule": Literal["linear", "scaled_linear", "squaredcos_cap_v2"],
        "original_inference_steps": int,
        "timestep_scaling": float,
    }
}
"""The scheduler of latent consistency models, which leaves timestep_spacing and steps_offset aside."""


def entries(path: Path, classes: Mapping[str, Mapping[str, Any]] = CLASSES) -> ConfigFile:
    """Read a `scheduler_config.json`, and refuse other schedulers and entries that are not known.

    Args:
        classes: the schedulers that are read.

    Raises:
        ValueError: the class, an entry or a value is not on the allow-list, or an entry is missing.
    """
    names = [name for name in classes if not name.endswith("ParallelScheduler")]
    file = ConfigFile.read(path, REMEDY if classes is CLASSES else OTHER_CLASSES.format(", ".join(names)))
    scheduler = str(file.needed("_class_name"))
    if scheduler not in classes:
        raise file.refusal("_class_name", "its noise path is another, or is not known here to be the same")
    if file.get("predict_epsilon", True) is False:
        raise file.refusal("predict_epsilon", "the entry is out of date", 'write "prediction_type": "sample"')
    file.require(classes[scheduler])
    if file.needed("num_train_timesteps") < 1:
        raise file.refusal("num_train_timesteps", "it is at least 1")
    return file


def consistency_entries(path: Path) -> tuple[ConfigFile, int]:
    """Read the file of an LCMScheduler, and the number of steps that its own are taken from.

    Raises:
        ValueError: see `entries`, or that number is above that of training, or no number of steps.
    """
    file = entries(path, CONSISTENCY)
    origin = file.get("original_inference_steps", 50)
    if not 1 <= origin <= file.needed("num_train_timesteps"):
        raise file.refusal("original_inference_steps", "it is at least 1, and at most num_train_timesteps")
    return file, origin


def spacing_of(file: ConfigFile, timestep_spacing: str | None = None) -> str:
    """Return the rule by which a scheduler places its steps, under the names of `its.sampler.spacing`.

    Args:
        timestep_spacing: in place of the file's own, which stands at its class's documented default where it is absent.
    """
    scheduler = file.needed("_class_name")
    stated = timestep_spacing or file.get("timestep_spacing", "linspace" if scheduler in SOLVERS else "leading")
    if scheduler == "DPMSolverMultistepScheduler" and stated != "trailing":
        return f"open_{stated}"
    return EVEN if scheduler == "EulerDiscreteScheduler" and stated == "linspace" else stated


def latent_path(
    path: Path, table_of: Callable[[ConfigFile], tuple[float, ...]], timestep_spacing: str | None
) -> tuple[ConfigFile, PublishedVP]:
    """Read the scheduler of a pipeline of latents, and where its steps lie, end, and what they begin with.

    Args:
        table_of: computes alpha^2 at each training step from the file.
        timestep_spacing: see `spacing_of`.

    Raises:
        ValueError: the class, an entry or a value is not on the allow-list, or an entry is missing.
    """
    file = entries(path, LATENT_CLASSES)
    if not isinf(file.get("lambda_min_clipped", -inf)):
        raise file.refusal("lambda_min_clipped", "a grid that begins below the noisiest level is not known here")
    scheduler, table, spacing = file.needed("_class_name"), table_of(file), spacing_of(file, timestep_spacing)
    if scheduler == "PNDMScheduler":
        clean = file.needed("set_alpha_to_one")
    else:
        clean = scheduler in SOLVERS or file.get("set_alpha_to_one", True)
    return file, PublishedVP(
        table,
        file.get("steps_offset", 0),
        1.0 if clean else table[0],
        spacing=spacing,
        level_prior=scheduler == "EulerDiscreteScheduler" and spacing != "leading",
        even_strides=scheduler not in SOLVERS,
    )
