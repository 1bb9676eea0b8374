"""Text on pictures, drawn sign by sign: nothing in it is markup."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

DOTS = "…"


@cache
def font(size: int) -> FreeTypeFont:
    """Return DejaVu Sans as matplotlib brings it, in pixels; signs that it lacks are drawn as boxes."""
    from matplotlib import get_data_path
    from PIL.ImageFont import Layout, truetype

    file = Path(get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    return truetype(str(file), size, layout_engine=Layout.BASIC)


def wrapped(text: str, letters: FreeTypeFont, width: int, most: int) -> list[str]:
    """Return text in lines no wider than so many pixels, broken at spaces where there are any.

    Args:
        most: lines; of a longer text the last one ends in dots.
    """
    lines, rest = list[str](), text.strip()
    while rest and len(lines) < most:
        end = _fitting(rest, letters, width)
        cut = rest.rfind(" ", 0, end + 1)
        end = cut if end < len(rest) and cut > 0 else end
        lines.append(rest[:end].rstrip())
        rest = rest[end:].lstrip()
    if rest:
        last = lines[-1]
        while last and letters.getlength(last + DOTS) > width:
            last = last[:-1]
        lines[-1] = last + DOTS
    return lines or [""]


def _fitting(text: str, letters: FreeTypeFont, width: int) -> int:
    """Return how many signs of a text fit, at least one."""
    low, high = 1, min(len(text), width)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if letters.getlength(text[:middle]) <= width else (low, middle - 1)
    return low
