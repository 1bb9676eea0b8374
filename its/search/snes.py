"""SNES: separable natural evolution strategy over x_T (Wierstra et al. 2014, JMLR 15; for noise: arXiv:2506.00299).

Exact rule of Wierstra et al., Algorithm 6 and section 3.1: rank utilities, natural gradient of mean and deviations.
"""

from dataclasses import dataclass
from math import log, prod

import numpy as np

from its.particles.image import Image
from its.particles.moves import LowBand
from its.particles.verbs import advance, reward
from its.search.parts.bands import generations, low_band, utilities
from its.search.search import Coroutine, Search, Size, sized


@dataclass(frozen=True)
class SNES(Search):
    """A Gaussian over starting noises, one mean and one deviation for each entry of x_T, climbs the expected utility.

    NFE = N samplings. It begins at the law of noise itself, mean 0 and deviation 1.
    """

    population: int | None = None  # candidates of a generation; null is 4 + 3 ln d
    mean_rate: float = 1.0  # of the mean's steps
    deviation_rate: float | None = None  # of the deviations' steps; null is (3 + ln d) / (5 sqrt d)
    level: int = 0  # of the Haar low band that is searched; 0 is all of x_T
    candidates: Size = sized(natural=100)  # N; null under a cap
    anytime = True
    needs_absolute = False

    def __post_init__(self) -> None:
        self.check(population=2, mean_rate=0, deviation_rate=0, level=0, candidates=1)

    def recipe_numbers(self, shape: tuple[int, ...]) -> int:
        return prod(low_band(shape, self.level)[1])

    def run(self, image: Image) -> Coroutine:
        [base] = image.start()
        level, shape = low_band(image.shape, self.level)
        d = int(np.prod(shape))
        population = self.population or 4 + int(3 * log(d))
        rate = (3 + log(d)) / (5 * d**0.5) if self.deviation_rate is None else self.deviation_rate
        mean, deviation = np.zeros(shape), np.ones(shape)
        for size in generations(population, self.candidates):
            draws = image.random.normal((size, *shape))
            starts = [image.move(base, LowBand(mean + deviation * draw, level))[0] for draw in draws]
            rewards = yield reward((yield advance(starts)))
            ranked = np.stack(image.best(list(draws), rewards))
            utility = utilities(len(rewards))
            # Alg. 6: natural gradients of mean and deviation.
            mean = mean + self.mean_rate * deviation * np.tensordot(utility, ranked, 1)
            deviation = deviation * np.exp(rate / 2 * np.tensordot(utility, ranked**2 - 1, 1))
