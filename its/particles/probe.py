"""The probe of a run: the level whose guess every row keeps, for verifiers that compare images with earlier guesses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from its.levels import Grid, Level


@dataclass(frozen=True)
class Probe:
    """A level of the sampler's grid. A row has passed it once it is cleaner; the step that does so keeps its guess.

    The guess stays with what comes of the row, and is forgotten where noise takes that up to the level again. A step of
    another grid that goes past the level keeps the guess that it starts from.
    """

    level: Level

    @classmethod
    def nearest(cls, grid: Grid, share: float | None) -> Self | None:
        """Return the probe at the level whose share of noise is nearest, of equals the noisier; None for no share.

        It is never the last level at which the network is asked: the guess there is the image.

        Raises:
            ValueError: the grid has one step.
        """
        if share is None:
            return None
        if len(grid) < 3:
            raise ValueError(
                "the verifier compares an image with the guess at an earlier level, and a sampling in one step has "
                "none; set sampler.steps to 2 or more"
            )
        return cls(min(grid[:-2], key=lambda level: abs(noise_share(level) - share)))

    def passed(self, level: Level) -> bool:
        """Return whether a row at a level has passed this one."""
        return level.time < self.level.time

    def crossed(self, t: Level, s: Level) -> bool:
        """Return whether the step from t to s goes past the level."""
        return self.passed(s) and not self.passed(t)


def noise_share(level: Level) -> float:
    """Return the share of noise in a row, `sigma / (alpha + sigma)`; on linear flow that is its time."""
    return level.sigma / (level.alpha + level.sigma)
