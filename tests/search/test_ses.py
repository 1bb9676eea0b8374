import math

import numpy as np
import pytest
import pywt
import torch

from its.particles.image import Image
from its.particles.moves import LowBand
from its.sampler.ddim import DDIM
from its.search.parts.bands import generations, low_band
from its.search.ses import SES
from its.verifier.null_rewards import NullRewards
from tests.search.trace import outcome_of

SAMPLER = DDIM(steps=2, eta=0.0)


@pytest.fixture
def bands(monkeypatch) -> list[np.ndarray]:
    """Every low band that a search tries."""
    seen: list[np.ndarray] = []
    move = Image.move

    def watched(image, particle, change, *args, **options):
        seen.append(change.coefs)
        return move(image, particle, change, *args, **options)

    monkeypatch.setattr(Image, "move", watched)
    return seen


@pytest.mark.parametrize(("shape", "level"), [((3, 32, 32), 4), ((1, 8, 24), 3), ((4, 6, 10), 1), ((1, 4, 4), 0)])
def test_low_band_equals_that_of_pywavelets(shape, level):
    random = np.random.Generator(np.random.Philox(key=0))
    coefs = random.standard_normal(low_band(shape, level, narrowest=1)[1])
    x = torch.from_numpy(random.standard_normal((2, *shape)))
    made = LowBand(coefs, level)(x, None).numpy()
    for row, y in zip(x.numpy(), made, strict=True):
        expected = pywt.waverec2([coefs, *pywt.wavedec2(row, "db1", level=level)[1:]], "db1")
        np.testing.assert_allclose(y, expected, rtol=0, atol=1e-12)


def test_low_band_refuses_a_band_that_does_not_fit():
    with pytest.raises(ValueError, match="divisible by 4"):
        LowBand(np.zeros((1, 2, 2)), 2)(torch.zeros(1, 1, 8, 6), None)


@pytest.mark.parametrize(
    ("shape", "level"),
    [((4, 64, 64), 4), ((3, 32, 32), 3), ((1, 8, 8), 1), ((1, 4, 4), 0), ((3, 36, 24), 2), ((3, 7, 7), 0)],
)
def test_low_band_level_keeps_a_band_of_at_least_four(shape, level):
    assert low_band(shape, 4) == (level, (shape[0], shape[1] >> level, shape[2] >> level))


def test_generations_are_cut_to_the_number_of_candidates():
    assert list(generations(10, 25)) == [10, 10, 5]
    unbounded = generations(10, None)
    assert [next(unbounded) for _ in range(3)] == [10, 10, 10]


def test_ses_energy_drifts_under_random_rewards_unless_renormalised(lab, bands):
    """The drift of the original: from 1 to 1.37 in the fifth generation."""

    def energies(renormalise: bool) -> np.ndarray:
        bands.clear()
        for problem in range(60):
            outcome_of(
                lab, SES(candidates=50, renormalise=renormalise), DDIM(steps=1, eta=0.0), NullRewards(), problem=problem
            )
        return np.square(bands).reshape(60, 5, -1).mean(axis=(0, 2))

    free = energies(renormalise=False)
    assert free[0] == pytest.approx(1.0, abs=0.06)
    assert 1.25 < free[4] < 1.5
    np.testing.assert_allclose(energies(renormalise=True), 1.0, rtol=1e-12)


def test_ses_survives_rewards_of_minus_infinity(lab):
    class Dead:
        absolute = True

        def reward(self, images, conditions):
            return images.new_full((len(images),), -math.inf)

    assert outcome_of(lab, SES(candidates=20), SAMPLER, Dead()).reward == -math.inf


def test_ses_refuses_bad_parameters():
    with pytest.raises(ValueError, match=r"search\.population is 0"):
        SES(population=0)
    with pytest.raises(ValueError, match=r"search\.level is -1"):
        SES(level=-1)
