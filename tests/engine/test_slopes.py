"""Gradients of the guide's score, against the exact denoiser's own by torch and against central differences."""

import math
import weakref
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from its.engine import Engine
from its.guidance.mpgd import MPGD
from its.levels import Columns
from its.model.mixture import MixtureDenoiser
from its.particles.verbs import advance, gradient, numbers, reward
from its.sampler.ddim import DDIM
from its.sampler.dpmpp_2m import DPMpp2M
from its.sampler.euler import Euler
from its.sampler.heun import Heun
from its.search.search import Search
from its.types import Problem
from its.verifier.classifier import Classifier
from tests.conftest import Lab

STEPS = 4


@dataclass(frozen=True)
class Asks(Search):
    """A script that takes gradients."""

    body: Any = None
    anytime = True
    takes_gradients = "sampler"

    def run(self, image):
        return self.body(image)


@dataclass(frozen=True)
class AsksAtGuess(Asks):
    takes_gradients = "guess"


@dataclass(frozen=True)
class AsksThroughNetwork(Asks):
    takes_gradients = "network"


KINDS = {"guess": AsksAtGuess, "network": AsksThroughNetwork, "sampler": Asks}


def engine_of(lab, sampler, *, batch: int = 4, **options) -> Engine:
    verifiers = {role: Classifier(lab.logits) for role in ("select", "guide")}
    return Engine(lab.denoiser(**options), sampler, verifiers, seed=0, batch=batch, gradient_batch=batch)


def run(lab, body, through, sampler=None, indices=range(5), **options):
    engine = engine_of(lab, sampler or DDIM(steps=STEPS, eta=0.0), **options)
    problems = [Problem(index, lab.data.condition(index)) for index in indices]
    results = {result.problem.index: result for result in engine.run(KINDS[through](body), (math.inf,), problems)}
    return engine, results


def slopes_of(lab, through, at=1, **options):
    """The slope of one particle of each image, with its problem and level."""
    found = []

    def body(image):
        particles = image.start() if at == 0 else (yield advance(image.start(), to=image.grid[at]))
        [slope] = yield gradient(particles, through=through)
        found.append((image.problem, particles[0].level, slope))
        yield reward((yield advance(particles)))

    return *run(lab, body, through, **options), found


def score_of(lab, model, through, level, problem, sampler):
    """The guide's score as a function of the row, written without the engine."""

    def score(x: torch.Tensor) -> torch.Tensor:
        def guess(x, level):
            return model(x, Columns.of([level], x.ndim, "cpu"), [problem.condition])

        if through == "sampler":
            grid = sampler.grid(model.path)
            for t, s in zip(grid[grid.index(level) : -1], grid[grid.index(level) + 1 :], strict=True):
                pair = guess(x, t)
                x = s.alpha * pair.x0 + s.sigma * pair.eps
        else:
            x = guess(x, level).x0
        images = x if model.decoder is None else model.decoder(x)
        return Classifier(lab.logits).reward(images, [problem.condition])[0]

    return score


@pytest.mark.parametrize("latent", [False, True])
@pytest.mark.parametrize(("path", "sampler"), [("vp", DDIM(steps=STEPS, eta=0.0)), ("flow", Euler(steps=STEPS))])
@pytest.mark.parametrize("through", ["network", "sampler"])
def test_gradient_equals_central_differences(through, path, sampler, latent):
    lab = Lab(latent=latent)
    engine, _, found = slopes_of(lab, through, sampler=sampler, path=path)
    for problem, level, slope in found:
        score = score_of(lab, engine.model, through, level, problem, sampler)
        x, h = torch.from_numpy(slope.x)[None], 1e-5
        assert slope.score == pytest.approx(float(score(x)), rel=1e-9)
        for entry in ((0, 0, 0), (0, 2, 3)):
            step = torch.zeros_like(x)
            step[0][entry] = h
            difference = float(score(x + step) - score(x - step)) / (2 * h)
            assert slope.gradient[entry] == pytest.approx(difference, rel=1e-4, abs=1e-6)


def test_gradient_at_the_guess_is_that_of_the_guide_alone(lab):
    engine, _, found = slopes_of(lab, "guess")
    for problem, level, slope in found:
        x = torch.from_numpy(slope.x)[None]
        x0 = engine.model(x, Columns.of([level], x.ndim, "cpu"), [problem.condition]).x0.requires_grad_()
        Classifier(lab.logits).reward(x0, [problem.condition])[0].backward()
        np.testing.assert_allclose(slope.gradient, x0.grad[0].numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("through", KINDS)
def test_ledger_charges_forwards_backwards_and_calls(lab, through):
    """Of five images each: what a particle two steps down costs, and what its way on costs after that."""
    engine, results, _ = slopes_of(lab, through, at=2)
    expected = {
        "guess": {"nfe": STEPS, "nfe_backward": 0},
        "network": {"nfe": STEPS, "nfe_backward": 1},
        "sampler": {"nfe": STEPS + 2, "nfe_backward": 2},
    }[through]
    for result in results.values():
        ledger = result.outcomes[0].ledger
        assert {key: ledger[key] for key in expected} == expected
        assert ledger["guide_calls"] == 1
        assert ledger["verifier_calls"] == 1
    assert engine.rows_evaluated == 5 * expected["nfe"]


def test_ledger_counts_the_rows_of_the_network_and_the_evaluations_on_the_way_back(lab, monkeypatch):
    """Through a sampling every step is evaluated a second time, which is no NFE; a padded place counts nowhere."""
    engine = engine_of(lab, DDIM(steps=STEPS, eta=0.0), batch=4)
    rows, call = [], type(engine.model).__call__

    def counted(model, x, levels, conditions):
        rows.append(len(x))
        return call(model, x, levels, conditions)

    monkeypatch.setattr(type(engine.model), "__call__", counted)

    def body(image):
        [slope] = yield gradient(image.start(), through="sampler")
        yield reward([slope.image])

    problems = [Problem(index, 0) for index in range(8)]
    results = list(engine.run(Asks(body), (math.inf,), problems))
    assert sum(rows) == 2 * 8 * STEPS
    assert sum(result.outcomes[0].ledger["nfe"] for result in results) == 8 * STEPS == engine.rows_evaluated


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_image_of_a_slope_is_that_of_a_plain_sampling(lab, eta):
    """The step noise, too, is the start's own."""

    def body(image):
        start = image.start()
        [slope] = yield gradient(start, through="sampler")
        [plain] = yield advance(start)
        pair = yield numbers([slope.image, plain])
        if eta == 0.0:
            np.testing.assert_allclose(pair[0].x, pair[1].x, rtol=1e-12)
        else:
            assert not np.allclose(pair[0].x, pair[1].x), "a second child draws its own"
        yield reward([slope.image])

    _, results = run(lab, body, "sampler", DDIM(steps=STEPS, eta=eta))
    plain = lab.results(lab.engine(DDIM(steps=STEPS, eta=eta)), lab.script(_plainly), (math.inf,), range(5))
    for index, result in results.items():
        assert result.outcomes[0].reward == pytest.approx(plain[index].outcomes[0].reward, rel=1e-9)


def _plainly(image):
    yield reward((yield advance(image.start())))


@pytest.mark.parametrize("through", KINDS)
@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_slopes_are_independent_of_companions_and_of_the_batch(lab, through, scale):
    bits = []
    for indices, batch in ((range(7), 8), (reversed(range(7)), 8), ([3], 8)):
        *_, found = slopes_of(lab, through, indices=list(indices), batch=batch, scale=scale)
        bits.append({problem.index: (slope.gradient.tobytes(), slope.score) for problem, _, slope in found})
    assert bits[0] == bits[1]
    assert bits[2][3] == bits[0][3]


class Kept(torch.autograd.Function):
    """The identity, which keeps an array of its own for the way back, as a network keeps its activations."""

    alive: ClassVar[set[int]] = set()
    most: ClassVar[int] = 0

    @staticmethod
    def forward(ctx, x):
        array = np.zeros(x.shape)
        Kept.alive.add(id(array))
        weakref.finalize(array, Kept.alive.discard, id(array))
        ctx.save_for_backward(torch.from_numpy(array))
        Kept.most = max(Kept.most, len(Kept.alive))
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient + ctx.saved_tensors[0]


@pytest.mark.parametrize("checkpointed", [True, False])
def test_memory_of_a_slope_through_a_sampling_does_not_grow_with_its_steps(lab, monkeypatch, checkpointed):
    """Activations of two evaluations at most are there at once, one that ends and the next; else those of all."""
    if not checkpointed:
        monkeypatch.setattr("its.engine.slopes.checkpoint", lambda step, *given, use_reentrant: step(*given))
    call = MixtureDenoiser.__call__

    def kept(model, *given):
        guess = call(model, *given)
        return guess._replace(x0=Kept.apply(guess.x0)) if guess.x0.requires_grad else guess

    monkeypatch.setattr(MixtureDenoiser, "__call__", kept)

    def body(image):
        [slope] = yield gradient(image.start(), through="sampler")
        yield reward([slope.image])

    for steps in (2, 9, 18):
        monkeypatch.setattr(Kept, "most", 0)
        run(lab, body, "sampler", DDIM(steps=steps, eta=0.0), indices=range(4))
        assert Kept.most <= 2 if checkpointed else Kept.most == steps
        assert not Kept.alive


def test_slopes_of_different_ways_down_are_served_in_one_batch(lab):
    """Some images sample in two steps and some in four; each gets what it gets alone."""
    found: dict[tuple, float] = {}

    def body(image):
        steps = 2 if image.problem.index % 2 else None
        [slope] = yield gradient(image.start(), through="sampler", steps=steps)
        found[image.problem.index, len(found) < 6] = slope.score, slope.gradient.tobytes()
        yield reward([slope.image])

    run(lab, body, "sampler", indices=range(6), batch=8)
    for index in range(6):
        run(lab, body, "sampler", indices=[index], batch=8)
        assert found[index, True] == found[index, False]


class Unscaled(DDIM):
    """Noise at the top of a grid has its level's deviation."""

    def prior_std(self, path, level):
        return level.sigma


def test_slope_of_a_start_on_another_grid_is_with_respect_to_its_own_row(lab):
    """Grids of 10 and of 5 steps begin at other levels; central differences of what is placed at the first.

    Without the scale between the two gradients would be off by six times what is tolerated.
    """
    sampler, h = Unscaled(steps=10, eta=0.0, spacing="leading"), 1e-5
    top, other = (sampler.grid(lab.denoiser().path, steps)[0].sigma for steps in (10, 5))
    assert abs(other / top - 1) > 6e-4

    def body(image):
        [start] = image.start()
        [own] = yield gradient([start], through="sampler")
        [slope] = yield gradient([start], through="sampler", steps=5)
        np.testing.assert_allclose(slope.x, own.x, rtol=1e-12)
        unit = np.zeros(image.shape)
        unit[0, 1, 2] = h
        ends = yield advance(image.place([start] * 2, [slope.x + unit, slope.x - unit]), steps=5)
        up, down = yield reward(ends, by="guide")
        assert slope.gradient[0, 1, 2] == pytest.approx((up - down) / (2 * h), rel=1e-4)
        yield reward([slope.image])

    run(lab, body, "sampler", sampler)


def test_a_gradient_that_is_no_number_fails_its_image_alone(lab):
    class Strange(Classifier):
        def reward(self, images, conditions):
            scores = super().reward(images, conditions)
            return torch.stack([s * math.nan if c == 1 else s for s, c in zip(scores, conditions, strict=True)])

    def body(image):
        [slope] = yield gradient(image.start(), through="sampler")
        yield reward([slope.image])

    engine = engine_of(lab, DDIM(steps=STEPS, eta=0.0))
    engine.verifiers = {**engine.verifiers, "guide": Strange(lab.logits)}
    problems = [Problem(index, index % 2) for index in range(6)]
    results = {result.problem.index: result for result in engine.run(Asks(body), (math.inf,), problems)}
    assert [index for index, result in results.items() if result.failure] == [1, 3, 5]
    assert all("NaN or Inf" in results[index].failure for index in (1, 3, 5))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"guidance": MPGD()}, "no MPGD; set guidance=none"),
        ({"verifiers": {"select": Classifier(lambda images: images)}}, "there is none; set verifier@guide"),
        ({"sampler": Heun(steps=STEPS, spacing="linspace")}, "Heun has others"),
        ({"sampler": DPMpp2M(steps=STEPS)}, "DPMpp2M has others"),
    ],
)
def test_what_gives_no_gradients_is_refused_before_anything_runs(lab, options, words):
    parts = {"sampler": DDIM(steps=STEPS), "verifiers": dict.fromkeys(("select", "guide"), Classifier(lab.logits))}
    parts |= options
    engine = Engine(lab.denoiser(), parts.pop("sampler"), parts.pop("verifiers"), seed=0, **parts)
    with pytest.raises(ValueError, match=words):
        next(engine.run(Asks(_plainly), (math.inf,), [Problem(0, 0)]))


def test_a_gradient_that_the_search_has_not_stated_is_refused(lab):
    def body(image):
        yield gradient(image.start(), through="network")

    with pytest.raises(ValueError, match=r"takes_gradients = 'sampler'; state the one"):
        run(lab, body, "sampler")
