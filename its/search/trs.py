"""TRS: trust-region search over x_T (arXiv:2603.14504), by the rules of the authors' code.

Deviations: a candidate is uniform in its cube; theirs takes one or two points of a newly scrambled Sobol sequence. The
warm-up is one scrambled sequence, shifted for each image; theirs is scrambled anew.
"""

from dataclasses import dataclass
from math import prod, sqrt

import numpy as np

from its.particles.image import Image
from its.particles.particle import Particle
from its.particles.verbs import advance, reward
from its.search.parts.bands import generations
from its.search.parts.trust_regions import TrustRegion, around, quasi_normal, shares
from its.search.search import Coroutine, Search, Size, sized


@dataclass(frozen=True)
class TRS(Search):
    """Try quasi-random noises; then, again and again, cubes around the best of all, whose sides follow success.

    NFE = N samplings; the noise that gives all of them their step noise is never sampled. Fewer samplings than the
    warm-up's are best-of-N.
    """

    warmup: int = 80  # quasi-random noises
    batch: int = 20  # candidates of an iteration, shared evenly; what remains goes to the best regions
    regions: int = 15  # cubes; the i-th surrounds the i-th best of all noises
    renormalise: bool = False  # scale each noise to the norm that noise has
    candidates: Size = sized(natural=400)  # N, the warm-up's too; null under a cap
    anytime = True
    needs_absolute = False

    def __post_init__(self) -> None:
        self.check(warmup=1, batch=1, regions=1, candidates=1)

    def recipe_numbers(self, shape: tuple[int, ...]) -> int:
        return prod(shape)

    def run(self, image: Image) -> Coroutine:
        # Warm up.
        [base] = image.start()
        first, further = self.warmup, None
        if self.candidates is not None:
            first, further = min(first, self.candidates), max(0, self.candidates - first)
        tried = yield from self._tried(quasi_normal(first, image), image, base)
        regions = [TrustRegion() for _ in range(self.regions)]
        for size in generations(self.batch, further):
            # Try candidates around the best of all.
            best = image.best(tried, [rewarded for rewarded, _ in tried], self.regions)
            owners = np.sort(np.arange(size) % len(best))
            centres = np.stack([noise for _, noise in best])[owners]
            sides = np.array([region.side for region in regions])[owners]
            noises = around(centres, sides, shares(len(best), image)[owners], image)
            tried = best + (yield from self._tried(noises, image, base))
            # A region succeeds whose best candidate beats its centre.
            centre_scores, scores = np.split(np.array(image.order([rewarded for rewarded, _ in tried])), [len(best)])
            for owner in set(owners[: len(scores)]):
                regions[owner].update(scores[owners[: len(scores)] == owner].max() > centre_scores[owner])

    def _tried(self, noises: np.ndarray, image: Image, base: Particle) -> Coroutine:
        """Sample and score noises `[n, *shape]`; return each with its reward."""
        if self.renormalise:
            each = tuple(range(1, noises.ndim))
            noises = noises * sqrt(noises[0].size) / np.sqrt((noises**2).sum(axis=each, keepdims=True))
        starts = image.place([base] * len(noises), image.prior_std * noises)
        rewards = yield reward((yield advance(starts)))
        return list(zip(rewards, noises, strict=False))
