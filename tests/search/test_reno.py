import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from its.engine.tape import Tape
from its.levels import Columns
from its.particles.verbs import Gradient, advance, reward
from its.sampler.ddim import DDIM
from its.search.none import NoSearch
from its.search.random import Random
from its.search.reno import ReNO
from its.verifier.classifier import Classifier
from tests.search.trace import traced

STEPS = 3
PLAIN = DDIM(steps=STEPS, eta=0.0)


class Wide(DDIM):
    """Noise at the top of a grid is three times as large."""

    def prior_std(self, path, level):
        return 3.0


@pytest.fixture(scope="module")
def guided(lab):
    return replace(lab, guided=True)


def noises_by_torch(lab, sampler, noise: np.ndarray, condition: int, search: ReNO) -> list[np.ndarray]:
    """The noise of each iteration, by torch's own clipping and SGD on the authors' loss."""
    model = lab.denoiser()
    grid, std = sampler.grid(model.path), sampler.prior_std(model.path, None)
    e, noises = torch.tensor(noise, requires_grad=True), []
    optimiser = torch.optim.SGD([e], lr=search.rate, momentum=search.momentum, nesterov=True)
    for _ in range(search.iterations - 1):
        noises.append(e.detach().numpy().copy())
        x = std * e[None]
        for t, s in pairwise(grid):
            guess = model(x, Columns.of([t], x.ndim, "cpu"), [condition])
            x = s.alpha * guess.x0 + s.sigma * guess.eps
        norm = torch.linalg.vector_norm(e)
        loss = search.weight * (0.5 * norm**2 - (e.numel() - 1) * torch.log(norm))
        loss = loss - Classifier(lab.logits).reward(x, [condition])[0]
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([e], search.clip)
        optimiser.step()
    return noises


@pytest.mark.parametrize(("sampler", "std"), [(PLAIN, 1.0), (Wide(steps=STEPS, eta=0.0), 3.0)])
@pytest.mark.parametrize(("clip", "rate"), [(0.1, 1.0), (1e6, 0.001)])
def test_reno_steps_are_those_of_torch(guided, clip, rate, sampler, std):
    """Clipped, as nearly always in the paper, and not."""
    search, log = ReNO(rate=rate, weight=0.5, clip=clip, iterations=7), []
    script = guided.script(traced(search, log), anytime=True, takes_gradients="sampler")
    guided.results(guided.engine(sampler), script, (math.inf,), [1])
    found = [reply[0].x / std for request, reply in log if isinstance(request, Gradient)]
    expected = noises_by_torch(guided, sampler, found[0], guided.data.condition(1), search)
    assert len(found) == len(expected) == 6
    np.testing.assert_allclose(np.stack(found), np.stack(expected), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_reno_of_one_iteration_is_plain_sampling_and_takes_no_gradient(guided, eta):
    sampler = DDIM(steps=STEPS, eta=eta)
    searches = ReNO(iterations=1), NoSearch()
    bits = [guided.bits(guided.engine(sampler), search, (math.inf,), range(4)) for search in searches]
    assert bits[0] == bits[1]


def test_reno_goes_back_through_all_but_the_last_of_its_own_iterations_and_through_every_one_under_a_cap(guided):
    own, capped = (
        guided.results(guided.engine(PLAIN), search, (cap,), [0])[0].outcomes[0].ledger
        for search, cap in ((ReNO(iterations=5), math.inf), (ReNO(), 5 * STEPS))
    )
    counted = ("nfe", "nfe_backward", "guide_calls", "verifier_calls")
    assert [own[key] for key in counted] == [15, 12, 4, 5]
    assert [capped[key] for key in counted] == [15, 15, 5, 5]


def test_reno_meets_the_same_step_noise_in_every_iteration(guided):
    """Under an ancestral sampler x_T alone moves, so that a rate of 0 makes one image again and again."""
    tape = Tape()
    engine = guided.engine(DDIM(steps=STEPS, eta=1.0), noise=tape, keep_candidates=True)
    [result] = guided.results(engine, ReNO(rate=0.0, iterations=4), (math.inf,), [0]).values()
    assert len({round(candidate.reward, 9) for candidate in result.candidates}) == 1
    assert len(tape.draws[0]) == STEPS  # the start and the noise of all steps but the last


def test_reno_in_fewer_steps_costs_those_and_keeps_the_start_that_it_moved(guided):
    """The result is what the start comes to in so many steps, which is how it is rendered in others."""
    engine = guided.engine(DDIM(steps=4, eta=0.0), batch=4)
    [outcome] = guided.results(engine, ReNO(rate=1.0, steps=1, iterations=8), (math.inf,), [0])[0].outcomes
    assert (outcome.ledger["nfe"], outcome.ledger["nfe_backward"]) == (8, 7)

    def again(image):
        yield reward((yield advance([image.start_from(outcome.start)])))

    [rendered] = guided.results(guided.engine(DDIM(steps=1, eta=0.0)), guided.script(again), (math.inf,), [0]).values()
    assert rendered.outcomes[0].reward == pytest.approx(outcome.reward, rel=1e-12)


def test_reno_finds_higher_rewards_than_as_many_random_noises(guided):
    """16 samplings each, forwards alone: ReNO goes back through all of them besides."""

    def mean(search):
        results = guided.results(guided.engine(PLAIN), search, (16 * STEPS,), range(30)).values()
        return np.mean([result.outcomes[0].reward for result in results])

    assert mean(ReNO()) > mean(Random())


@pytest.mark.parametrize(("values", "words"), [({"iterations": 0}, "iterations is 0"), ({"steps": 0}, "steps is 0")])
def test_reno_refuses_what_makes_no_image(values, words):
    with pytest.raises(ValueError, match=words):
        ReNO(**values)
