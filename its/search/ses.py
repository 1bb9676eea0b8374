"""SES: spectral evolution search over the low band of the starting noise (arXiv:2602.03208).

Parameters and update of the authors' code (DiffSynth-Studio, diffsynth/utils/ses).
"""

from dataclasses import dataclass
from math import prod

import numpy as np

from its.particles.image import Image
from its.particles.moves import LowBand
from its.particles.order import Rewarded
from its.particles.verbs import advance, reward
from its.search.parts.bands import generations, low_band
from its.search.search import Coroutine, Search, Size, sized


@dataclass(frozen=True)
class SES(Search):
    """Cross-entropy method on the Haar low band of x_T; all detail stays that of one base noise.

    NFE = N samplings; the base noise itself is never sampled. Each generation is drawn by mean and unbiased variance of
    the elites, so the band's energy drifts upward even when rewards are random: to 1.37 after five generations.
    """

    population: int = 10  # candidates of a generation
    elites: int = 5  # of all generations together
    level: int = 4  # of the transform, at most (deviation: it divides the sides, and the band stays 4 wide)
    renormalise: bool = False  # scale each band to the norm that noise has
    candidates: Size = sized(natural=30)  # N; null under a cap
    anytime = True
    needs_absolute = False

    def __post_init__(self) -> None:
        self.check(population=1, elites=1, level=0, candidates=1)

    def recipe_numbers(self, shape: tuple[int, ...]) -> int:
        return prod(low_band(shape, self.level)[1])

    def run(self, image: Image) -> Coroutine:
        # A Gaussian over the low band, at the law of noise itself.
        [base] = image.start()
        level, shape = low_band(image.shape, self.level)
        mean, variance = np.zeros(shape), np.ones(shape)
        archive: list[tuple[Rewarded, np.ndarray]] = []
        for size in generations(self.population, self.candidates):
            bands = mean + np.sqrt(variance) * image.random.normal((size, *shape))
            if self.renormalise:
                bands *= np.sqrt(mean.size) / np.sqrt((bands**2).sum(axis=(1, 2, 3), keepdims=True))
            # Sample and score a generation.
            starts = [image.move(base, LowBand(band, level))[0] for band in bands]
            rewards = yield reward((yield advance(starts)))
            # Fit mean and variance to the elites of all generations.
            archive += zip(rewards, bands, strict=False)
            archive = image.best(archive, [rewarded for rewarded, _ in archive], self.elites)
            elites = np.stack([band for _, band in archive])
            mean = elites.mean(axis=0)
            variance = elites.var(axis=0, ddof=1) + 1e-7 if len(elites) > 1 else variance
