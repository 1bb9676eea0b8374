"""Codes that stand for starting points and for lines of text in the arrays of a shard or of its candidates.

`start` is the number of a starting point in its problem's sequence; -1 if the image did not come straight down from
one; -2 - k for row k of `noise`, which holds the points that were moved. Lines of text are their UTF-8 bytes.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

NO_START = -1


def encode_start(start: int | np.ndarray | None, moved: list[np.ndarray]) -> int:
    """Return the code of a starting point; append a moved one to `moved`, unless it is the latest there."""
    if start is None:
        return NO_START
    if isinstance(start, int):
        return start
    if not moved or not np.array_equal(start, moved[-1]):
        moved.append(start)
    return NO_START - len(moved)


def decode_start(code: int, noise: np.ndarray) -> int | np.ndarray | None:
    """Return the starting point that a code stands for: its number, its row of `noise`, or None."""
    if code == NO_START:
        return None
    return code if code >= 0 else noise[NO_START - 1 - code]


def encode_lines(lines: Iterable[str]) -> np.ndarray:
    """Return lines of text as uint8 `[bytes]`."""
    return np.frombuffer("\n".join(lines).encode(), dtype=np.uint8)


def decode_lines(array: np.ndarray) -> list[str]:
    """Return the lines of uint8 `[bytes]`; none of an empty array."""
    return array.tobytes().decode().split("\n") if len(array) else []
