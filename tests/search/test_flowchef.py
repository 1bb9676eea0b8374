import pytest

from its.sampler.euler import Euler
from its.search.flowchef import FlowChef
from its.search.ug_fm import UGFM
from tests.search.test_ug_fm import GUIDED, ODE, STEPS, outcomes


def test_flowchef_leaves_a_larger_cap_unspent():
    for small, large in outcomes(FlowChef(), caps=(STEPS, 50)):
        assert small.ledger == large.ledger
        assert (small.image == large.image).all()


class Matched(Euler):
    """Euler's steps on the linear path at the levels of DDIM's, where sigma / alpha is the same."""

    def layout(self, path, steps=None):
        levels = ODE.layout(GUIDED.denoiser().path, steps)
        return (*(path.level(each.sigma / (each.alpha + each.sigma)) for each in levels[:-1]), levels[-1])


@pytest.mark.parametrize("search", [UGFM(share=1, ascents=2), FlowChef(share=1, ascents=2)])
def test_ascents_are_the_same_on_every_path(search):
    """A row of the VP path is one of the linear path, times alpha + sigma: so are steps and the velocity that stays."""
    top = GUIDED.denoiser().path.noisiest

    class Scaled(Matched):
        def prior_std(self, path, level):
            return 1 / (top.alpha + top.sigma)

    vp = outcomes(search, ODE)
    flow = outcomes(search, Scaled(steps=STEPS), path="flow")
    for [ours], [theirs] in zip(vp, flow, strict=True):
        assert ours.reward == pytest.approx(theirs.reward, rel=1e-5)
