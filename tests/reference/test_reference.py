"""Every method, draw by draw, beside a naive implementation that was written from its paper."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from its.dataset.mixture import Mixture
from its.engine.tape import Tape
from its.particles.verbs import Reward
from its.sampler.ddim import DDIM
from its.search.beam import Beam
from its.search.bfs_prune import BFSPrune
from its.search.bfs_resample import BFSResample
from its.search.dfs import DFS
from its.search.dlbs import DLBS
from its.search.dsearch import DSearch
from its.search.dts import DTS
from its.search.eps_greedy import EpsGreedy
from its.search.evosearch import EvoSearch
from its.search.fk import FK
from its.search.flowchef import FlowChef
from its.search.halving import Halving
from its.search.lidar import LiDAR
from its.search.more_steps import MoreSteps
from its.search.none import NoSearch
from its.search.paths import Paths
from its.search.random import Random
from its.search.rbf import RBF
from its.search.reno import ReNO
from its.search.ses import SES
from its.search.svdd import SVDD
from its.search.tds import TDS
from its.search.treeg import TreeG
from its.search.trs import TRS
from its.search.ug_fm import UGFM
from its.search.zero_order import ZeroOrder
from tests.conftest import Lab
from tests.reference import ascents, particles, proposals, rollouts, trees
from tests.reference.naive import Naive
from tests.search.trace import traced

STEPS = 8
OVERLAPPING = Lab(Mixture(std=0.5))
"""Where components lie apart, the gradient of a log-probability near 0 is rounding, and its direction anything."""
PROBLEMS = (1, 2)


def agree(lab, search, reference, eta: float = 1.0, calls: float = math.inf, **options) -> None:
    """Assert that search and reference score, choose and pay the same from the same draws.

    `calls` is a cap in verifier calls.
    """
    tape, logs = Tape(), {problem: [] for problem in PROBLEMS}
    guided, gradients = search.guidance is not None or search.takes_gradients is not None, search.takes_gradients
    lab = replace(lab, guided=guided)
    engine = lab.engine(DDIM(steps=STEPS, eta=eta), batch=8, rows=8192, noise=tape)
    body = lambda image: traced(search, logs[image.problem.index])(image)  # noqa: E731
    script = lab.script(body, search.anytime, guidance=search.guidance, takes_gradients=gradients)
    results = lab.results(engine, script, (calls,), PROBLEMS, "nfe" if math.isinf(calls) else "verifier_calls")
    for problem, log in logs.items():
        outcome = results[problem].outcomes[0]
        naive = Naive(lab.data.means, lab.data.std, tape.draws[problem], lab.data.condition(problem), STEPS, eta)
        image, nfe, *notes = reference(naive, **options)
        rewards = [number for request, reply in log if isinstance(request, Reward) for number in reply]
        np.testing.assert_allclose(naive.rewards, rewards, rtol=1e-5, atol=1e-9)
        pixels = np.clip(np.round(127.5 * (image.reshape(4, 4, 1) + 1)), 0, 255)
        np.testing.assert_array_equal(outcome.image, pixels)
        assert naive.reward(image) == pytest.approx(outcome.reward, rel=1e-5, abs=1e-9)
        assert nfe == outcome.ledger["nfe"]
        np.testing.assert_allclose(notes, [*outcome.notes.values()], rtol=1e-5)
        assert not naive.unread


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_no_search_equals_the_naive_oracle(lab, eta):
    agree(lab, NoSearch(), rollouts.random, eta, n=1)


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_random_equals_the_naive_oracle(lab, eta):
    agree(lab, Random(candidates=7), rollouts.random, eta, n=7)


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_random_under_a_cap_of_calls_equals_the_naive_oracle(lab, eta):
    agree(lab, Random(block=3), rollouts.random, eta, calls=7, n=7)


@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize("steps", [5, 13, 40])
def test_more_steps_equals_the_naive_oracle(lab, steps, eta):
    agree(lab, MoreSteps(steps), rollouts.more_steps, eta, steps=steps)


def test_ses_equals_the_naive_oracle(lab):
    search = SES(population=6, elites=4, candidates=18)
    agree(lab, search, rollouts.ses, eta=0.0, population=6, elites=4, generations=3)


@pytest.mark.parametrize("temperature", [0.005, 0.01, 0.02, 0.05, 5.0])
def test_bfs_resample_equals_the_naive_oracle(lab, temperature):
    agree(
        lab,
        BFSResample(temperature, start=2, step_size=2, particles=6),
        particles.bfs_resample,
        n=6,
        temperature=temperature,
        checks=[2, 4, 6],
    )


@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize("temperature", [0.02, 0.1, 5.0])
def test_bfs_prune_equals_the_naive_oracle(lab, temperature, eta):
    agree(
        lab,
        BFSPrune(temperature, start=2, step_size=2, particles=6, populations=1),
        particles.bfs_prune,
        eta,
        n=6,
        temperature=temperature,
        checks=[2, 4, 6],
    )


@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize(("shares", "stops"), [([0.25, 0.5, 0.75], [2, 4, 6]), ([0.0, 0.9], [0, 7])])
@pytest.mark.parametrize("n", [1, 2, 7])
def test_halving_equals_the_naive_oracle(lab, n, shares, stops, eta):
    agree(lab, Halving(shares, particles=n), particles.halving, eta, n=n, stops=stops)


@pytest.mark.parametrize("greedy", [False, True])
@pytest.mark.parametrize(
    ("every", "width", "growth", "strength"), [(1, 1.0, 0.5, None), (3, 1.0, 0.5, None), (2, 1.5, 0.4, 0.01)]
)
def test_dts_equals_the_naive_oracle(lab, every, width, growth, strength, greedy):
    options = {"every": every, "width": width, "growth": growth, "strength": strength, "greedy": greedy, "rollouts": 20}
    agree(lab, DTS(**options), trees.dts, **options)


@pytest.mark.parametrize("every", [1, 3])
def test_svdd_equals_the_naive_oracle(lab, every):
    agree(lab, SVDD(every, children=4), particles.svdd, children=4, every=every)


@pytest.mark.parametrize("every", [1, 3])
def test_beam_equals_the_naive_oracle(lab, every):
    agree(lab, Beam(3, every, children=2), particles.beam, beams=3, children=2, every=every)


@pytest.mark.parametrize("ahead", [1, 2, 6])
def test_dlbs_equals_the_naive_oracle(lab, ahead):
    agree(lab, DLBS(3, lookahead=ahead, children=2), particles.dlbs, beams=3, children=2, ahead=ahead)


@pytest.mark.parametrize(("n", "rate"), [(1, 4), (2, 2), (1, 1)])
def test_dsearch_equals_the_naive_oracle(lab, n, rate):
    search = DSearch(rate * n, final_beams=n, expansion=1.5, children=2)
    agree(lab, search, particles.dsearch, n=n, rate=rate, children=2, w=1.5)


@pytest.mark.parametrize(
    ("resampler", "ess", "final"), [("multinomial", 0.5, "best"), ("systematic", 1.0, "sample"), ("ssp", 0.5, "sample")]
)
@pytest.mark.parametrize("potential", ["diff", "max", "add", "rt"])
def test_fk_equals_the_naive_oracle(lab, potential, resampler, ess, final):
    strength = 0.05
    agree(
        lab,
        FK(strength, potential, resampler, start=1, every=2, end=6, ess=ess, final=final, particles=6),
        particles.fk,
        particles=6,
        strength=strength,
        potential=potential,
        resampler=resampler,
        checks=[1, 3, 5],
        ess=ess,
        final=final,
    )


@pytest.mark.parametrize("tempering", [None, 0.008])
@pytest.mark.parametrize(
    ("resampler", "ess", "final"),
    [("systematic", 1.0, "sample"), ("ssp", 0.5, "heaviest"), ("multinomial", 0.8, "best")],
)
def test_tds_and_das_equal_the_naive_oracle(lab, tempering, resampler, ess, final):
    strength = 0.05
    agree(
        lab,
        TDS(strength, tempering, resampler, ess, final, particles=6),
        particles.tds,
        particles=6,
        strength=strength,
        gamma=tempering,
        resampler=resampler,
        ess=ess,
        final=final,
    )


@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize(("depth", "start", "step"), [(3, 3, 2), (6, 4, 1), (9, 2, 3)])
def test_dfs_equals_the_naive_oracle(lab, depth, start, step, eta):
    agree(
        lab,
        DFS(0.7, depth, start, step, backtracks=6),
        rollouts.dfs,
        eta,
        threshold=0.7,
        depth=depth,
        checks=range(start, STEPS, step),
        backtracks=6,
    )


@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize(("n", "m"), [(1, 3), (3, 2)])
def test_paths_equals_the_naive_oracle(lab, n, m, eta):
    agree(
        lab,
        Paths(paths=n, steps=3, noises=m),
        rollouts.paths,
        eta,
        n=n,
        m=m,
        steps=3,
        sigma=0.11,
        forward=0.78,
        backward=0.81,
    )


@pytest.mark.parametrize("nfe", [20, 60])
def test_rbf_equals_the_naive_oracle(lab, nfe):
    agree(lab, RBF(pool=0.1, nfe=nfe), rollouts.rbf, nfe=nfe, pool=nfe // 10)


@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize("stops", [[0, 3, 5, 6], [2], [0]])
def test_evosearch_equals_the_naive_oracle(lab, stops, eta):
    agree(
        lab,
        EvoSearch([stop / STEPS for stop in stops], population=5, offspring=3),
        rollouts.evosearch,
        eta,
        population=5,
        offspring=3,
        stops=stops,
        mutation=0.2,
        subset=0.9,
    )


@pytest.mark.parametrize("epsilon", [0.0, 0.4, 1.0])
def test_eps_greedy_equals_the_naive_oracle(lab, epsilon):
    agree(
        lab,
        EpsGreedy(epsilon=epsilon, candidates=3, rounds=2),
        rollouts.eps_greedy,
        radius=0.15,
        epsilon=epsilon,
        candidates=3,
        rounds=2,
    )


@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize("pivot", ["paper", "keep", "peer"])
def test_zero_order_equals_the_naive_oracle(lab, pivot, eta):
    agree(
        lab,
        ZeroOrder(0.8, neighbors=3, rounds=5, pivot=pivot),
        rollouts.zero_order,
        eta,
        cosine=0.8,
        neighbors=3,
        rounds=5,
        pivot=pivot,
    )


@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize(("strength", "scale", "end"), [(0.05, 1.0, 0.2), (0.005, 3.0, 0.5), (5000.0, 12.5, 0.2)])
def test_lidar_equals_the_naive_oracle(lab, strength, scale, end, eta):
    agree(
        lab,
        LiDAR(strength, scale, steps=5, end=end, samples=6),
        proposals.lidar,
        eta,
        samples=6,
        lookahead=5,
        strength=strength,
        scale=scale,
        end=end,
    )


@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize("clip", [0.1, 100.0])
def test_reno_equals_the_naive_oracle(lab, clip, eta):
    """A rate of 5 overshoots here; the gradients of the first of these clips are cut, those of the second are not."""
    options = {"rate": 1.0 if clip < 1 else 0.003, "momentum": 0.9, "clip": clip, "weight": 0.01, "iterations": 7}
    agree(lab, ReNO(**options), ascents.reno, eta, **options)


@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize("through", ["network", "guess"])
@pytest.mark.parametrize("share", [0.4, 1.0])
def test_ug_fm_equals_the_naive_oracle(share, through, eta):
    options = {"share": share, "length": 0.3, "through": through, "ascents": 3}
    agree(OVERLAPPING, UGFM(**options), ascents.ug_fm, eta, **options)


@pytest.mark.parametrize("share", [0.4, 1.0])
def test_flowchef_equals_the_naive_oracle(share):
    options = {"share": share, "length": 0.05, "ascents": 3}
    agree(OVERLAPPING, FlowChef(**options), ascents.flowchef, eta=0.0, **options)


@pytest.mark.parametrize(("warmup", "batch", "regions", "iterations"), [(9, 7, 4, 12), (3, 2, 3, 12), (2, 1, 1, 40)])
def test_trs_equals_the_naive_oracle(lab, warmup, batch, regions, iterations):
    search = TRS(warmup, batch, regions, candidates=warmup + iterations * batch)
    agree(lab, search, rollouts.trs, eta=0.0, warmup=warmup, batch=batch, regions=regions, iterations=iterations)


@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize(("beams", "proposals", "rounds"), [(2, 4, 2), (3, 2, 1), (1, 3, 3)])
def test_treeg_equals_the_naive_oracle(lab, beams, proposals, rounds, eta):
    agree(
        lab,
        TreeG(0.5, proposals, rounds, beams),
        particles.treeg,
        eta,
        beams=beams,
        proposals=proposals,
        rounds=rounds,
        scale=0.5,
    )


def test_treeg_under_a_cap_of_calls_equals_the_naive_oracle(lab):
    """2 beams of 4 proposals in 2 rounds of 7 steps and 2 images are 114 calls."""
    search = TreeG(proposals=4, beams=2)
    agree(lab, search, particles.treeg, calls=114, beams=2, proposals=4, rounds=2, scale=0.5)
