"""Guidance in the engine: identities, exact counts, independence of companions, and what is refused."""

import math
import random
from collections import Counter

import pytest
import torch

from its.dataset.mixture import Mixture
from its.engine import Engine
from its.engine.queue import Queue
from its.guidance.cg import CG
from its.guidance.dps import DPS
from its.guidance.lgd import LGD
from its.guidance.mpgd import MPGD
from its.guidance.none import NoGuidance
from its.guidance.tfg import TFG
from its.guidance.ugd import UGD
from its.model.mixture import MixtureDenoiser
from its.sampler.ddim import DDIM
from its.sampler.heun import Heun
from its.search.bfs_resample import BFSResample
from its.search.none import NoSearch
from its.search.random import Random
from its.search.svdd import SVDD
from its.verifier.classifier import Classifier
from tests.conftest import Enlarged, Lab
from tests.contract.conftest import SEARCHES, goes_with
from tests.engine.padding import mark_padding, real_rows

SAMPLER = DDIM(steps=8, eta=1.0)
THROUGH = TFG(rho=0.02, mu=0.01, sigma=0.1, samples=2, iterations=2)
AT_GUESS = MPGD(strength=0.01)
RECURRENT = TFG(rho=0.02, mu=0.01, sigma=0.1, samples=2, iterations=3, recurrence=2)
ONLY_RECURRENT = TFG(rho=0.0, mu=0.0, recurrence=2)
UNGUIDED = {name: search for name, search in SEARCHES.items() if search.guidance is None}
"""Searches that do not guide their steps themselves."""


def engine(lab, guidance, *, sampler=SAMPLER, model=None, guide=None, select=None, **options):
    verifier = select or Classifier(lab.data.logits)
    return Engine(
        model or lab.denoiser(),
        sampler,
        {"select": verifier, "guide": guide or verifier},
        seed=0,
        guidance=guidance,
        **options,
    )


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_tfg_of_strength_zero_equals_the_plain_sampler_bit_for_bit(lab, eta):
    sampler = DDIM(steps=8, eta=eta)
    runs = [
        lab.bits(engine(lab, guidance, sampler=sampler), Random(block=3), (40,), range(4))
        for guidance in (NoGuidance(), TFG(rho=0.0, mu=0.0))
    ]
    assert runs[0] == runs[1]


def test_bfs_resample_at_temperature_zero_equals_random_under_guidance(lab):
    """Zhang et al.'s "BFS" without resampling, under the same guidance."""

    def images(search):
        results = lab.results(engine(lab, THROUGH), search, (24,), range(4))
        return [result.outcomes[0].image.tobytes() for result in results.values()]

    assert images(Random()) == images(BFSResample(temperature=0.0))


@pytest.mark.parametrize(
    ("name", "guidance"),
    [
        pytest.param(name, guidance, id=f"{name}-{key}")
        for name in SEARCHES
        for key, guidance in {"through": THROUGH, "at_guess": AT_GUESS}.items()
        if goes_with(name, guidance)
    ],
)
def test_guidance_in_every_search_keeps_the_cap_and_ignores_batch_sizes(lab, name, guidance):
    """It keeps its cap, and batches, their order and companions change no bit."""
    search = SEARCHES[name]

    def bits(indices, **shape):
        return lab.bits(engine(lab, guidance, rows=1024, **shape), search, (37,), indices)

    expected = bits(range(3), batch=32)
    assert all(0 < outcomes[0][2]["nfe"] <= 37 for outcomes in expected.values())
    assert bits(reversed(range(3)), batch=5, gradient_batch=3, verify_batch=2) == expected
    assert bits([1], batch=1, gradient_batch=1) == {1: expected[1]}


@pytest.mark.parametrize("name", [name for name, search in SEARCHES.items() if search.proposes_guesses])
def test_guidance_through_the_network_refuses_a_search_that_proposes_guesses(lab, name):
    with pytest.raises(ValueError, match=r"used image\.propose, and this guidance goes through the network"):
        lab.results(engine(lab, THROUGH, rows=1024), SEARCHES[name], (100,), [0])


class Counted:
    """A network whose forward and backward rows are counted, one row a call."""

    def __init__(self, model):
        self.model, self.counts = model, Counter()

    def __getattr__(self, name):
        return getattr(self.model, name)

    def __call__(self, x, levels, conditions):
        guess = self.model(x, levels, conditions)
        self.counts["nfe"] += len(x)
        if x.requires_grad:
            for output in guess[:2]:  # of which every guidance here pulls back one
                output.register_hook(lambda gradient: self.counts.update(nfe_backward=len(gradient)))
        return guess


class CountedGuide(Classifier):
    """A guide whose calls, and gradients of them, are counted."""

    def __init__(self, network, counts):
        super().__init__(network)
        self.counts = counts

    def reward(self, images, conditions):
        self.counts["guide_calls"] += len(images)
        images.register_hook(lambda gradient: self.counts.update(gradients=len(gradient)))
        return super().reward(images, conditions)


@pytest.mark.parametrize(
    "guidance", [THROUGH, AT_GUESS, RECURRENT, ONLY_RECURRENT, DPS(0.1), TFG(rho=0.0, mu=0.01, iterations=3)], ids=str
)
@pytest.mark.parametrize(
    "search",
    [NoSearch(), Random(block=2), SVDD(), BFSResample(temperature=0.05)],
    ids=lambda search: type(search).__name__,
)
def test_guidance_ledger_equals_the_calls_counted_by_hooks(lab, search, guidance):
    model = Counted(lab.denoiser())
    guide = CountedGuide(lab.data.logits, model.counts)
    run = engine(lab, guidance, model=model, guide=guide, batch=1, gradient_batch=1)
    results = lab.results(run, search, (32 * guidance.rounds,), range(2))
    ledgers = [result.outcomes[0].ledger for result in results.values()]
    for column in ("nfe", "nfe_backward", "guide_calls"):
        assert sum(ledger[column] for ledger in ledgers) == model.counts[column], column
    assert model.counts["gradients"] == model.counts["guide_calls"]
    assert run.rows_evaluated == model.counts["nfe"]


class CountedDecoder(Enlarged):
    """A decoder whose latents, and gradients of them, are counted."""

    def __init__(self, counts):
        self.counts = counts

    def __call__(self, latents):
        self.counts["decoder_calls"] += len(latents)
        if latents.requires_grad:
            latents.register_hook(lambda gradient: self.counts.update(decoder_backward=len(gradient)))
        return super().__call__(latents)


LATENT = Lab(latent=True)


@pytest.mark.parametrize(
    "guidance",
    [THROUGH, AT_GUESS, RECURRENT, ONLY_RECURRENT, DPS(0.1), LGD(0.1, samples=3), UGD(0.1, iterations=2)],
    ids=str,
)
@pytest.mark.parametrize(
    "search", [Random(block=2), SVDD(), BFSResample(temperature=0.05)], ids=lambda search: type(search).__name__
)
def test_guidance_ledger_equals_the_latents_given_to_the_decoder(lab, search, guidance):
    model = LATENT.denoiser()
    counts = Counter()
    model.decoder = CountedDecoder(counts)
    guide = CountedGuide(LATENT.logits, counts)
    sizes = dict.fromkeys(("batch", "gradient_batch", "decode_batch"), 1)
    run = engine(LATENT, guidance, model=model, guide=guide, select=Classifier(LATENT.logits), **sizes)
    results = LATENT.results(run, search, (24 * guidance.rounds,), range(2))
    ledgers = [result.outcomes[0].ledger for result in results.values()]
    for column in ("decoder_calls", "decoder_backward", "guide_calls"):
        assert sum(ledger[column] for ledger in ledgers) == counts[column], column
    assert counts["decoder_backward"] == counts["guide_calls"] == counts["gradients"]
    assert counts["decoder_calls"] > counts["decoder_backward"]
    assert bool(counts["decoder_backward"]) == (guidance is not ONLY_RECURRENT)


@pytest.mark.parametrize("guidance", [THROUGH, AT_GUESS], ids=["through", "at_guess"])
@pytest.mark.parametrize("name", ["svdd", pytest.param(None, marks=pytest.mark.long)])
def test_guidance_through_a_decoder_ignores_batch_sizes(lab, name, guidance):
    for search in [SEARCHES[each] for each in ([name] if name else SEARCHES) if goes_with(each, guidance)]:

        def bits(indices, search=search, **shape):
            run = engine(LATENT, guidance, select=Classifier(LATENT.logits), rows=1024, **shape)
            return LATENT.bits(run, search, (37,), indices)

        expected = bits(range(3), batch=32)
        assert bits(reversed(range(3)), batch=5, gradient_batch=3, decode_batch=2) == expected
        assert bits([1], batch=1, gradient_batch=1) == {1: expected[1]}


class KnowsNoise:
    """A guide of noisy latents."""

    absolute = noise_aware = True

    def reward(self, latents, conditions, levels):
        assert latents.shape[1:] == (1, 4, 4)
        return -(latents - levels.alpha).flatten(1).square().sum(1)


def test_cg_of_a_latent_model_scores_noisy_latents_and_decodes_none(lab):
    run = engine(LATENT, CG(), model=LATENT.denoiser(), guide=KnowsNoise(), select=Classifier(LATENT.logits))
    [outcome] = LATENT.results(run, NoSearch(), (math.inf,), [0])[0].outcomes
    assert (outcome.ledger["guide_calls"], outcome.ledger["decoder_backward"]) == (8, 0)
    assert outcome.ledger["decoder_calls"] == 1


INTERVAL = Lab(Mixture(std=0.5), interval=(0.25, 0.65))


@pytest.mark.parametrize("guidance", [THROUGH, AT_GUESS, RECURRENT], ids=["through", "at_guess", "recurrent"])
@pytest.mark.parametrize(
    "search", [Random(block=2), SVDD(), BFSResample(temperature=0.05)], ids=lambda search: type(search).__name__
)
def test_guidance_ledger_equals_the_rows_given_to_the_network_in_an_interval(search, guidance, lab, monkeypatch):
    mark_padding(monkeypatch, MixtureDenoiser)
    model, forward, backward = INTERVAL.denoiser(), [], []
    network = model.network

    def counted(x, coefficients, label):
        (backward if x.requires_grad else forward).append(real_rows(x.detach()))
        return network(x, coefficients, label)

    model.network = counted
    run = engine(INTERVAL, guidance, model=model, batch=7, gradient_batch=5)
    results = INTERVAL.results(run, search, (50 * guidance.rounds,), range(4))
    ledgers = [result.outcomes[0].ledger for result in results.values()]
    spent = {column: sum(ledger[column] for ledger in ledgers) for column in ("nfe", "nfe_backward")}
    assert spent == {"nfe": sum(forward + backward), "nfe_backward": sum(backward)}
    assert run.rows_evaluated == spent["nfe"] > 0
    assert bool(sum(backward)) == (guidance is not AT_GUESS)


@pytest.mark.parametrize("guidance", [THROUGH, AT_GUESS], ids=["through", "at_guess"])
def test_guidance_changes_no_bit_in_any_packing_of_an_interval(guidance, lab, monkeypatch):
    def bits(**shape):
        return INTERVAL.bits(engine(INTERVAL, guidance, rows=1024, **shape), SVDD(), (50,), range(5))

    expected = bits(batch=32)
    assert bits(batch=7, gradient_batch=5) == bits(batch=2, gradient_batch=2) == expected
    add, shuffled = Queue.add, random.Random(5)
    monkeypatch.setattr(Queue, "add", lambda queue, order, item: add(queue, shuffled.random(), item))
    assert bits(batch=7, gradient_batch=5) == bits(batch=32) == expected


def test_tfg_recurrence_multiplies_nfe_and_changes_the_image(lab):
    once, twice = (
        lab.results(engine(lab, TFG(rho=0.0, mu=0.0, recurrence=rounds)), NoSearch(), (math.inf,), [0])[0]
        for rounds in (1, 2)
    )
    assert (once.outcomes[0].ledger["nfe"], twice.outcomes[0].ledger["nfe"]) == (8, 16)
    assert once.outcomes[0].image.tobytes() != twice.outcomes[0].image.tobytes()


class Poison(Classifier):
    """A guide whose gradient for component 1 is not a number."""

    def reward(self, images, conditions):
        scores = super().reward(images, conditions)
        return scores * torch.tensor([math.nan if condition == 1 else 1.0 for condition in conditions])


def test_guidance_with_a_nan_gradient_fails_that_image_alone(lab):
    good = lab.bits(engine(lab, THROUGH), Random(), (16,), range(4))
    bad = lab.results(engine(lab, THROUGH, guide=Poison(lab.data.logits)), Random(), (16,), range(4))
    assert [index for index, result in bad.items() if result.failure] == [1]
    assert "returned NaN or Inf" in bad[1].failure
    rest = {index: result for index, result in bad.items() if index != 1}
    assert lab.as_bits(rest) == {index: bits for index, bits in good.items() if index != 1}


@pytest.mark.parametrize("guidance", [THROUGH, AT_GUESS], ids=["through", "at_guess"])
def test_guidance_fills_batches_of_plain_and_gradient_rows(lab, guidance):
    """Both kinds of work, until the last image is admitted."""
    run = engine(lab, guidance, batch=16, gradient_batch=8, rows=1024)
    served = {}

    def problems():
        yield from lab.problems(range(60))
        served.update(run.served)

    assert not any(result.failure for result in run.run(SVDD(), (40,), problems()))
    assert served["gradient"][0] > 100
    for kind, (filled, capacity) in served.items():
        assert not capacity or filled / capacity > 0.95, kind


@pytest.mark.parametrize(
    ("guidance", "options", "message"),
    [
        (THROUGH, {"sampler": Heun(steps=4, spacing="linspace")}, "takes two; set sampler=ddim"),
        (ONLY_RECURRENT, {"sampler": Heun(steps=4, spacing="linspace")}, "takes two"),
        (CG(), {}, "CG scores noisy rows, and the guide Classifier scores images"),
    ],
)
def test_guidance_refuses_heun_and_cg_with_an_image_guide(lab, guidance, options, message):
    with pytest.raises(ValueError, match=message):
        engine(lab, guidance, **options)


def test_guidance_refuses_to_run_without_a_guide(lab):
    with pytest.raises(ValueError, match="set verifier@guide"):
        Engine(lab.denoiser(), SAMPLER, {"select": Classifier(lab.data.logits)}, seed=0, guidance=DPS())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rho": -1.0}, "guidance.rho is -1.0; it is a number of at least 0"),
        ({"samples": 0}, "guidance.samples is 0; it is a whole number of at least 1"),
        ({"iterations": 1.5}, "guidance.iterations is 1.5; it is a whole number"),
        ({"sigma": math.nan}, "guidance.sigma is nan"),
        ({"rho_trend": "up"}, "it is one of increase"),
        ({"sigma_trend": "increase"}, "choose one of decrease, constant"),
    ],
)
def test_tfg_refuses_bad_parameters(values, message):
    with pytest.raises(ValueError, match=message):
        TFG(**values)
