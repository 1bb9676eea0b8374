import math

import numpy as np
import pytest
from scipy.stats import kstest

from its.particles.image import Image
from its.particles.verbs import Advance
from its.sampler.ddim import DDIM
from its.search import trs
from its.search.parts import trust_regions
from its.search.parts.trust_regions import TrustRegion, around, quasi_normal, shares
from its.search.trs import TRS
from its.verifier.null_rewards import NullRewards
from tests.search.trace import Scripted, outcome_of, traced

SAMPLER = DDIM(steps=2, eta=0.0)


@pytest.fixture
def noises(monkeypatch) -> list[np.ndarray]:
    """Every noise that a search places."""
    seen: list[np.ndarray] = []
    place = Image.place
    monkeypatch.setattr(Image, "place", lambda image, bases, x: seen.extend(x) or place(image, bases, x))
    return seen


class Host:
    """What drawing takes of an image: random numbers, all 0 if told so, and a shape."""

    def __init__(self, shape=(1, 4, 4), seed=0, *, zeros=False):
        self.shape, self.random, self.zeros = shape, self, zeros
        self.generator = np.random.Generator(np.random.Philox(key=seed))

    def uniform(self, n):
        return np.zeros(n) if self.zeros else self.generator.random(n)

    def normal(self, shape):
        return self.generator.standard_normal(shape)


def sides(outcomes: str) -> list[float]:
    """The side of a region after each success (s) or failure (f)."""
    region, seen = TrustRegion(), []
    for outcome in outcomes:
        region.update(outcome == "s")
        seen.append(round(region.side, 6))
    return seen


def test_a_region_grows_after_three_successes_in_a_row_and_shrinks_after_three_failures():
    assert sides("sssss") == [0.8, 0.8, 1.2, 1.2, 1.2]
    assert sides("ssfsssffsfff") == [0.8] * 5 + [1.2] * 6 + [0.8]


def test_a_region_s_side_stays_within_its_bounds_and_begins_anew_at_the_shortest():
    assert sides("sss" * 5)[2::3] == [1.2, 1.8, 2.4, 2.4, 2.4]
    lengths = sides("fff" * 9)[2::3]
    assert lengths[:6] == [round(0.8 / 1.5**k, 6) for k in range(1, 7)]
    assert lengths[6:] == [0.05, 0.8, round(0.8 / 1.5, 6)]


def test_candidates_lie_in_the_cube_and_move_a_share_of_its_coordinates():
    host = Host((1, 8, 8))
    centres, wide, share = np.ones((3000, 1, 8, 8)), np.full(3000, 0.6), np.repeat([0.0, 0.1, 0.9], 1000)
    change = around(centres, wide, share, host).reshape(3000, -1) - 1
    moved = change != 0
    assert (moved[:1000].sum(axis=1) == 1).all(), "at least one, by chance alike"
    assert moved[:1000].sum(axis=0).min() > 0
    assert moved[1000:2000].mean() == pytest.approx(0.1, abs=0.01)
    assert moved[2000:].mean() == pytest.approx(0.9, abs=0.01)
    assert np.abs(change).max() <= 0.3
    assert kstest(change[moved] / 0.6 + 0.5, "uniform").pvalue > 1e-3
    drawn = shares(1000, host)
    assert kstest((drawn - 0.1) / 0.8, "uniform").pvalue > 1e-3


def test_quasi_normal_noise_is_normal_and_finite_and_depends_on_the_image_alone():
    noise = quasi_normal(80, Host((3, 16, 16)))
    assert noise.shape == (80, 3, 16, 16)
    assert np.isfinite(noise).all()
    assert kstest(noise.ravel(), "norm").pvalue > 1e-3
    np.testing.assert_array_equal(noise, quasi_normal(80, Host((3, 16, 16))))
    assert (noise != quasi_normal(80, Host((3, 16, 16), seed=1))).all()


def test_quasi_normal_noise_fills_every_coordinate_evenly():
    """Of 64 points each 64th of the law has one, which no independent draws have."""
    noise = quasi_normal(64, Host()).reshape(64, -1)
    cells = np.floor(64 * np.vectorize(math.erf)(noise / math.sqrt(2)) / 2 + 32)
    assert (np.sort(cells, axis=0) == np.arange(64)[:, None]).all()


def test_quasi_normal_noise_of_the_outermost_cells_is_finite(monkeypatch):
    """Sobol's points are multiples of 2^-30, 0 among them: unscrambled and not shifted, the first is 0 throughout."""
    monkeypatch.setattr(trust_regions, "sobol_cells", lambda d, doublings: np.array([[0] * d, [2**29] * d]))
    noise = quasi_normal(2, Host(zeros=True))
    assert -7 < noise[0].max() < -6
    assert abs(noise[1]).max() < 1e-6


def test_quasi_normal_noise_of_another_scramble_is_refused(monkeypatch):
    monkeypatch.setattr(trust_regions, "SCRAMBLED", [[1, 2], [3, 4]])
    trust_regions.sobol_cells.cache_clear()
    with pytest.raises(ValueError, match=r"scipy \S+ scrambles .* install scipy==1\.17\.1"):
        quasi_normal(5, Host())


def test_quasi_normal_noise_is_gaussian_where_sobol_has_no_directions(monkeypatch):
    monkeypatch.setattr(trust_regions, "SOBOL_DIMENSIONS", 15)
    np.testing.assert_array_equal(quasi_normal(5, Host()), Host().normal((5, 1, 4, 4)))


def test_trs_shares_its_batch_evenly_over_the_best_of_all(lab, noises):
    """Rewards fall with every image, so that the first noises stay the best and each candidate fails."""
    log: list = []
    search = TRS(warmup=6, batch=5, regions=3, candidates=6 + 3 * 5)
    outcome = outcome_of(lab, lab.script(traced(search, log)), SAMPLER)
    assert outcome.ledger["nfe"] == 21 * 2
    assert [len(request.particles) for request, _ in log if isinstance(request, Advance)] == [6, 5, 5, 5]
    rewards = [reply for request, reply in log if not isinstance(request, Advance)]
    for k in range(1, 4):
        before = np.concatenate(rewards[:k])
        centres = np.argsort(-before, kind="stable")[:3]
        first = len(before)
        for offset, rank in enumerate([0, 0, 1, 1, 2]):
            change = (noises[first + offset] - noises[centres[rank]]).ravel()
            assert (np.abs(change) <= 0.4 + 1e-12).all()
            assert (change == 0).any()


def test_a_region_succeeds_where_it_beats_its_own_centre(lab, monkeypatch):
    """The second region's candidates beat its centre three times and never the best; the first one's beat nothing."""
    seen: list[list[float]] = []

    def watched(centres, sides, *rest):
        seen.append(list(sides))
        return around(centres, sides, *rest)

    monkeypatch.setattr(trs, "around", watched)
    rewards = [10.0, 0.0, 1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 0.0, 0.0]
    engine = lab.engine(SAMPLER, None, Scripted(lambda k: rewards[k]), batch=1, verify_batch=1)
    lab.results(engine, TRS(warmup=2, batch=2, regions=2, candidates=10), (math.inf,), [0])
    assert seen == [pytest.approx(sides) for sides in [[0.8, 0.8]] * 3 + [[0.8 / 1.5, 1.2]]]


def test_trs_below_its_warm_up_is_best_of_quasi_random_noises(lab, noises):
    engine = lab.engine(SAMPLER, rows=8192)
    few, many = lab.results(engine, TRS(warmup=16), (8, 32), [0])[0].outcomes
    assert (few.ledger["nfe"], many.ledger["nfe"]) == (8, 32)
    assert many.reward >= few.reward
    same = np.array(noises[:16])
    noises.clear()
    lab.results(engine, TRS(warmup=16, batch=3, regions=1), (10,), [0])
    np.testing.assert_array_equal(noises[:16], same)


def test_candidates_have_more_energy_than_their_centres():
    """By share times the side's square over 12: the drift under random rewards."""
    host = Host((1, 64, 64))
    centres = host.normal((400, 1, 64, 64))
    gain = (around(centres, np.full(400, 0.8), np.full(400, 0.5), host) ** 2).mean() - (centres**2).mean()
    assert gain == pytest.approx(0.5 * 0.8**2 / 12, rel=0.05)


def test_trs_renormalises_every_noise(lab, noises):
    outcome_of(lab, TRS(warmup=10, batch=6, regions=4, renormalise=True, candidates=60), SAMPLER, NullRewards())
    np.testing.assert_allclose([np.square(x).mean() for x in noises], 1.0, rtol=1e-12)
    assert len({x.tobytes() for x in noises}) == len(noises) == 60


class Energetic:
    """Rewards the mean square of an image."""

    absolute = True

    def reward(self, images, conditions):
        return images.double().flatten(1).square().mean(1)


def test_trs_climbs_beyond_its_warm_up(lab):
    few, many = (
        outcome_of(lab, TRS(warmup=16, batch=4, regions=3, candidates=n), SAMPLER, Energetic()).reward
        for n in (16, 160)
    )
    assert many > few


def test_trs_survives_rewards_of_minus_infinity(lab):
    class Dead:
        absolute = True

        def reward(self, images, conditions):
            return images.new_full((len(images),), -math.inf)

    assert outcome_of(lab, TRS(warmup=4, batch=3, regions=2, candidates=20), SAMPLER, Dead()).reward == -math.inf


def test_trs_refuses_bad_parameters():
    for name in ("warmup", "batch", "regions"):
        with pytest.raises(ValueError, match=rf"search\.{name} is 0; it is a whole number of at least 1"):
            TRS(**{name: 0})
