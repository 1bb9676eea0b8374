import math

import numpy as np
import pytest

from its.particles.host_random import HostRandom
from its.particles.image import Image
from its.sampler.ddim import DDIM
from its.search.parts.bands import utilities
from its.search.snes import SNES
from tests.search.trace import Always, outcome_of, traced


class Distance:
    """Closeness of an image to a fixed one: a target that the search should climb to."""

    absolute = True

    def reward(self, images, conditions):
        return -images.double().flatten(1).square().sum(1)


def test_utilities_equal_those_of_the_paper():
    raw = [max(0.0, math.log(8 / 2 + 1) - math.log(k)) for k in range(1, 9)]
    expected = [u / sum(raw) - 1 / 8 for u in raw]
    np.testing.assert_allclose(utilities(8), expected, rtol=1e-12)
    assert utilities(1) == 0.0


def test_snes_step_is_the_natural_gradient(lab, monkeypatch):
    """Two generations by hand; all rewards are equal, so ranks are those of the list."""
    noises: list[np.ndarray] = []
    move = Image.move
    monkeypatch.setattr(Image, "move", lambda image, p, change: noises.append(change.coefs) or move(image, p, change))
    outcome_of(lab, SNES(population=6, candidates=12), DDIM(steps=2, eta=0.0), Always(0.0))
    random = HostRandom(0, 0)
    draws, further = random.normal((6, 1, 4, 4)), random.normal((6, 1, 4, 4))
    np.testing.assert_array_equal(np.stack(noises[:6]), draws)
    utility, rate = utilities(6), (3 + math.log(16)) / (5 * 4)
    mean = np.tensordot(utility, draws, 1)
    deviation = np.exp(rate / 2 * np.tensordot(utility, draws**2 - 1, 1))
    np.testing.assert_allclose(np.stack(noises[6:]), mean + deviation * further, rtol=0, atol=1e-12)


def test_snes_population_follows_the_dimension(lab):
    """4 + 3 ln 16 is 12."""
    log: list = []
    outcome_of(lab, lab.script(traced(SNES(candidates=30), log)), DDIM(steps=2, eta=0.0), Distance())
    assert [len(request.particles) for request, _ in log[::2]] == [12, 12, 6]


def test_snes_finds_higher_reward_with_more_candidates(lab):
    few, many = (outcome_of(lab, SNES(candidates=n), DDIM(steps=2, eta=0.0), Distance()).reward for n in (1, 400))
    assert many > few


def test_snes_refuses_a_population_of_one():
    with pytest.raises(ValueError, match=r"search\.population is 1; it is a whole number of at least 2"):
        SNES(population=1)
