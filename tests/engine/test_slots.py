"""Models whose evaluations cost more at some levels than at others, in the engine."""

import math
import random

import pytest
import torch

from its.engine import Engine
from its.engine.bare import BareNetwork
from its.engine.flops import count_flops
from its.engine.queue import Queue
from its.guidance.mpgd import MPGD
from its.levels import Columns, Guess
from its.model.denoiser import Denoiser, NetworkDenoiser
from its.model.mixture import MixtureDenoiser
from its.particles.verbs import advance, reward
from its.sampler.ddim import DDIM
from its.sampler.euler import Euler
from its.sampler.heun import Heun
from its.sampler.noise_paths import linear_vp
from its.search.more_steps import MoreSteps
from its.search.paths import Paths
from its.search.random import Random
from its.search.rbf import RBF
from its.search.svdd import SVDD
from its.types import Problem
from its.verifier.classifier import Classifier
from its.verifier.null_rewards import NullRewards
from tests.engine.padding import PADDING, mark_padding
from tests.reference.test_guidance import Latent

LOW, HIGH = 300, 700


class Windowed(Denoiser):
    """A model of a user's own, in the manner of skipped-layer guidance: three network rows in a window, else one."""

    slots = 3

    def __init__(self, data, scale=0.5):
        self._model, self._scale, self.rows = MixtureDenoiser(data), scale, 0
        self.shape, self.dtype, self.device = self._model.shape, self._model.dtype, self._model.device
        self.path = self._model.path

    def slots_at(self, level):
        return 3 if LOW <= level.time <= HIGH else 1

    def __call__(self, x, levels, conditions):
        inside = (levels.time.flatten() >= LOW) & (levels.time.flatten() <= HIGH)
        real = (x != PADDING).flatten(1).any(1)
        self.rows += int((real * (1 + 2 * inside)).sum())
        guess = self._model(x, levels, conditions)
        low, high = (self._model(part * x, levels, conditions) for part in (0.9, 1.1))
        mixed = [a + self._scale * (2 * a - b - c) / 2 for a, b, c in zip(guess[:2], low[:2], high[:2], strict=True)]
        where = inside.view(-1, 1, 1, 1)
        return Guess(*(torch.where(where, new, old) for new, old in zip(mixed, guess[:2], strict=True)))


class Packed(Windowed):
    """The same, which says that it is given as many rows as there are slots."""

    fewest_slots = 1


@pytest.mark.parametrize("kind", [Windowed, Packed])
@pytest.mark.parametrize("search", [Random(block=2), SVDD(), Paths(), MoreSteps()], ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("sampler", [DDIM(steps=8, eta=1.0), Heun(steps=6, spacing="linspace")], ids=["ddim", "heun"])
def test_engine_pays_three_slots_in_a_window_and_changes_no_bit_in_any_packing(lab, kind, search, sampler, monkeypatch):
    if search.needs_noise and not sampler.stochastic:
        pytest.skip("needs noise")
    mark_padding(monkeypatch, kind)
    model = kind(lab.data)
    cap = 3 * lab.engine(sampler, model).prices.sampling + 1
    runs = []
    for batch in (32, 7, 3):
        model.rows = 0
        engine = lab.engine(sampler, model, batch=batch, rows=1024)
        results = lab.results(engine, search, (cap,), range(4))
        spent = sum(result.outcomes[0].ledger["nfe"] for result in results.values())
        assert spent == model.rows == engine.rows_evaluated
        runs.append(lab.as_bits(results))
    add, shuffled = Queue.add, random.Random(5)
    monkeypatch.setattr(Queue, "add", lambda queue, order, item: add(queue, shuffled.random(), item))
    runs.append(lab.bits(lab.engine(sampler, model, batch=7, rows=1024), search, (cap,), range(4)))
    assert all(run == runs[0] for run in runs)


def test_engine_fills_batches_of_slots(lab):
    """The network has always as many rows, and nearly all of them are real."""
    model, shapes = guided(lab), set()
    network = model.network
    model.network = lambda x, *rest: shapes.add(len(x)) or network(x, *rest)
    engine, served = lab.engine(DDIM(steps=10, eta=1.0), model, batch=15), {}

    def problems():
        yield from lab.problems(range(120))
        served.update(engine.served)

    assert not any(result.failure for result in engine.run(SVDD(), (60,), problems()))
    filled, capacity = served["evaluate"]
    assert shapes == {15}
    assert filled / capacity > 0.97


def guided(lab, low=LOW, high=HIGH, path="vp"):
    return MixtureDenoiser(lab.data, path, conditional=True, guidance_scale=2.0, guidance_interval=[low, high])


def test_engine_refuses_a_batch_below_the_dearest_evaluation(lab):
    for options in ({"batch": 1}, {"batch": 4, "gradient_batch": 1}):
        with pytest.raises(ValueError, match="is 1, and one evaluation of this model takes 2 network rows"):
            Engine(guided(lab), DDIM(steps=5), {"select": NullRewards()}, seed=0, **options)


def test_engine_refuses_an_interval_without_a_level(lab):
    engine = lab.engine(DDIM(steps=4, eta=0.0), guided(lab, 800, 900))
    with pytest.raises(
        ValueError, match=r"guidance_interval is \[800, 900\], and this .* times are 999, 749, 499, 249;"
    ):
        lab.results(engine, Random(), (10,), [0])


def test_denoiser_that_only_states_slots_costs_as_many_everywhere(lab):
    class Own(Windowed):
        slots_at = Denoiser.slots_at

    engine = lab.engine(DDIM(steps=4, eta=0.0), Own(lab.data), batch=7)
    [outcome] = lab.results(engine, Random(), (24,), [0])[0].outcomes
    assert outcome.ledger["nfe"] == engine.served["evaluate"][0] == 24
    assert engine.served["evaluate"][1] % 6 == 0


@pytest.mark.parametrize("interval", [None, [200, 800], [0, 999], [990, 999]], ids=str)
def test_count_flops_per_network_row_is_the_same_in_any_interval(interval):
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(16, 16)

        def forward(self, x, time, label):
            return self.layer(x.flatten(1)).view_as(x)

    model = NetworkDenoiser(
        Net(),
        linear_vp(),
        "epsilon",
        (1, 4, 4),
        conditional=True,
        null_class=4,
        guidance_scale=2.0,
        guidance_interval=interval,
    )
    engine = Engine(model, DDIM(steps=5), {"select": NullRewards()}, seed=0)
    assert count_flops(engine, 0)["nfe"] == 2 * 16 * 16


class Linear(torch.nn.Module):
    """A network of products with its weights alone, and the rows that it was given."""

    def __init__(self, hidden):
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(16, hidden), torch.nn.Linear(hidden, 16))
        self.requires_grad_(False)
        self.rows = []

    def forward(self, x, time, label):
        self.rows.append(len(x))
        return self.layers(x.flatten(1)).view_as(x)


def test_engine_pays_one_nfe_for_each_network_of_autoguidance_and_their_own_flops():
    """Of an unconditional model, for no class takes part. Batches of 6 network rows are 3 of each network."""
    strong, weak = Linear(64), Linear(4)
    model = NetworkDenoiser(strong, linear_vp(), "epsilon", (1, 4, 4), guidance_scale=1.5, autoguidance=weak)
    engine = Engine(model, DDIM(steps=5, eta=0.0), {"select": NullRewards()}, seed=0, batch=6)
    assert (model.slots, model.fewest_slots, engine.prices.sampling) == (2, 2, 10)
    results = engine.run(Random(), (20,), [Problem(0, None)])
    [outcome] = next(results).outcomes
    assert outcome.ledger["nfe"] == engine.rows_evaluated == 20, "of the first image too, when it is there"
    assert not list(results)
    assert {*strong.rows} == {*weak.rows} == {3}
    assert 20 * count_flops(engine, None)["nfe"] == 10 * 2 * 2 * 16 * (64 + 4)
    assert BareNetwork(model, 7, engine.prices.grid[0], [None]).batch == 6


def test_count_flops_of_a_decoder_and_of_a_guide_of_what_it_makes(lab):
    """Of products 16 -> 18 and 18 -> 4: a multiplication and an addition are two, a backward is two forwards."""
    weights = torch.ones((4, 18), dtype=torch.float64)
    guide = Classifier(lambda images: images.flatten(1) @ weights.T)
    verifiers = {"select": guide, "guide": guide}
    flops = count_flops(Engine(Latent(lab.data), DDIM(steps=4), verifiers, seed=0, guidance=MPGD()), 0)
    assert (flops["decoder_calls"], flops["decoder_backward"]) == (2 * 16 * 18, 2 * 2 * 16 * 18)
    assert (flops["verifier_calls"], flops["guide_calls"]) == (2 * 18 * 4, 3 * 2 * 18 * 4)


@pytest.mark.parametrize("interval", [(0, 0.2), (0.4, 0.6), (0.5, 1.0)], ids=str)
@pytest.mark.parametrize(
    "search",
    [
        RBF(),
        Paths(),
        Paths(paths=3, steps=3),
        Paths(sigma=0.3, forward=0.1, backward=0.2),
        Paths(sigma=0.25, forward=0.75, backward=1.0, steps=4),
    ],
    ids=str,
)
def test_planned_search_keeps_caps_and_spends_most_of_them_at_prices_by_level(lab, search, interval):
    path = "vp" if isinstance(search, RBF) else "flow"
    sampler = DDIM(steps=7, eta=1.0) if path == "vp" else Euler(steps=7)
    top = 999 if path == "vp" else 1.0
    engine = lab.engine(sampler, guided(lab, interval[0] * top, interval[1] * top, path))
    low = engine.prices.sampling
    for cap in range(low, low + 70, 9):
        [outcome] = lab.results(engine, search, (cap,), [0])[0].outcomes
        assert outcome.ledger["nfe"] <= cap
        assert outcome.ledger["nfe"] > cap - low or isinstance(search, Paths)


@pytest.mark.parametrize(
    "sampler", [DDIM(steps=5, eta=0.0), Heun(steps=5), DDIM(steps=5, spacing="inclusive")], ids=str
)
@pytest.mark.parametrize("interval", [(0, 300), (200, 500), (480, 520), (100, 999)], ids=str)
def test_more_steps_takes_the_most_steps_at_prices_by_level(lab, sampler, interval):
    image = None

    def body(its):
        nonlocal image
        image = its
        yield reward((yield advance(its.start())))

    lab.results(lab.engine(sampler, guided(lab, *interval)), lab.script(body), (math.inf,), [0])
    costs = {steps: image.cost(steps=steps) for steps in range(2, 60)}
    for cap in range(costs[5], 60):
        assert MoreSteps().sized_for(cap, image).steps == max(steps for steps, cost in costs.items() if cost <= cap)


def test_prices_add_up_the_evaluations_of_both_stages(lab):
    """Times 999, 799, 599, 399, 199; of Heun's steps all but the last have a second stage where they end."""
    prices = lab.engine(DDIM(steps=5, eta=0.0), guided(lab, 399, 799)).prices
    grid = prices.grid
    assert [prices.evaluation(level) for level in grid[:-1]] == [1, 2, 2, 2, 1]
    assert (prices.sampling, prices.cost(grid[2]), prices.cost(grid[1], grid[3])) == (8, 5, 4)
    heun = lab.engine(Heun(steps=5, spacing=[900, 799, 599, 399, 199]), guided(lab, 399, 799)).prices
    assert heun.sampling == (1 + 2) + (2 + 2) + (2 + 2) + (2 + 1) + 1


def test_gradient_of_a_row_is_its_own_in_a_batch_guided_in_part(lab):
    """Rows that no longer fit into the batch pull nothing back through the others."""
    model = guided(lab)
    levels = Columns.of([model.path.level(time) for time in (500, 900, 600, 600)], 4, "cpu")

    def gradient(x, rows):
        x = x.clone().requires_grad_()
        part = Columns(*(column[:rows] for column in levels))
        guess = model(x[:rows], part, [0, 1, 2, 3][:rows])
        (guess.x0.square().sum() + guess.eps.sum()).backward()
        return x.grad

    x = torch.randn(4, 1, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    whole = torch.cat([gradient(x, 4)[:2]])
    assert torch.equal(whole, gradient(torch.cat([x[:2], x[2:] + 1]), 4)[:2])
    alone = MixtureDenoiser(lab.data, conditional=True, guidance_scale=2.0)
    first = x[:1].clone().requires_grad_()
    guess = alone(first, Columns(*(column[:1] for column in levels)), [0])
    (guess.x0.square().sum() + guess.eps.sum()).backward()
    torch.testing.assert_close(first.grad, whole[:1])
