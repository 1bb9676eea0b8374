"""SES: spectral evolution search over the low band of the starting noise (arXiv:2602.03208).

Parameters and update of the authors' code (DiffSynth-Studio, diffsynth/utils/ses).

Deviation: the level adapts to small images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from its.image import Image
from its.moves import LowBand
from its.search.bands import band_shape, deepest, generations
from its.search.check import at_least
from its.types import ROWS_PER_PARTICLE, Coroutine, advance, reward


@dataclass(frozen=True)
class SES:
    """Cross-entropy method on the Haar low band of x_T; all detail stays that of one base noise.

    NFE = N samplings; the base noise itself is never sampled.

    Attributes:
        population: candidates of a generation.
        elites: of all generations together, from which the next is drawn: their mean and unbiased variance.
        level: of the transform, at most; lower where it does not divide height and width, or where its band
            would be narrower than 4.
        renormalise: scale each band to the norm that noise has. Without, its energy drifts upward even when
            rewards are random, to 1.37 after five generations.
        candidates: N; null under a cap.
    """

    population: int = 10
    elites: int = 5
    level: int = 4
    renormalise: bool = False
    candidates: int | None = None
    anytime: ClassVar[bool] = True
    natural: ClassVar[dict[str, int]] = {"candidates": 30}
    needs_noise: ClassVar[bool] = False

    def __post_init__(self) -> None:
        at_least(1, self, "population", "elites", "candidates")
        at_least(0, self, "level")

    @property
    def peak_rows(self) -> int:
        return ROWS_PER_PARTICLE * (1 + self.population)

    def minimum(self, sampling: int) -> int:
        return sampling

    def run(self, image: Image) -> Coroutine:
        [base] = image.start()
        level = deepest(image.shape, self.level)
        shape = band_shape(image.shape, level)
        mean, variance = np.zeros(shape), np.ones(shape)
        archive: list[tuple[float, np.ndarray]] = []
        for size in generations(self.population, self.candidates):
            bands = mean + np.sqrt(variance) * image.random.normal((size, *shape))
            if self.renormalise:
                bands *= np.sqrt(mean.size) / np.sqrt((bands**2).sum(axis=(1, 2, 3), keepdims=True))
            starts = [image.move(base, LowBand(band, level))[0] for band in bands]
            rewards = yield reward((yield advance(starts)))
            archive += zip(rewards, bands, strict=False)
            archive = sorted(archive, key=lambda entry: -entry[0])[: self.elites]
            elites = np.stack([band for _, band in archive])
            mean = elites.mean(axis=0)
            variance = elites.var(axis=0, ddof=1) + 1e-7 if len(elites) > 1 else variance
        return None
