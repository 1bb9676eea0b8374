"""Ascent steps of unit direction on the way to an image, measured on the linear path.

Every noise path is the linear one, x = (1 - s) x_0 + s eps, up to a factor for each level; s is sigma / (alpha + sigma)
and a row is alpha + sigma times that of the linear path.
"""

from __future__ import annotations

import numpy as np

from its.levels import Level
from its.particles.image import Image

SMALLEST = 1e-12
"""Norm below which a gradient has no direction."""


def late_levels(image: Image, share: float) -> list[Level]:
    """Return the grid's levels with noise whose native time is at most a share of the noisiest one's."""
    top = image.grid[0].time
    return [level for level in image.grid[:-1] if level.time <= share * top + 1e-9]


def width(level: Level) -> float:
    """Return how large a row at a level is, where the same row of the linear path is 1."""
    return level.alpha + level.sigma


def unit(gradient: np.ndarray) -> np.ndarray:
    """Return the direction of a gradient, of norm 1."""
    return gradient / max(float(np.linalg.norm(gradient)), SMALLEST)
