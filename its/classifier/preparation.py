"""The preparation of images that a classifier's files say, and its comparison with their library's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from its.classifier.classifier import Centre, ImageClassifier, Interpolation
from its.model.config_file import ConfigFile
from its.pixels import from_uint8

MOST, MOST_MEAN = 2.0, 0.4
"""Differences of 255 from a library's own preparation that its rounding explains: at any pixel, and in the mean."""

RESAMPLE: Mapping[int, Interpolation] = {0: "nearest", 2: "bilinear", 3: "bicubic"}
"""Interpolations by Pillow's numbers, which transformers' configurations use."""

SQUARE = (
    "ViTImageProcessor",
    "DeiTImageProcessor",
    "BeitImageProcessor",
    "EfficientNetImageProcessor",
    "SiglipImageProcessor",
)
"""Processors whose `size` of one number is height and width."""

SHORTEST = (
    "BitImageProcessor",
    "CLIPImageProcessor",
    "ConvNextImageProcessor",
    "MobileNetV1ImageProcessor",
    "MobileNetV2ImageProcessor",
)
"""Processors whose `size` of one number is the shorter side."""

TYPES = ("image_processor_type", "feature_extractor_type")
"""Keys of a processor's class, today and before."""

CROPS = (*SQUARE[1:4], *SHORTEST[:2], *SHORTEST[3:])
"""Processors that may crop the centre."""

WARPS_FROM = 384
"""Size from which ConvNext's processor crops nothing and resizes to a square."""

PROCESSOR: Mapping[str, Any] = {
    **dict.fromkeys(("processor_class", "do_convert_rgb", "use_fast", "default_to_square", "device", "backend"), Any),
    **dict.fromkeys(("_valid_processor_keys", "_valid_kwargs_names", "return_tensors", "disable_grouping"), Any),
    **dict.fromkeys(("reduce_labels", "do_reduce_labels"), Any),  # of maps of labels, not of pixels
    "image_processor_type": str,
    "feature_extractor_type": str,
    "data_format": Literal["channels_first", None],
    "input_data_format": type(None),
    "do_resize": bool,
    "size": int | Sequence[int] | Mapping[str, int],
    "resample": Literal[0, 2, 3],
    "do_center_crop": bool | None,
    "crop_size": int | Mapping[str, int] | None,
    "crop_pct": float | None,
    "do_rescale": bool,
    "rescale_factor": float,
    "do_normalize": bool,
    "image_mean": float | Sequence[float],
    "image_std": float | Sequence[float],
    "do_pad": Literal[False, None],
    "pad_size": type(None),
}
"""The allow-list of transformers' `preprocessor_config.json`."""

EFFICIENTNET: Mapping[str, Any] = {**PROCESSOR, "rescale_offset": bool, "include_top": bool}
"""That of EfficientNet's, which may subtract 1 from rescaled pixels, and divide by the deviation twice."""

TIMM: Mapping[str, Any] = {
    "input_size": Sequence[int],
    "interpolation": Literal["nearest", "bilinear", "bicubic"],
    "crop_pct": float | None,
    "crop_mode": Literal["center", "squash", None],
    "mean": Sequence[float],
    "std": Sequence[float],
    "label_offset": Literal[0, None],
    "custom_load": bool,
}
"""Entries of timm's `pretrained_cfg` that decide pixels or classes; `test_input_size` is not read, as timm's reader.

`custom_load` is of the file that timm itself downloads; what lies in a folder is a state dict by timm's names.
"""


def of_transformers(file: ConfigFile) -> dict[str, Any]:
    """Read the arguments of ImageClassifier from `preprocessor_config.json`.

    Raises:
        ValueError: its class, an entry or a value is not on the allow-list, or an entry is missing.
    """
    # Refuse what is not known.
    key = next((key for key in TYPES if key in file.entries), TYPES[0])
    name = str(file.needed(key)).replace("FeatureExtractor", "ImageProcessor").removesuffix("Fast").removesuffix("Pil")
    if name not in (*SQUARE, *SHORTEST):
        raise file.refusal(key, f"its preparation is not known here; it is that of {', '.join((*SQUARE, *SHORTEST))}")
    efficient = name == "EfficientNetImageProcessor"
    file.require(EFFICIENTNET if efficient else PROCESSOR)

    # Make mean and standard deviation those of pixels in [0, 1].
    rescales, normal = file.get("do_rescale", True), file.get("do_normalize", True)
    scale = 255.0 * file.get("rescale_factor", 1 / 255) if rescales else 255.0
    if scale <= 0:
        raise file.refusal("rescale_factor", "it is above 0")
    divisions = normal + (efficient and file.needed("include_top"))
    offset = float(efficient and file.needed("rescale_offset") and rescales)
    mean = _channels(file.needed("image_mean")) if normal else [0.0]
    std = _channels(file.needed("image_std")) if divisions else [1.0]
    if min(std, default=0.0) <= 0:
        raise file.refusal("image_std", "it is above 0")

    # Find the sides.
    size, crop = _sides(file, name) if file.get("do_resize", True) else (None, None)
    if size is None and file.get("do_center_crop", False):
        raise file.refusal("do_center_crop", "do_resize is false, and images may be smaller than the crop")
    return {
        "size": size,
        "crop": crop,
        "interpolation": RESAMPLE[file.needed("resample") if size is not None else 2],
        "mean": [(value + offset) / scale for value in mean],
        "std": [value**divisions / scale for value in std],
    }


def _sides(file: ConfigFile, name: str) -> tuple[int | tuple[int, int], int | None]:
    """Return what a processor resizes to, and the side of its centre crop."""
    size, crop = _side(file, "size", square=name in SQUARE), None
    if name == "ConvNextImageProcessor":
        edge = size if isinstance(size, int) else size[0]
        if edge >= WARPS_FROM:
            return (edge, edge), None
        return int(edge / (file.get("crop_pct", None) or 224 / 256)), edge

    # Of the others some crop; whether they do has no default that all versions share.
    if name in CROPS and file.needed("do_center_crop"):
        sides = _side(file, "crop_size", square=True)
        assert isinstance(sides, tuple), "square"
        crop = sides[0]
        if sides[0] != sides[1] or crop > (size if isinstance(size, int) else min(size)):
            raise file.refusal("crop_size", "here it is a square no larger than size")
    elif name not in CROPS and file.get("do_center_crop", False):
        raise file.refusal("do_center_crop", f"{name} crops nothing")
    return size, crop


def _side(file: ConfigFile, key: str, *, square: bool) -> int | tuple[int, int]:
    """Return height and width, or the length of the shorter side.

    Args:
        square: whether one number is both height and width.
    """
    value = file.needed(key)
    if isinstance(value, Mapping) and value.keys() == {"height", "width"}:
        sides: tuple[int, ...] = (value["height"], value["width"])
    elif isinstance(value, Mapping) and value.keys() == {"shortest_edge"} and key == "size":
        sides = (value["shortest_edge"],)
    elif isinstance(value, int):
        sides = (value, value) if square else (value,)
    elif isinstance(value, Sequence) and len(set(value)) == 1 and len(value) == 2:
        sides = tuple(value)
    else:
        raise file.refusal(key, "here it is a number, height and width, or for size the shortest edge alone")
    if min(sides) < 1:
        raise file.refusal(key, "it is at least 1")
    return sides[0] if len(sides) == 1 else (sides[0], sides[1])


def _channels(value: float | Sequence[float]) -> list[float]:
    return list(value) if isinstance(value, Sequence) else [value]


def of_timm(file: ConfigFile) -> dict[str, Any]:
    """Read the arguments of ImageClassifier from timm's `pretrained_cfg`; what it lacks is as timm's reader has it.

    Raises:
        ValueError: an entry or a value is not on the allow-list.
    """
    from timm.data import resolve_data_config
    from timm.models import PretrainedCfg

    # Refuse what is not known.
    own = dict.fromkeys((field.name for field in fields(PretrainedCfg)), Any)
    file.require({**own, "num_features": Any, **TIMM})
    settings = resolve_data_config(pretrained_cfg=dict(file.entries))
    if len(settings["input_size"]) != 3 or len(set(settings["input_size"][1:])) > 1 or min(settings["input_size"]) < 1:
        raise file.refusal("input_size", "here it is channels and the two sides of a square")
    channels, height, _ = settings["input_size"]
    if not 0 < settings["crop_pct"] <= 1:
        raise file.refusal("crop_pct", "it lies above 0 and is at most 1")
    for key in ("mean", "std"):
        if len(settings[key]) != channels or (key == "std" and min(settings[key]) <= 0):
            raise file.refusal(key, f"it is a number for each of {channels} channels, and a std is above 0")

    # Resize to a larger square or a longer shorter side, then crop the centre.
    larger = int(height / settings["crop_pct"])
    centre: Centre = "round"
    return {
        "size": (larger, larger) if settings["crop_mode"] == "squash" else larger,
        "crop": height,
        "centre": centre,
        "mean": list(settings["mean"]),
        "std": list(settings["std"]),
        "interpolation": settings["interpolation"],
    }


def require_same_pixels(
    classifier: ImageClassifier, prepare: Callable[[Image.Image], Tensor], file: ConfigFile, channels: int
) -> None:
    """Compare our preparation with the library's own, on a picture larger than what the network takes and a smaller.

    Args:
        prepare: the library's own: an RGB or grey picture to what the network takes, `[C, H, W]`.
        file: the file that both were read from.
        channels: of the picture, 1 or 3.

    Raises:
        ValueError: they differ by more than rounding, or cannot be compared.
    """
    side = classifier.crop or (min(classifier.size) if isinstance(classifier.size, tuple) else classifier.size) or 64
    for height, width in ((side * 3 // 2, side * 2), (side * 2 // 3, side // 2)):
        pixels = picture(height, width, channels)
        try:
            theirs = prepare(Image.fromarray(pixels.squeeze(2) if channels == 1 else pixels))
        except Exception as error:  # another library's, of any kind
            raise ValueError(f"{file.path} is not read by its own library ({error}); {file.remedy}") from error

        # Compare before normalisation.
        ours = classifier.prepared(from_uint8(torch.from_numpy(pixels[None])))[0]
        if ours.shape != theirs.shape:
            raise ValueError(
                f"from {file.path} a picture of {height}x{width} becomes {tuple(ours.shape)} here, and "
                f"{tuple(theirs.shape)} by its own library; {file.remedy}"
            )
        gap = 255 * ((ours - theirs.to(ours)) * classifier.std).abs()
        if not (gap.max() <= MOST and gap.mean() <= MOST_MEAN):
            raise ValueError(
                f"from {file.path} images are prepared otherwise here than by its own library: by up to "
                f"{gap.max():.1f} of 255 and {gap.mean():.2f} in the mean, of which rounding explains {MOST} and "
                f"{MOST_MEAN}; {file.remedy}"
            )


def picture(height: int, width: int, channels: int) -> NDArray[np.uint8]:
    """Draw ramps from 64 to 192, another for each channel, with noise of deviation 12, so that bicubic cuts nothing."""
    down, across = np.meshgrid(np.linspace(0, 1, height), np.linspace(0, 1, width), indexing="ij")
    ramps = np.stack([across, down, (across + 1 - down) / 2][:channels], axis=2)
    noise = np.random.Generator(np.random.Philox(key=7)).normal(0, 12, ramps.shape)
    return np.clip(np.rint(64 + 128 * ramps + noise), 0, 255).astype(np.uint8)
