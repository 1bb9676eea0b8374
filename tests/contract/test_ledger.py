"""The ledger is what the network, the verifier and the decoder really did, padding excluded."""

import math
from collections import Counter

import pytest
import torch

from its.budget import COLUMNS, Ledger
from its.engine.rows import Rows
from its.model.mixture import MixtureDenoiser
from its.particles.verbs import advance
from its.sampler.ddim import DDIM
from its.sampler.heun import Heun
from its.verifier.classifier import Classifier
from tests.engine.padding import mark_padding, real_rows

CAPS = (25, 57, 104)
PROBLEMS = range(5)
BATCH = 14


class Counters:
    """Network, decoder, verifier and guide that count the rows they are given, and those of passes back.

    Rows that fill up a batch of the network are marked. A batch of the others has its real rows in distinct places, and
    padding repeats one: `gathered` counts the latest gathering. What is evaluated again on the way back is not counted.
    """

    def __init__(self, lab, setting, monkeypatch) -> None:
        self.rows = self.images = self.decoded = self.back = self.guided = self.decoded_back = 0
        self.on_the_way_back = False
        self.shapes: set[int] = set()
        self.verifier = Classifier(lab.logits)
        self.model = setting.model(lab)
        self._network, self.model.network = self.model.network, self.network
        self._reward, self.verifier.reward = self.verifier.reward, self.reward
        if self.model.decoder is not None:
            self._decode, self.model.decoder = self.model.decoder, self
            self.shape = self._decode.shape
        take = Rows.take

        def counted(store, rows):
            self.gathered = len({row.index for row in rows})
            return take(store, rows)

        monkeypatch.setattr(Rows, "take", counted)
        self.real = mark_padding(monkeypatch, MixtureDenoiser)
        grad = torch.autograd.grad

        def backward(*parts):
            self.on_the_way_back = True
            try:
                return grad(*parts)
            finally:
                self.on_the_way_back = False

        monkeypatch.setattr(torch.autograd, "grad", backward)

    @property
    def counted(self) -> dict[str, int]:
        """The columns of a ledger."""
        return {
            "nfe": self.rows,
            "nfe_backward": self.back,
            "guide_calls": self.guided,
            "decoder_backward": self.decoded_back,
            "verifier_calls": self.images,
            "decoder_calls": self.decoded,
        }

    def watched(self, engine):
        """The engine, whose guide counts as well."""
        if "guide" in engine.verifiers:
            guide = engine.verifiers["guide"]
            self._guide, guide.reward = guide.reward, self.guide
        return engine

    def guide(self, images, conditions):
        self.guided += self.real[0]
        return self._guide(images, conditions)

    def network(self, x, coefficients, label):
        self.shapes.add(len(x))
        guess, rows = self._network(x, coefficients, label), real_rows(x)
        if self.on_the_way_back:
            return guess
        self.rows += rows
        if guess.x0.requires_grad:
            guess.x0.register_hook(lambda _: self.add("back", rows))
        return guess

    def add(self, column, rows):
        setattr(self, column, getattr(self, column) + rows)

    def reward(self, images, conditions):
        self.images += self.gathered
        return self._reward(images, conditions)

    def __call__(self, latents):
        images = self._decode(latents)
        rows = self.real[0] if images.requires_grad else self.gathered
        self.decoded += rows
        if images.requires_grad:
            images.register_hook(lambda _: self.add("decoded_back", rows))
        return images


def paid_by(results) -> dict[str, int]:
    """Sum of the ledgers at the last cap, which holds all that a run did."""
    return {column: sum(r.outcomes[-1].ledger[column] for r in results.values()) for column in COLUMNS}


def test_ledger_equals_the_counted_work_without_padding(lab, search, setting, every_setting, monkeypatch):
    counters = Counters(lab, setting, monkeypatch)
    ledgers: set[int] = set()
    charge, charged = Ledger.charge, []

    def watched(ledger, costs, *, prefix):
        before = ledger.spent
        try:
            return charge(ledger, costs, prefix=prefix)
        finally:
            charged.append(ledger.spent - before)
            ledgers.add(id(ledger))
            assert ledger.spent <= ledger.cap
            assert counters.rows <= sum(charged)

    monkeypatch.setattr(Ledger, "charge", watched)
    totals, filled = Counter(), 0
    for caps in [CAPS] if search.anytime else [(cap,) for cap in CAPS]:
        engine = lab.engine(setting.sampler, counters.model, counters.verifier, batch=BATCH, gradient_batch=BATCH)
        results = lab.results(counters.watched(engine), search, caps, PROBLEMS)
        assert all(o.ledger["nfe"] <= cap for r in results.values() for o, cap in zip(r.outcomes, caps, strict=True))
        totals.update(paid_by(results))
        filled += engine.rows_evaluated
    assert totals == counters.counted
    assert counters.rows == filled == sum(charged) > 0
    assert counters.shapes == {BATCH}


def test_search_needs_a_cap_of_at_least_one_sampling(lab, search, setting, every_setting):
    engine = lab.engine(setting.sampler, setting.model(lab))
    cost = engine.prices.sampling
    assert search.minimum(cost) == cost
    exact, more = lab.results(engine, search, (cost, cost + 1), [0])[0].outcomes
    assert exact.ledger["nfe"] == cost <= more.ledger["nfe"] <= cost + 1
    if search.anytime:
        with pytest.raises(ValueError, match=rf"{type(search).__name__}, image 0: ended at a cap of {cost - 1} NFE"):
            lab.results(engine, search, (cost - 1,), [0])


def unscored(image):
    [particle] = yield advance(image.start())
    return particle


def test_prices_sampling_adds_up_the_rows_of_all_evaluations(lab, some_setting):
    """Of Heun's steps, but for the last, the second evaluation stands at the end."""
    prices = lab.engine(some_setting.sampler, some_setting.model(lab)).prices
    evaluated = prices.grid[:-1] + prices.grid[1:-1] * isinstance(some_setting.sampler, Heun)
    # On linear betas Heun leaves out the first of six times, where sigma / alpha is 157.
    assert len(evaluated) == (2 * 5 - 1 if isinstance(some_setting.sampler, Heun) else some_setting.sampler.steps)
    assert prices.sampling == lab.nfe(evaluated, path=some_setting.path, scale=some_setting.scale)


def test_ledger_counts_one_decoding_of_a_returned_unscored_latent_and_none_of_an_image(lab, some_setting, monkeypatch):
    counters = Counters(lab, some_setting, monkeypatch)
    engine = lab.engine(some_setting.sampler, counters.model, counters.verifier)
    [outcome] = lab.results(engine, lab.script(unscored), (math.inf,), [0])[0].outcomes
    calls, side = (1, 8) if lab.latent else (0, 4)
    assert (outcome.ledger["decoder_calls"], outcome.ledger["verifier_calls"], counters.decoded) == (calls, 0, calls)
    assert math.isnan(outcome.reward)
    assert outcome.image.shape == (side, side, 1)


def test_image_left_is_infinite_for_an_uncapped_planned_search(lab):
    readings = []

    def body(image):
        readings.append(image.left)
        return (yield from unscored(image))

    lab.play(body)
    assert readings == [math.inf]


def test_image_left_is_refused_to_an_anytime_search(lab):
    engine = lab.engine(DDIM(steps=10, eta=0.0))
    with pytest.raises(ValueError, match=r"image\.left was read by an anytime search"):
        lab.results(engine, lab.script(lambda image: image.left, anytime=True), (10,), [0])
