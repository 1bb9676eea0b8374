"""Levels, columns of them, and the variances of a step."""

import math
from itertools import pairwise

import pytest

from its.levels import Columns, ancestral_variance, forward_std, forward_variance
from its.sampler.noise_paths import EDM, Flow, linear_vp

GRIDS = {
    "vp": linear_vp().grid(10, "trailing"),
    "flow": Flow().grid(10, "trailing"),
    "edm": EDM().grid(10, "karras"),
}


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_forward_variance_takes_a_row_from_s_to_t(grid):
    """A row at s whose signal is scaled to t has the noise of t only with the kernel's variance added."""
    for t, s in pairwise(grid):
        added = forward_variance(s, t)
        assert math.hypot(t.alpha / s.alpha * s.sigma, math.sqrt(added)) == pytest.approx(t.sigma, rel=1e-12)
        assert forward_std(s, t) == math.sqrt(added)


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_columns_have_the_variances_of_their_levels(grid):
    t, s = (Columns.of(levels, 2, "cpu") for levels in (grid[:-1], grid[1:]))
    forward = [forward_variance(b, a) for a, b in pairwise(grid)]
    ancestral = [ancestral_variance(a, b, 0.7) for a, b in pairwise(grid)]
    assert forward_variance(s, t).flatten().tolist() == pytest.approx(forward, rel=1e-12)
    assert ancestral_variance(t, s, 0.7).flatten().tolist() == pytest.approx(ancestral, rel=1e-12)


def test_ancestral_variance_of_vp_is_the_ddpm_posterior():
    """Ho et al. 2020 (arXiv:2006.11239), Eq. 7: beta (1 - abar_s) / (1 - abar_t)."""
    for t, s in list(pairwise(GRIDS["vp"]))[:-1]:
        beta = 1 - t.alpha**2 / s.alpha**2
        assert ancestral_variance(t, s, 1.0) == pytest.approx(beta * (1 - s.alpha**2) / (1 - t.alpha**2), rel=1e-9)
