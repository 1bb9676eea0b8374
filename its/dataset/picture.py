"""A picture in a file as 8-bit pixels; one whose pixels would have to be guessed is refused by name."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image

log = logging.getLogger(__name__)

SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".dib", ".gif"),
    *(".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm"),
)
"""Of files that are read, in lower or upper case."""

GREY = ("1", "L", "LA", "La")
COLOUR = ("P", "PA", "RGB", "RGBX", "RGBA", "RGBa", "YCbCr", "CMYK")
"""Pillow's names of pixels of 8 bits or fewer, of which RGB is made without a choice but for CMYK's."""

ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")


def read_picture(path: Path, channels: int) -> Image:
    """Read a picture upright, as its EXIF says, in grey (1 channel) or RGB (3).

    Grey is repeated where three channels are asked for; colour whose three channels are equal is grey. CMYK becomes RGB
    as Pillow has it, without a colour profile, and the log says so.

    Raises:
        ValueError: it is damaged, cut short, animated, see-through, of more than 8 bits, or in colour where grey is
            asked for; the message names the file.
    """
    from PIL import Image
    from PIL.ImageOps import exif_transpose

    try:
        with Image.open(path) as opened:
            _check_certain(opened)
            if opened.mode == "CMYK":
                log.warning("%s is CMYK; it becomes RGB as Pillow has it, without a colour profile", path)
            return _in_channels(_opaque(exif_transpose(opened)), channels)
    except Exception as error:  # decoders of many formats raise whatever they like
        raise ValueError(f"{path} cannot be read as an image ({error}); make it again or take it out") from error


def is_grey(path: Path) -> bool:
    """Return whether a picture is kept in grey; of most only the header is read.

    Raises:
        ValueError: it cannot be read.
    """
    from PIL import Image

    try:
        with Image.open(path) as opened:
            return opened.mode in GREY or (opened.mode == "P" and _one_channel(opened.convert("RGB")) is not None)
    except Exception as error:
        raise ValueError(f"{path} cannot be read as an image ({error}); make it again or take it out") from error


def _check_certain(image: Image) -> None:
    """Refuse a picture that says more than 8 bits or one frame.

    Raises:
        ValueError: it does.
    """
    if image.mode not in GREY + COLOUR or any(_is_deep(tile.args) for tile in getattr(image, "tile", ())):
        raise ValueError(
            f"its pixels are {image.mode} of more than 8 bits or of a kind whose colours need a choice; save it with "
            "8 bits, grey or RGB"
        )
    # A phone's JPEG (MPO) holds the picture first, then views and depths of it.
    if getattr(image, "is_animated", False) and image.format != "MPO":
        frames = getattr(image, "n_frames", "several")
        raise ValueError(f"it holds {frames} frames, and nothing says which is meant; save the one that is")


def _is_deep(arguments: Any) -> bool:
    """Return whether a decoder's arguments, Pillow's raw mode first, speak of more than 8 bits."""
    mode, *more = arguments if isinstance(arguments, tuple) else (arguments,)
    packed = str(mode).partition(";")[2]
    is_wide = any(bits in packed for bits in ("12", "16", "24", "32"))
    return is_wide or (mode in ("L", "RGB") and any(type(value) is int and value > 255 for value in more[:1]))


def _opaque(image: Image) -> Image:
    """Return a picture without its alpha.

    Raises:
        ValueError: a pixel of it can be seen through.
    """
    if image.mode not in ALPHA and "transparency" not in image.info:
        return image
    whole = image.convert("RGBA")
    if whole.getchannel("A").getextrema() != (255, 255):
        raise ValueError("it is see-through, and nothing says what lies behind it; save it without alpha")
    return whole.convert("RGB").getchannel("R") if image.mode in GREY else whole.convert("RGB")


def _in_channels(image: Image, channels: int) -> Image:
    """Return a picture without alpha in grey or RGB.

    Raises:
        ValueError: it is in colour, and grey is asked for.
    """
    if image.mode in GREY:
        return image.convert("L" if channels == 1 else "RGB")
    colour = image.convert("RGB")
    if channels == 3:
        return colour
    grey = _one_channel(colour)
    if grey is None:
        raise ValueError(
            "it is in colour, and images of one channel are asked for; turn it into grey by a rule of your own, or "
            "take three channels"
        )
    return grey


def _one_channel(colour: Image) -> Image | None:
    """Return the channel of an RGB picture whose three are equal; None if they differ."""
    red, green, blue = colour.split()
    return red if red.tobytes() == green.tobytes() == blue.tobytes() else None
