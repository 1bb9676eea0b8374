"""diffusers' FlowMatchEulerDiscreteScheduler: the shift of times in its file. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from its.model.config_file import METADATA, ConfigFile
from its.sampler.published_paths import PublishedFlow, flux_shift

OTHER = "choose a pipeline with FlowMatchEulerDiscreteScheduler, or correct the entry if it is wrong"

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
    file = _read(path, {**KNOWN, "shift_terminal": float | None})
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
    lowest = TRAINING_STEP if dynamic else shift * TRAINING_STEP / (1.0 + (shift - 1.0) * TRAINING_STEP)
    return PublishedFlow(shift, lowest=lowest)


def flux2_path(path: Path, tokens: int) -> PublishedFlow:
    """Return the path of FLUX.2's scheduler for an image of so many tokens, whose shift follows the number of steps.

    Raises:
        ValueError: an entry or a value is not on the allow-list.
    """
    file = _read(path)
    return (
        PublishedFlow(tokens=tokens) if file.needed("use_dynamic_shifting") else PublishedFlow(_positive(file, "shift"))
    )


def _read(path: Path, known: Mapping[str, Any] = KNOWN) -> ConfigFile:
    file = ConfigFile.read(path, OTHER)
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
    if not value > 0:
        raise file.refusal(key, "it is above 0")
    return float(value)


def _given(file: ConfigFile, key: str) -> float:
    value = file.needed(key)
    if value is None:
        raise file.refusal(key, "it is a number where use_dynamic_shifting is true")
    return float(value)
