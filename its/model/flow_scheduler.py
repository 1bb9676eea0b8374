"""diffusers' schedulers of flow models: the shift of times in their files. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from its.model.config_file import METADATA, ConfigFile
from its.model.scheduler_entries import LATENT_CLASSES
from its.sampler.published_paths import TWO_STEPS, PublishedFlow, TrigFlow, flux_shift
from its.sampler.spacing import shifted

OTHER = "choose a pipeline with {}, or correct the entry if it is wrong"

EULER, SOLVER, SCM = "FlowMatchEulerDiscreteScheduler", "DPMSolverMultistepScheduler", "SCMScheduler"

EITHER = f"{EULER}, or {SOLVER} of linear flow"

KNOWN: Mapping[str, Any] = {
    **METADATA,
    "_class_name": Literal["FlowMatchEulerDiscreteScheduler"],
    "base_image_seq_len": int,
    "base_shift": float | None,
    "invert_sigmas": Literal[False],
    "max_image_seq_len": int,
    "max_shift": float | None,
    "num_train_timesteps": Literal[1000],
    "shift": float,
    "shift_terminal": type(None),
    "stochastic_sampling": Literal[False],
    "time_shift_type": Literal["exponential"],
    "use_beta_sigmas": Literal[False],
    "use_dynamic_shifting": bool,
    "use_exponential_sigmas": Literal[False],
    "use_karras_sigmas": Literal[False],
}
"""The allow-list of entries; a scheduler that draws noise is `sampler=flow_renoise` here."""

KNOWN_SOLVER: Mapping[str, Any] = {
    **METADATA,
    **{key: value for key, value in LATENT_CLASSES[SOLVER].items() if key != "clip_sample"},
    "_class_name": Literal["DPMSolverMultistepScheduler"],
    "beta_schedule": Any,
    "final_sigmas_type": Literal["zero"],
    "flow_shift": float,
    "num_train_timesteps": Literal[1000],
    "prediction_type": Literal["flow_prediction"],
    "rescale_betas_zero_snr": bool,
    "use_dynamic_shifting": Literal[False],
    "use_flow_sigmas": Literal[True],
}
"""The allow-list of a solver of linear flow, to whose times betas and spacing are nothing."""

SCM_TIMES = {"max_timesteps": TWO_STEPS[0], "intermediate_timesteps": TWO_STEPS[1]}
"""Entries that early conversions wrote, which diffusers does not read; its pipeline takes these by itself."""

KNOWN_SCM: Mapping[str, Any] = {
    **METADATA,
    "_class_name": Literal["SCMScheduler"],
    **dict.fromkeys(SCM_TIMES, float),
    "num_train_timesteps": int,
    "prediction_type": Literal["trigflow"],
    "sigma_data": float,
}
"""The allow-list of SANA-Sprint's."""


class SanaScheduler(NamedTuple):
    """What SANA's scheduler says: the path, and whether the network is told whole times, those cut off."""

    path: PublishedFlow
    whole: bool


TRAINING_STEP = 1.0 / 1000
"""t of the cleanest training step."""


def flux_path(path: Path, tokens: int) -> PublishedFlow:
    """Return the path of FLUX.1's scheduler for an image of so many tokens.

    Raises:
        ValueError: an entry or a value is not on the allow-list, or one that decides the shift is missing.
    """
    file = _read(path)
    return PublishedFlow(_shift(file, tokens, dynamic=file.needed("use_dynamic_shifting")))


def qwen_path(path: Path, tokens: int) -> PublishedFlow:
    """Return the path of Qwen-Image's scheduler, FLUX.1's whose last step may begin at a `shift_terminal`.

    Raises:
        ValueError: see `flux_path`.
    """
    file = _read(path, EULER, {**KNOWN, "shift_terminal": float | None})
    terminal = file.get("shift_terminal", None) or 0.0
    if not 0 <= terminal < 1:
        raise file.refusal("shift_terminal", "it lies between 0, which is none, and 1")
    return PublishedFlow(_shift(file, tokens, dynamic=file.needed("use_dynamic_shifting")), terminal=terminal)


def sd3_path(path: Path, tokens: int) -> PublishedFlow:
    """Return the path of Stable Diffusion 3's scheduler, which is asked for a number of steps and lays out its times.

    It does so from 1 to its cleanest training step, which a static shift has moved already, and shifts all of them.
    Files from before `use_dynamic_shifting` have a static shift.

    Raises:
        ValueError: see `flux_path`.
    """
    file = _read(path)
    dynamic = file.get("use_dynamic_shifting", False)
    shift = _shift(file, tokens, dynamic=dynamic)
    return PublishedFlow(shift, lowest=TRAINING_STEP if dynamic else shifted(TRAINING_STEP, shift))


def flux2_path(path: Path, tokens: int) -> PublishedFlow:
    """Return the path of FLUX.2's scheduler for an image of so many tokens, whose shift follows the number of steps.

    Raises:
        ValueError: an entry or a value is not on the allow-list.
    """
    file = _read(path)
    return (
        PublishedFlow(tokens=tokens) if file.needed("use_dynamic_shifting") else PublishedFlow(_positive(file, "shift"))
    )


def sana_scheduler(path: Path) -> SanaScheduler:
    """Read SANA's scheduler, DPMSolverMultistepScheduler of linear flow or FlowMatchEulerDiscreteScheduler.

    Its pipeline leaves the times to it, which the solver gives as whole numbers, cut off.

    Raises:
        ValueError: an entry or a value is not on the allow-list, or one that decides the shift is missing.
    """
    if ConfigFile.read(path, OTHER.format(EITHER)).needed("_class_name") == SOLVER:
        file = _read(path, SOLVER, KNOWN_SOLVER)
        for key in ("use_flow_sigmas", "prediction_type"):
            file.needed(key)
        return SanaScheduler(PublishedFlow(_positive(file, "flow_shift"), 1000.0, solver=True), True)
    file = _read(path, EITHER)
    if file.needed("use_dynamic_shifting"):
        raise file.refusal("use_dynamic_shifting", "SANA's pipeline gives no shift")
    shift = _positive(file, "shift")
    return SanaScheduler(PublishedFlow(shift, 1000.0, lowest=shifted(TRAINING_STEP, shift)), False)


def sprint_path(path: Path) -> TrigFlow:
    """Return the path of SANA-Sprint's scheduler, from which sigma_data is divided out.

    Raises:
        ValueError: an entry or a value is not on the allow-list.
    """
    file = _read(path, SCM, KNOWN_SCM)
    file.needed("prediction_type")
    _positive(file, "sigma_data")
    for key, value in SCM_TIMES.items():
        if file.get(key, value) != value:
            raise file.refusal(key, f"its pipeline takes {value}", "list times in sampler.spacing, and take it out")
    return TrigFlow()


def _read(path: Path, scheduler: str = EULER, known: Mapping[str, Any] = KNOWN) -> ConfigFile:
    file = ConfigFile.read(path, OTHER.format(scheduler))
    file.needed("_class_name")
    file.require(known)
    return file


def _shift(file: ConfigFile, tokens: int, *, dynamic: bool) -> float:
    """Return the shift of times, the file's own or by the tokens of an image."""
    if not dynamic:
        return _positive(file, "shift")
    few, many = (file.needed(f"{end}_image_seq_len") for end in ("base", "max"))
    if not 0 < few < many:
        raise file.refusal("max_image_seq_len", f"it is above base_image_seq_len, which is {few} and above 0")
    low, high = (_given(file, f"{end}_shift") for end in ("base", "max"))
    return flux_shift(tokens, ((few, low), (many, high)))


def _positive(file: ConfigFile, key: str) -> float:
    value = file.needed(key)
    if not 0 < value < math.inf:
        raise file.refusal(key, "it is above 0, and finite")
    return float(value)


def _given(file: ConfigFile, key: str) -> float:
    value = file.needed(key)
    if value is None:
        raise file.refusal(key, "it is a number where use_dynamic_shifting is true")
    return float(value)
