"""Where a sampling's steps lie."""

from hashlib import sha256
from itertools import pairwise

import numpy as np
import pytest
from diffusers import DDIMScheduler, HeunDiscreteScheduler

from its.model.mixture import linear_vp
from its.particles.prices import Prices
from its.sampler.ddim import DDIM
from its.sampler.heun import Heun
from its.sampler.noise_paths import VP, Flow
from its.sampler.spacing import SPACINGS, spaced

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
def test_spacing_whole_times_equal_those_of_diffusers(spacing):
    """For every number of steps, halves that round to even included (trailing, 16 steps: 937.5)."""
    scheduler = DDIMScheduler(timestep_spacing=spacing)
    for steps in range(1, 1001):
        scheduler.set_timesteps(steps)
        assert spaced(spacing, steps, 1000, whole=True).tolist() == scheduler.timesteps.tolist()[:steps], steps


@pytest.mark.parametrize("steps", [5, 16, 50, 333])
def test_spacing_fractional_times_equal_those_of_diffusers_heun(steps):
    scheduler = HeunDiscreteScheduler()
    scheduler.set_timesteps(steps)
    np.testing.assert_allclose(spaced("linspace", steps, 1000, whole=False), scheduler.timesteps[::2], rtol=1e-6)


def test_spacing_quadratic_follows_ddim_without_repeated_times():
    """Song et al.'s rule for CIFAR-10, with colliding times moved apart."""
    assert spaced("quadratic", 10, 1000, whole=True).tolist() == [
        int(t) for t in (np.linspace(0, np.sqrt(800), 10) ** 2)[::-1]
    ]
    times = spaced("quadratic", 300, 1000, whole=True)
    assert (np.diff(times) < 0).all()
    assert times[-1] == 0
    assert times[0] == 800


def test_spacing_inclusive_keeps_both_ends():
    """As improved-diffusion's space_timesteps(1000, "250")."""
    times = spaced("inclusive", 250, 1000, whole=True)
    assert (times[0], times[-1], len(set(times))) == (999, 0, 250)
    assert times[::-1].tolist() == [round(k * 999 / 249) for k in range(250)]


def test_spacing_inclusive_equals_space_timesteps_for_every_number_of_steps():
    """A hash of guided-diffusion's own times, run outside: its running sum meets halves (499.5) from either side."""
    digest = sha256()
    for steps in range(1, 1001):
        digest.update(repr(spaced("inclusive", steps, 1000, whole=True)[::-1].astype(int).tolist()).encode())
    assert digest.hexdigest()[:16] == "3b9d245afd1d617c"


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("schedule", [linear_vp(), Flow(), Flow(shift=3.0)], ids=["vp", "flow", "shifted"])
def test_spacing_grids_descend_to_the_clean_level(schedule, spacing):
    for steps in (2, 10, 250, 500, 1000):
        grid = schedule.grid(steps, spacing)
        ratio = [level.sigma / max(level.alpha, 1e-300) for level in grid]
        assert len(grid) == steps + 1
        assert all(a > b for a, b in pairwise(ratio))
        assert grid[-1].clean
        assert not any(level.clean for level in grid[:-1])


def test_vp_offset_moves_leading_times_only():
    table = linear_vp().alphas_cumprod
    assert [t.time for t in VP(table, offset=1).grid(4, "leading")] == [751, 501, 251, 1, -1]
    assert [t.time for t in VP(table, offset=1).grid(4, "trailing")] == [999, 749, 499, 249, -1]


def test_vp_levels_preserve_variance_and_read_the_table():
    schedule = linear_vp()
    for time in (0, 3, 500, 999):
        level = schedule.level(time)
        assert level.alpha**2 + level.sigma**2 == pytest.approx(1, abs=1e-12)
        assert level.alpha**2 == pytest.approx(schedule.alphas_cumprod[time], rel=1e-12)


def test_flow_shift_moves_the_middle_level_towards_noise():
    level = Flow(shift=3.0, time_scale=1000.0).grid(2, "trailing")[1]
    assert (level.sigma, level.alpha, level.time) == (0.75, 0.25, 750.0)


def test_ddim_takes_listed_times_and_refuses_another_number_of_steps():
    grid = DDIM(steps=3, spacing=[900, 500, 20], eta=0.0).grid(linear_vp())
    assert [level.time for level in grid] == [900, 500, 20, -1]
    with pytest.raises(ValueError, match="lists 3 times, and 2 steps"):
        DDIM(steps=3, spacing=[900, 500, 20], eta=0.0).grid(linear_vp(), 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DDIM(steps=0, eta=0.0), "at least 1"),
        (lambda: DDIM(steps=2, eta=1.5), "between 0"),
        (lambda: DDIM(steps=2, spacing="cosine", eta=0.0).grid(linear_vp()), "choose one of"),
        (lambda: DDIM(steps=1001, eta=0.0).grid(linear_vp()), "between 1 and 1000"),
        (lambda: DDIM(steps=2, eta=0.0).grid(linear_vp(), 0), "between 1 and 1000"),
        (lambda: DDIM(steps=2, spacing=[3, 3], eta=0.0).grid(linear_vp()), "descending times"),
        (lambda: DDIM(steps=2, spacing=[1000, 3], eta=0.0).grid(linear_vp()), "descending times"),
    ],
)
def test_ddim_refuses_bad_parameters(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("sampler", "slots", "whole", "rest"),
    [
        (DDIM(steps=10, eta=0.0), 1, 10, 6),
        (DDIM(steps=10, eta=0.0), 2, 20, 12),
        (Heun(steps=10), 1, 17, 9),
        (Heun(steps=10), 2, 34, 18),
    ],
)
def test_prices_count_the_evaluations_of_ddim_and_heun(sampler, slots, whole, rest):
    prices = Prices(linear_vp(), sampler, slots)
    grid = prices.grid
    assert prices.sampling == whole
    assert prices.cost(grid[4]) == rest
    assert prices.cost(grid[0], grid[4]) + prices.cost(grid[4]) == whole
    assert prices.cost(grid[4], grid[4]) == 0
    assert prices.cost(grid[4], steps=3) == (3 if isinstance(sampler, DDIM) else 5) * slots
    with pytest.raises(ValueError, match="steps is 1001; it lies between 1 and 1000"):
        prices.cost(grid[0], steps=1001)


def test_prices_route_has_equal_time_steps_and_ends_on_the_level():
    prices = Prices(linear_vp(), DDIM(steps=10, eta=0.0), 1)
    levels, _ = prices.route(prices.grid[3], prices.grid[7], 3, False)
    assert (levels[0], levels[-1], len(levels)) == (prices.grid[3], prices.grid[7], 4)
    np.testing.assert_allclose(np.diff([level.time for level in levels]), -400 / 3)
