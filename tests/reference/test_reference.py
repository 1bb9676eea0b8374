"""Every method, draw by draw, beside a naive implementation that was written from its paper."""

from __future__ import annotations

import math

import numpy as np
import pytest

from its.engine.tape import Tape
from its.particles.verbs import Reward
from its.sampler.ddim import DDIM
from its.search.beam import Beam
from its.search.bfs_prune import BFSPrune
from its.search.bfs_resample import BFSResample
from its.search.dfs import DFS
from its.search.eps_greedy import EpsGreedy
from its.search.evosearch import EvoSearch
from its.search.fk import FK
from its.search.more_steps import MoreSteps
from its.search.none import NoSearch
from its.search.paths import Paths
from its.search.random import Random
from its.search.rbf import RBF
from its.search.ses import SES
from its.search.svdd import SVDD
from its.search.treeg import TreeG
from its.search.trs import TRS
from its.search.zero_order import ZeroOrder
from tests.reference import particles, rollouts
from tests.reference.naive import Naive
from tests.search.trace import traced

STEPS = 8
PROBLEMS = (1, 2)


def agree(lab, search, reference, eta: float = 1.0, calls: float = math.inf, **options) -> None:
    """Assert that search and reference score, choose and pay the same from the same draws.

    `calls` is a cap in verifier calls.
    """
    tape, logs = Tape(), {problem: [] for problem in PROBLEMS}
    engine = lab.engine(DDIM(steps=STEPS, eta=eta), batch=8, rows=8192, noise=tape)
    script = lab.script(lambda image: traced(search, logs[image.problem.index])(image), anytime=search.anytime)
    results = lab.results(engine, script, (calls,), PROBLEMS, "nfe" if math.isinf(calls) else "verifier_calls")
    for problem, log in logs.items():
        outcome = results[problem].outcomes[0]
        naive = Naive(lab.data.means, lab.data.std, tape.draws[problem], lab.data.condition(problem), STEPS, eta)
        image, nfe = reference(naive, **options)
        rewards = [number for request, reply in log if isinstance(request, Reward) for number in reply]
        np.testing.assert_allclose(naive.rewards, rewards, rtol=1e-5, atol=1e-9)
        pixels = np.clip(np.round(127.5 * (image.reshape(4, 4, 1) + 1)), 0, 255)
        np.testing.assert_array_equal(outcome.image, pixels)
        assert naive.reward(image) == pytest.approx(outcome.reward, rel=1e-5, abs=1e-9)
        assert nfe == outcome.ledger["nfe"]
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


@pytest.mark.parametrize("every", [1, 3])
def test_svdd_equals_the_naive_oracle(lab, every):
    agree(lab, SVDD(every, children=4), particles.svdd, children=4, every=every)


@pytest.mark.parametrize("every", [1, 3])
def test_beam_equals_the_naive_oracle(lab, every):
    agree(lab, Beam(3, every, children=2), particles.beam, beams=3, children=2, every=every)


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
