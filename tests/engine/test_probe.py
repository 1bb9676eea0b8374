"""The guess that an image is compared with: which one it is, that it costs no NFE, and what it goes through."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
import pytest
import torch
import transformers

from its.classifier.image_features import load
from its.dataset.mixture import Mixture
from its.engine import Engine
from its.engine.flops import count_flops
from its.engine.noise import normal
from its.engine.rehearsal import check_batches
from its.engine.rows import Rows
from its.guidance.mpgd import MPGD
from its.guidance.none import NoGuidance
from its.guidance.tfg import TFG
from its.metric.dinov2 import positions_at
from its.particles.keys import start_key
from its.particles.verbs import advance, reward
from its.sampler.ddim import DDIM
from its.sampler.dpmpp_2m import DPMpp2M
from its.sampler.euler import Euler
from its.sampler.flow_grpo import FlowGRPO
from its.sampler.flow_vp import FlowVP
from its.sampler.heun import Heun
from its.sampler.noise_paths import EDM
from its.search.more_steps import MoreSteps
from its.search.paths import Paths
from its.search.random import Random
from its.search.ses import SES
from its.search.zero_order import ZeroOrder
from its.twins.image_features import write
from its.verifier.classifier import Classifier
from its.verifier.ensemble import Ensemble
from its.verifier.null_rewards import NullRewards
from its.verifier.self_supervised import SelfSupervised
from its.verifier.zscore import ZScore
from tests.conftest import Lab


class Pixels:
    """Features that are the pixels themselves."""

    def features(self, images):
        return images


class Promise:
    """A reward that is the first pixel of the guess alone."""

    absolute, probe = True, 0.4

    def reward(self, images, conditions, guesses):
        return guesses[:, 0, 0, 0].double()


# ---- Against a sampling by hand, and transformers' own networks.


def posterior(lab: Lab, x: np.ndarray, alpha: float, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """x0_hat and eps_hat of one row `[16]`, by Bayes' rule."""
    means, variance = np.asarray(lab.data.means), (alpha * lab.data.std) ** 2 + sigma**2
    offset = x - alpha * means
    logits = -(offset**2).sum(axis=1) / (2 * variance)
    weights = np.exp(logits - logits.max())
    each = means + alpha * lab.data.std**2 / variance * offset
    x0 = (weights / weights.sum()) @ each
    return x0, (x - alpha * x0) / sigma


def share(level: tuple[float, float]) -> float:
    return level[1] / sum(level)


def by_ddim(lab: Lab, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ten steps from trailing times of Ho et al.'s betas; the image, and the guess nearest .4."""
    alphas_bar = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))
    levels = [(math.sqrt(alphas_bar[t]), math.sqrt(1 - alphas_bar[t])) for t in range(999, 0, -100)]
    return by_hand(lab, z, [*levels, (1.0, 0.0)])


def by_euler(lab: Lab, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return by_hand(lab, z, [(1 - t, t) for t in (k / 25 for k in range(25, -1, -1))])


def by_hand(lab: Lab, x: np.ndarray, levels: list[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    """First-order steps: the new state is made of x0_hat and eps_hat."""
    guesses = []
    for (alpha, sigma), (to_alpha, to_sigma) in pairwise(levels):
        x0, eps = posterior(lab, x, alpha, sigma)
        guesses.append(x0)
        x = to_alpha * x0 + to_sigma * eps
    nearest = int(np.argmin([abs(share(level) - 0.4) for level in levels[:-1]]))
    assert 0 < nearest < len(levels) - 2
    return x, guesses[nearest]


def by_edm(lab: Lab, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """EDM's Alg. 1 without churn, 18 steps; the guess is the first evaluation of its step."""
    ramp = np.linspace(0, 1, 18)
    sigmas = [*((80 ** (1 / 7) + ramp * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7), 0.0]
    x, guesses = 80 * z, []
    for now, then in pairwise(sigmas):
        x0, slope = posterior(lab, x, 1.0, now)
        guesses.append(x0)
        predicted = x + (then - now) * slope
        if then:
            predicted = x + (then - now) * 0.5 * (slope + posterior(lab, predicted, 1.0, then)[1])
        x = predicted
    return x, guesses[int(np.argmin([abs(share((1.0, sigma)) - 0.4) for sigma in sigmas[:-1]]))]


@dataclass
class Case:
    """A sampler, the path of its model, and the same by hand."""

    sampler: object
    path: str
    by_hand: Callable


CASES = {
    "ddim": Case(DDIM(steps=10, eta=0.0), "vp", by_ddim),
    "euler": Case(Euler(steps=25), "flow", by_euler),
    "edm": Case(Heun(steps=18, spacing="karras"), "edm", by_edm),
}

KINDS = {"clip": "CLIPModel", "dinov2": "Dinov2Model", "siglip": "SiglipModel"}


def model_of(lab: Lab, path: str):
    if path != "edm":
        return lab.denoiser(path=path)
    model = lab.denoiser()
    model.path = EDM(sigma_min=0.002, sigma_max=80.0, rho=7.0)
    return model


@pytest.fixture(scope="module")
def towers(tmp_path_factory):
    """By architecture the folder of a random network of 56 pixels."""
    folders = {name: tmp_path_factory.mktemp(name) for name in KINDS}
    for name, folder in folders.items():
        write(str(folder), architecture=name, size=56)
    return folders


def cosine(folder, kind: str, images: list[np.ndarray]) -> float:
    """Cosine of two images `[16]` in [-1, 1], prepared by hand, by what transformers' network pools."""
    own = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
    network = getattr(transformers, kind).from_pretrained(folder).eval()
    if kind == "Dinov2Model":
        parts = network.embeddings
        parts.position_embeddings = torch.nn.Parameter(positions_at(parts.position_embeddings, 56 // 14))
    features = []
    for image in images:
        grey = torch.from_numpy((image.reshape(4, 4) + 1) / 2).float()
        colour = torch.stack([grey] * 3)[None]
        size = own.size.get("shortest_edge") or own.size["height"]
        bigger = torch.nn.functional.interpolate(
            colour, (size, size), mode="bicubic" if own.resample == 3 else "bilinear", antialias=True
        )
        edge = (size - 56) // 2
        mean, std = (torch.tensor(values).reshape(3, 1, 1) for values in (own.image_mean, own.image_std))
        pixels = (bigger[..., edge : edge + 56, edge : edge + 56] - mean) / std
        with torch.inference_mode():
            made = getattr(network, "get_image_features", network)(pixel_values=pixels)
        features.append(getattr(made, "pooler_output", made).flatten().double())
    return torch.nn.functional.cosine_similarity(*features, dim=0).item()


@pytest.mark.parametrize("tower", KINDS)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_probe_reward_equals_a_sampling_by_hand_and_costs_no_nfe(lab, towers, tower, case):
    """Components overlap, so that a guess is not its image yet."""
    lab = Lab(Mixture(std=0.5))
    verifier = SelfSupervised(load(str(towers[tower])))
    engine = lab.engine(case.sampler, model_of(lab, case.path), verifier)
    cost = engine.prices.sampling
    result = lab.results(engine, Random(block=2), (cost, 3 * cost), [5])[5]

    keys = [start_key(number) for number in range(3)]
    noises = normal(0, [5] * 3, keys, (1, 4, 4)).double().numpy().reshape(3, 16)
    made = [case.by_hand(lab, z) for z in noises]
    expected = [cosine(towers[tower], KINDS[tower], [*pair]) for pair in made]
    assert [outcome.reward for outcome in result.outcomes] == pytest.approx([expected[0], max(expected)], abs=1e-6)
    assert min(abs(a - b) for a, b in combinations(expected, 2)) > 1e-5, "the rewards tell images apart"

    blind = lab.engine(case.sampler, model_of(lab, case.path), NullRewards())
    [other] = lab.results(blind, Random(block=2), (cost, 3 * cost), [5]).values()
    assert [o.ledger for o in result.outcomes] == [o.ledger for o in other.outcomes]


# ---- Which guess a row keeps.

SAMPLERS = {
    "ddim": (DDIM(steps=10, eta=1.0), "vp"),
    "dpmpp_2m": (DPMpp2M(steps=10), "vp"),
    "heun": (Heun(steps=6, spacing="linspace"), "vp"),
    "euler": (Euler(steps=10), "flow"),
    "flow_grpo": (FlowGRPO(steps=10), "flow"),
    "flow_vp": (FlowVP(steps=10, spacing="linear"), "flow"),
    "edm": (Heun(steps=18, spacing="karras"), "edm"),
}


def engine_of(lab: Lab, name: str = "ddim", guidance=NoGuidance(), verifier=None, **options) -> Engine:  # noqa: B008
    sampler, path = SAMPLERS[name]
    model = model_of(lab, path)
    verifiers = {"select": verifier or Promise(), "guide": Classifier(lab.logits)}
    return Engine(model, sampler, verifiers, seed=0, guidance=guidance, **{"batch": 32, **options})


def played(engine: Engine, lab: Lab, body):
    [result] = engine.run(lab.script(body), (math.inf,), lab.problems([0]))
    assert not result.failure, result.failure
    return result


def around(image, probe):
    """The levels before, at and after the probe's."""
    at = image.grid.index(probe.level)
    return image.grid[at - 1], image.grid[at], image.grid[at + 1]


def first_pixels(particles) -> list[float]:
    """Of the guesses of evaluated particles."""
    rows = [particle.state.guess.row for particle in particles]
    return torch.cat([row.rows.take([row]) for row in rows])[:, 0, 0, 0].tolist()


@pytest.mark.parametrize("name", SAMPLERS)
def test_probe_is_the_guess_at_the_level_however_the_way_is_cut(lab, name):
    engine = engine_of(lab, name)
    rewards = {}

    def body(image):
        _, at, after = around(image, engine.probe)
        [here] = yield advance(image.start(), to=at)
        [past] = yield advance([here], to=after)
        rewards["expected"] = first_pixels([here])
        rewards["after"] = yield reward([past])
        [clean] = yield advance([past])
        rewards["cut"] = yield reward([clean])
        rewards["before"] = yield reward([clean], of="before")
        yield reward((yield advance([here] * 2)))
        return clean

    result = played(engine, lab, body)
    whole = lab.results(engine, Random(), (engine.prices.sampling,), [0])[0].outcomes[0]
    assert rewards["after"] == rewards["cut"] == rewards["before"] == rewards["expected"] == [whole.reward]
    assert result.outcomes[0].image.tobytes() == whole.image.tobytes()


GUIDANCES = {
    "through": TFG(rho=0.02, mu=0.01, sigma=0.1, samples=2, iterations=2),
    "at_guess": MPGD(strength=0.01),
    "recurrent": TFG(rho=0.02, mu=0.01, sigma=0.1, samples=2, iterations=3, recurrence=2),
}


@pytest.mark.parametrize("latent", [False, True], ids=["pixels", "latent"])
@pytest.mark.parametrize("guidance", GUIDANCES.values(), ids=GUIDANCES)
def test_probe_is_the_network_s_own_guess_of_the_last_round(guidance, latent):
    lab = Lab(Mixture(std=0.5), latent=latent)
    engine = engine_of(lab, guidance=guidance)
    rewards = []

    def straight(image):
        _, _, after = around(image, engine.probe)
        [past] = yield advance(image.start(), to=after)
        rewards.extend((yield reward([past])))
        rewards.extend((yield reward((yield advance([past])))))

    def cut(image):
        _, at, after = around(image, engine.probe)
        [here] = yield advance(image.start(), to=at)
        [past] = yield advance([here], to=after)
        rewards.extend((yield reward([past])))
        rewards.append(first_pixels([here])[0])
        return (yield advance([past]))[0]

    played(engine, lab, straight)
    played(engine, lab, cut)
    assert rewards[0] == rewards[1] == rewards[2]
    assert (rewards[2] == rewards[3]) == (guidance.rounds == 1), "a recurrence comes back to another row"


def test_probe_is_the_newest_after_renoising(lab):
    engine = engine_of(lab)
    seen = {}

    def body(image):
        before, at, after = around(image, engine.probe)
        [clean] = yield advance(image.start())
        [seen["first"]] = yield reward([clean])
        above, level, below = image.renoise([clean] * 3, [before, at, after])
        [seen["below"]] = yield reward([below])
        [jittered] = image.jitter([below], 0.1)
        [seen["jittered"]] = yield reward([jittered])
        [back] = yield advance([below])
        [seen["back below"]] = yield reward([back])
        [again] = yield advance([level])
        seen["at"] = first_pixels([level])[0]
        [seen["back at"]] = yield reward([again])
        [there] = yield advance([above], to=at)
        [past] = yield advance([there])
        seen["above"] = first_pixels([there])[0]
        [seen["back above"]] = yield reward([past])
        return past

    played(engine, lab, body)
    assert seen["first"] == seen["below"] == seen["jittered"] == seen["back below"]
    assert seen["at"] == seen["back at"] != seen["first"]
    assert seen["above"] == seen["back above"] != seen["first"]


@pytest.mark.parametrize("of", ["start", "at", "renoised", "jittered", "before"])
def test_probe_refuses_a_guess_that_has_no_earlier_one(lab, of):
    engine = engine_of(lab)

    def body(image):
        before, at, after = around(image, engine.probe)
        start = image.start()
        if of == "start":
            yield reward(start)
        [here] = yield advance(start, to=at)
        if of == "at":
            yield reward([here])
        if of == "jittered":
            yield reward(image.jitter([here], 0.1))
        [past] = yield advance([here], to=after)
        if of == "before":
            yield reward([past], of="before")
        yield reward(image.renoise([past], before))

    with pytest.raises(
        ValueError, match=r"test_probe.py:\d+: Script, image 0: asked for the reward of a guess at time"
    ):
        played(engine, lab, body)


def test_probe_of_a_way_in_other_steps_is_where_it_goes_past(lab):
    """A way that stands at none of the grid's levels keeps the guess that its step past the level starts from."""
    engine = engine_of(lab, "euler")
    times = []

    class Time:
        absolute, probe = True, 0.4

        def reward(self, images, conditions, guesses):
            return guesses[:, 0, 0, 0].double()

    engine.verifiers["select"] = Time()

    def body(image):
        assert engine.probe.level.time == pytest.approx(0.4)
        [start] = image.start()
        [high] = yield advance([start], to=image.level(0.85))
        [clean] = yield advance([high], to=image.grid[-1], steps=3)  # .85, .57, .28
        [middle] = yield advance([high], to=image.level(0.85 - 0.85 / 3), steps=1)
        yield advance([middle])
        times.extend([*(yield reward([clean])), *first_pixels([middle])])

    played(engine, lab, body)
    assert times[0] == times[1]


# ---- Costs, company and parts.


class Counted:
    """A decoder that counts the latents it is given, as many as were gathered for it, and a verifier's rewards."""

    def __init__(self, lab: Lab, monkeypatch) -> None:
        self.decoded = self.scored = self._gathered = 0
        self._decode, self.shape = lab.denoiser().decoder, (1, 8, 8)
        self.absolute, self.probe = True, 0.4
        take = Rows.take

        def counted(store, rows):
            self._gathered = len({row.index for row in rows})
            return take(store, rows)

        monkeypatch.setattr(Rows, "take", counted)

    def __call__(self, latents):
        self.decoded += self._gathered
        return self._decode(latents)

    def reward(self, images, conditions, guesses):
        self.scored += len({image.numpy().tobytes() for image in images})
        return (images * guesses).sum((1, 2, 3))


SEARCHES = [
    Random(block=3),
    ZeroOrder(neighbors=3),
    Paths(paths=3, steps=0.5),
    SES(population=3, elites=2),
    MoreSteps(),
]


@pytest.mark.parametrize("search", SEARCHES, ids=lambda search: type(search).__name__)
@pytest.mark.parametrize("name", ["ddim", "heun", "euler"])
def test_probe_is_decoded_once_and_counted(lab, search, name, monkeypatch):
    lab = Lab(latent=True)
    counted = Counted(lab, monkeypatch)
    engine = engine_of(lab, name, verifier=counted, batch=14)
    engine.model.decoder = counted
    results = lab.results(engine, search, (engine.prices.sampling * 6,), range(4))
    ledgers = [result.outcomes[0].ledger for result in results.values()]
    assert counted.decoded == sum(ledger["decoder_calls"] for ledger in ledgers)
    assert counted.scored == sum(ledger["verifier_calls"] for ledger in ledgers)
    more = sum(ledger["decoder_calls"] - ledger["verifier_calls"] for ledger in ledgers)
    assert more == counted.scored if search != SEARCHES[2] else 0 < more <= counted.scored


def test_probe_is_shared_by_children_of_its_row(lab):
    """One evaluation, one decode of the guess; an image each."""
    lab = Lab(latent=True)
    engine = engine_of(lab)

    def body(image):
        [here] = yield advance(image.start(), to=engine.probe.level)
        yield reward((yield advance([here] * 4)))

    assert played(engine, lab, body).outcomes[0].ledger["decoder_calls"] == 5


@pytest.mark.parametrize("search", SEARCHES, ids=lambda search: type(search).__name__)
@pytest.mark.parametrize("latent", [False, True], ids=["pixels", "latent"])
def test_probe_does_not_depend_on_company(lab, search, latent):
    lab = Lab(latent=latent)

    def bits(indices, **options):
        return lab.bits(engine_of(lab, verifier=SelfSupervised(Pixels()), **options), search, (45,), indices)

    whole = bits(range(5))
    assert bits([3]).items() <= whole.items()
    assert bits(range(5), batch=7, verify_batch=2, decode_batch=3) == whole
    assert bits([4, 2, 0], rows=24).items() <= whole.items()


def test_probe_leaves_images_and_nfe_as_they_are(lab):
    """The same candidates are made; which of them is chosen is another's word."""
    engines = [engine_of(lab, verifier=verifier, keep_candidates=True) for verifier in (Promise(), NullRewards())]
    probed, plain = (lab.results(engine, Random(block=3), (45,), range(3)) for engine in engines)
    for index, result in probed.items():
        mine, other = result.candidates, plain[index].candidates
        assert [c.image.tobytes() for c in mine] == [c.image.tobytes() for c in other]
        assert [c.clock for c in mine] == [c.clock for c in other]
        assert result.outcomes[0].ledger == plain[index].outcomes[0].ledger


def test_probe_serves_the_members_of_ensembles(lab):
    members = {"a": Promise(), "b": Classifier(lab.logits)}
    statistics = {"a": [0.0, 1.0], "b": [0.0, 2.0]}
    both = engine_of(lab, verifier=Ensemble(members), keep_candidates=True)
    mean = engine_of(lab, verifier=ZScore(members, statistics), keep_candidates=True)
    alone = [engine_of(lab, verifier=each, keep_candidates=True) for each in members.values()]
    ranked, scored, a, b = (lab.results(each, Random(), (45,), [2])[2].candidates for each in (both, mean, *alone))
    for pair, score, one, other in zip(ranked, scored, a, b, strict=True):
        assert tuple(pair.reward) == (one.reward, other.reward)
        assert score.reward == pytest.approx((one.reward + other.reward / 2) / 2)


def test_probe_refuses_two_levels_in_one_run(lab):
    later = Promise()
    later.probe = 0.2
    with pytest.raises(ValueError, match=r"different shares of noise \(a at 0.4, b at 0.2\)"):
        Ensemble({"a": Promise(), "b": later})


def test_probe_refuses_a_guide(lab):
    with pytest.raises(ValueError, match="the guide Promise compares an image with an earlier guess"):
        Engine(lab.denoiser(), DDIM(steps=8), {"select": Promise(), "guide": Promise()}, seed=0, guidance=MPGD(0.1))


def test_probe_refuses_a_sampling_in_one_step(lab):
    with pytest.raises(ValueError, match=r"a sampling in one step has none; set sampler\.steps to 2 or more"):
        lab.engine(DDIM(steps=1), verifier=Promise())


@pytest.mark.parametrize("name", ["ddim", "heun"])
@pytest.mark.parametrize("guidance", [NoGuidance(), MPGD(0.01)], ids=["plain", "guided"])
def test_check_batches_rehearses_a_verifier_with_a_probe(name, guidance):
    lab = Lab(latent=True)
    if name == "heun" and guidance.needs != "nothing":
        return
    seen = []

    class Seen(Promise):
        def reward(self, images, conditions, guesses):
            seen.append((tuple(images.shape), tuple(guesses.shape)))
            return super().reward(images, conditions, guesses)

    engine = engine_of(lab, name, guidance, Seen(), verify_batch=5)
    before = engine.probe
    check_batches(engine, 1)
    assert seen == [((5, 1, 8, 8), (5, 1, 8, 8))]
    assert engine.probe == before


def test_flops_of_a_comparison_are_those_of_two_images(lab):
    class Linear:
        def __init__(self):
            self.weight = torch.ones(16, 3, dtype=torch.float64)

        def features(self, images):
            return images.flatten(1) @ self.weight

    assert count_flops(engine_of(lab, verifier=SelfSupervised(Linear())), 1)["verifier_calls"] == 2 * 2 * 16 * 3
