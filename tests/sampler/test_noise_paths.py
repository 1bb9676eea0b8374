"""Noise paths: their levels and the grids laid out on them."""

from itertools import pairwise

import pytest

from its.sampler.noise_paths import EDM, Flow, cosine_vp, linear_vp


@pytest.mark.parametrize(
    "path",
    [linear_vp(), cosine_vp(), Flow(), Flow(shift=3.0, time_scale=1000.0), EDM()],
    ids=["vp", "cosine", "flow", "shifted", "edm"],
)
def test_noise_paths_make_a_grid_of_their_listable_times(path):
    times = path.listable
    assert len(times) == path.most_steps
    grid = path.grid(len(times), times, whole=True)
    ratio = [level.sigma / max(level.alpha, 1e-300) for level in grid]
    assert all(a > b for a, b in pairwise(ratio))
    chosen = times[3::100]
    assert [level.sigma for level in path.grid(len(chosen), chosen, whole=True)[:-1]] == [
        level.sigma for level in grid[3:-1:100]
    ]
