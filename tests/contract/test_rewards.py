"""Scores, their costs, and the images that become candidates."""

import math

import pytest

from its.engine import Engine
from its.particles.verbs import advance, reward
from its.sampler.ddim import DDIM

SAMPLER = DDIM(steps=8, eta=1.0)


class FirstPixel:
    """A reward that tells any two images apart."""

    absolute = True

    def reward(self, images, conditions):
        return images[:, 0, 0, 0]


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_reward_of_the_last_guess_equals_that_of_its_image(lab, scale):
    rewards = {}

    def body(image):
        rewards["nfe"] = lab.nfe(image.grid[:-1], scale=scale)
        [last] = yield advance(image.start(), to=image.grid[-2])
        rewards["own"] = yield reward([last])
        [clean] = yield advance([last])
        rewards["before"] = yield reward([clean], of="before")
        rewards["image"] = yield reward([clean])
        rewards["earlier"] = yield reward([last], of="before")
        return clean

    outcome = lab.play(body, SAMPLER, lab.denoiser(scale=scale), FirstPixel()).outcomes[0]
    assert rewards["own"] == rewards["before"] == rewards["image"], "the last step goes to x0_hat"
    assert rewards["earlier"] != rewards["own"]
    assert outcome.reward == rewards["image"][0]
    assert outcome.ledger["nfe"] == rewards["nfe"]
    assert outcome.ledger["verifier_calls"] == 3


def test_reward_of_a_guess_shares_the_next_evaluation(lab):
    def body(image):
        particles = image.start(2)
        for level in image.grid[1:]:
            yield reward(particles)
            yield reward(particles)
            particles = yield advance(particles, to=level)
            yield reward(particles, of="before")
        assert image.ledger.spent == 2 * image.cost() == 2 * lab.nfe(image.grid[:-1])
        return particles[0]

    ledger = lab.play(body, SAMPLER).outcomes[0].ledger
    nfe = 2 * lab.nfe(SAMPLER.grid(lab.denoiser().path)[:-1])
    decoded = 17 if lab.latent else 0  # the image too, which no verifier has seen
    rest = {"nfe_backward": 0, "decoder_calls": decoded, "guide_calls": 0, "decoder_backward": 0}
    assert ledger == {"nfe": nfe, "verifier_calls": 16, **rest}


def test_ledger_charges_one_evaluation_for_all_branches(lab):
    def body(image):
        start = image.start()
        scored_twice = yield reward(start * 2)
        assert scored_twice[0] == scored_twice[1]
        first, second, rest = (lab.nfe(levels) for levels in (image.grid[:1], image.grid[1:2], image.grid[2:-1]))
        assert image.ledger.spent == first
        branches = yield advance(start * 4, to=image.grid[1])
        assert image.ledger.spent == first
        images = yield advance(branches + branches[:1])
        assert image.ledger.spent == first + 4 * second + 5 * rest
        return images[0]

    lab.play(body, SAMPLER)


def test_advance_to_its_own_level_shares_no_evaluation(lab):
    """Standing still evaluates nothing, so a further copy that moves on pays in full."""

    def body(image):
        [start] = image.start()
        still, lower = yield advance([start, start], to=[start.level, image.grid[1]])
        assert still is start
        assert image.ledger.spent == lab.nfe([start.level])
        [clean] = yield advance([lower])
        return clean

    engine = lab.engine(SAMPLER)
    [outcome] = lab.results(engine, lab.script(body), (math.inf,), [0])[0].outcomes
    assert outcome.ledger["nfe"] == engine.served["evaluate"][0] == lab.nfe(engine.prices.grid[:-1])


@pytest.mark.parametrize(("of", "finish"), [("before", True), ("own", False)])
def test_engine_takes_only_scored_finished_images_as_candidates(lab, of, finish):
    def body(image):
        particles = yield advance(image.start(), to=None if finish else image.grid[4])
        yield reward(particles, of=of)

    with pytest.raises(ValueError, match="Script, image 0: ended at a cap of inf NFE with no image"):
        lab.play(body, SAMPLER)


def test_engine_takes_candidates_from_the_selecting_verifier_only(lab):
    class Constant:
        absolute = True

        def reward(self, images, conditions):
            return images.new_full((len(images),), 5.0)

    rewards = []

    def body(image):
        images = yield advance(image.start(2))
        rewards.extend((yield reward(images, by="guide")))
        rewards.extend((yield reward(images[:1])))

    select = lab.engine(SAMPLER).verifiers["select"]
    engine = Engine(lab.denoiser(), SAMPLER, {"select": select, "guide": Constant()}, seed=0, batch=4)
    [outcome] = lab.results(engine, lab.script(body), (math.inf,), [0])[0].outcomes
    assert rewards == [5.0, 5.0, outcome.reward]
    assert outcome.ledger["verifier_calls"] == 3


def test_engine_prefers_the_returned_particle_to_a_better_one(lab):
    rewards = []

    def body(image):
        images = yield advance(image.start(4))
        rewards.extend((yield reward(images)))
        return images[rewards.index(min(rewards))]

    assert lab.play(body, SAMPLER).outcomes[0].reward == min(rewards) < max(rewards)


def unfinished(image):
    [particle] = yield advance(image.start(), to=image.grid[3])
    return particle


def unasked(image):
    yield "an image, please"


def unheard(image):
    yield reward((yield advance(image.start())), of="after")


def headless(image):
    yield reward(image.start(), of="before")


def upwards(image):
    particles = yield advance(image.start(), to=image.grid[3])
    yield advance(particles, to=image.grid[1])


def standstill(image):
    yield advance(image.start(), steps=0)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (unfinished, "returned a particle at Level"),
        (unasked, "search yields advance"),
        (unheard, "it is 'own' or 'before'"),
        (headless, "no step has led to"),
        (upwards, "must be less noisy"),
        (standstill, "at least 1"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_engine_refuses_invalid_requests(lab, body, message):
    with pytest.raises((RuntimeError, TypeError, ValueError), match=message):
        lab.play(body, SAMPLER)


def test_engine_refuses_a_particle_of_another_image(lab):
    particles = []

    def body(image):
        particles.extend(image.start())
        yield advance(particles[:1])

    with pytest.raises(ValueError, match="particle of another image"):
        lab.results(lab.engine(SAMPLER), lab.script(body), (math.inf,), [0, 1])
