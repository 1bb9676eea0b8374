"""The level of a sampler's grid at which images are probed."""

from itertools import pairwise

import numpy as np
import pytest

from its.levels import Level
from its.particles.probe import Probe, noise_share
from its.sampler.ddim import DDIM
from its.sampler.dpmpp_2m import DPMpp2M
from its.sampler.euler import Euler
from its.sampler.flow_vp import FlowVP
from its.sampler.heun import Heun
from its.sampler.noise_paths import EDM, Flow, linear_vp

VP_SHARES = np.sqrt(1 / np.cumprod(1 - np.linspace(1e-4, 0.02, 1000)) - 1)
VP_SHARES = VP_SHARES / (1 + VP_SHARES)
"""sigma / (alpha + sigma) at each training step of Ho et al.'s betas."""

GRIDS = {
    "ddim-10": (DDIM(steps=10), linear_vp(), lambda level: VP_SHARES[round(level.time)]),
    "ddim-250": (DDIM(steps=250, spacing="leading"), linear_vp(), lambda level: VP_SHARES[round(level.time)]),
    "dpmpp-20": (DPMpp2M(steps=20), linear_vp(), lambda level: VP_SHARES[round(level.time)]),
    "edm-18": (Heun(steps=18, spacing="karras"), EDM(), lambda level: level.time**7 / (1 + level.time**7)),
    "euler-25": (Euler(steps=25), Flow(), lambda level: level.time),
    "heun-25": (Heun(steps=25), Flow(), lambda level: level.time),
    "flow_vp-20": (FlowVP(steps=20, spacing="linear"), Flow(), lambda level: level.time),
    "listed": (Euler(steps=4, spacing=[1.0, 0.7, 0.45, 0.36]), Flow(), lambda level: level.time),
}


@pytest.mark.parametrize("share", [0.4, 0.15, 0.8])
@pytest.mark.parametrize(("sampler", "path", "share_of"), GRIDS.values(), ids=GRIDS)
def test_probe_nearest_is_the_nearest_level_but_the_last(sampler, path, share_of, share):
    grid = sampler.grid(path)
    shares = np.array([share_of(level) for level in grid[:-2]])
    probe = Probe.nearest(grid, share)
    assert probe.level == grid[int(np.argmin(abs(shares - share)))]
    assert noise_share(probe.level) == pytest.approx(share_of(probe.level), abs=1e-3)


def test_probe_nearest_takes_the_noisier_of_equals_and_needs_two_steps():
    grid = [Level(1 - t, t, t) for t in (1.0, 0.5, 0.25, 0.125, 0.0)]
    assert Probe.nearest(grid, 0.375).level.time == 0.5
    assert Probe.nearest(grid[:1] + grid[-2:], 0.125).level.time == 1.0, "the guess at the last level is the image"
    assert Probe.nearest(grid, None) is None
    with pytest.raises(ValueError, match=r"a sampling in one step has none; set sampler\.steps to 2 or more"):
        Probe.nearest(grid[:1] + grid[-1:], 0.4)


def test_probe_is_crossed_once_on_the_way_down():
    levels = [Level(1 - t, t, t) for t in (1.0, 0.5, 0.25, 0.0)]
    probe = Probe(levels[1])
    assert [probe.crossed(*pair) for pair in pairwise(levels)] == [False, True, False]
    assert [probe.passed(level) for level in levels] == [False, False, True, True]
    assert probe.crossed(levels[0], levels[3])
