import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from its.dataset.mixture import Mixture
from its.particles.verbs import Gradient
from its.sampler.ddim import DDIM
from its.sampler.euler import Euler
from its.search.flowchef import FlowChef
from its.search.none import NoSearch
from its.search.parts.ascent import late_levels
from its.search.ug_fm import UGFM
from tests.conftest import Lab
from tests.search.trace import traced

GUIDED = Lab(Mixture(std=0.5), guided=True)
STEPS = 10
"""Times of DDIM here are 999, 899, ..., 99: three of them are late."""
ODE = DDIM(steps=STEPS, eta=0.0)
PATHS = {"vp": ODE, "flow": Euler(steps=STEPS)}


def outcomes(search, sampler=ODE, caps=(math.inf,), path="vp", indices=range(4)):
    engine = GUIDED.engine(sampler, GUIDED.denoiser(path=path), batch=32)
    return [GUIDED.results(engine, search, caps, indices)[index].outcomes for index in indices]


@pytest.mark.parametrize("sampler", [ODE, DDIM(steps=STEPS, eta=1.0)])
@pytest.mark.parametrize("search", [UGFM(ascents=0), FlowChef(ascents=0)])
def test_no_ascents_are_plain_sampling_to_the_bit(search, sampler):
    bits = [GUIDED.bits(GUIDED.engine(sampler, batch=8), each, (math.inf,), range(4)) for each in (search, NoSearch())]
    assert bits[0] == bits[1]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("through", ["network", "guess"])
def test_ug_fm_pays_for_every_ascent_and_flowchef_for_none(path, through):
    [[outcome], *_] = outcomes(UGFM(through=through, ascents=4), PATHS[path], path=path)
    counted = {key: outcome.ledger[key] for key in ("nfe", "nfe_backward", "guide_calls", "verifier_calls")}
    back = 3 * 4 if through == "network" else 0
    assert counted == {"nfe": STEPS + 3 * 4, "nfe_backward": back, "guide_calls": 12, "verifier_calls": 1}
    [[outcome], *_] = outcomes(FlowChef(ascents=4), PATHS[path], path=path)
    counted = {key: outcome.ledger[key] for key in counted}
    assert counted == {"nfe": STEPS, "nfe_backward": 0, "guide_calls": 12, "verifier_calls": 1}


def test_a_cap_decides_the_ascents_of_ug_fm_and_all_of_it_is_spent():
    """What does not go round goes to the later steps."""
    log = []
    script = GUIDED.script(traced(UGFM(ascents=10), log), takes_gradients="network")
    engine = GUIDED.engine(ODE)
    GUIDED.results(engine, script, (STEPS + 8,), [0])
    times = [request.particles[0].level.time for request, _ in log if isinstance(request, Gradient)]
    assert [times.count(time) for time in (299, 199, 99)] == [2, 3, 3]
    for cap in (STEPS, STEPS + 1, STEPS + 8, 50):
        assert [outcome.ledger["nfe"] for [outcome] in outcomes(UGFM(), caps=(cap,))] == [cap] * 4


@pytest.mark.parametrize("search", [UGFM(share=0.5), FlowChef(share=0.5)])
def test_ascents_raise_the_reward_and_more_of_them_raise_it_further(search):
    rewards = [
        np.array([outcome.reward for [outcome] in outcomes(replace(search, ascents=n), indices=range(24))])
        for n in (0, 1, 2)
    ]
    for fewer, more in pairwise(rewards):
        assert (more - fewer).mean() > 3 * (more - fewer).std() / math.sqrt(24)


@pytest.mark.parametrize("path", PATHS)
def test_late_levels_are_those_below_a_share_of_the_noisiest_time(path):
    seen = []

    def body(image):
        seen.append([late_levels(image, share) for share in (0.05, 0.3, 1.0)])
        return (yield from NoSearch().run(image))

    engine = GUIDED.engine(PATHS[path], GUIDED.denoiser(path=path))
    GUIDED.results(engine, GUIDED.script(body), (math.inf,), [0])
    assert [len(levels) for levels in seen[0]] == [0, 3, STEPS]


@pytest.mark.parametrize(
    ("kind", "values", "words"),
    [
        (UGFM, {"share": 0.0}, "share is 0.0; it is a share"),
        (UGFM, {"through": "sampler"}, "through is 'sampler'"),
        (UGFM, {"length": -0.1}, "length is -0.1"),
    ],
)
def test_bad_parameters_are_refused(kind, values, words):
    with pytest.raises(ValueError, match=words):
        kind(**values)
