"""What verifiers are shown: guesses as the model clips them, images as they are."""

import math

import pytest
import torch

from its.engine import Engine
from its.guidance.mpgd import MPGD
from its.guidance.none import NoGuidance
from its.guidance.tfg import TFG
from its.model.denoiser import Clipping
from its.model.mixture import MixtureDenoiser
from its.particles.verbs import advance, reward
from its.sampler.ddim import DDIM
from its.verifier.classifier import Classifier

LIMIT = 0.05


class Clipped(MixtureDenoiser):
    clipping = Clipping(LIMIT, rederive_eps=True)


class Seen(Classifier):
    """Keeps the largest pixel of each image that it is shown, in order."""

    def __init__(self, network):
        super().__init__(network)
        self.sizes = []

    def reward(self, images, conditions):
        self.sizes.append(images.detach().abs().max().item())
        return super().reward(images, conditions)


@pytest.mark.parametrize("guidance", [NoGuidance(), MPGD(1.0), TFG(rho=0.5, mu=0.5)], ids=lambda g: type(g).__name__)
def test_verify_shows_guesses_clipped_and_images_as_they_are(lab, guidance):
    select, guesses = Seen(lab.data.logits), []

    def body(image):
        starts = image.start()
        yield reward(starts)
        guesses.append(lab.guesses(starts)[0].abs().max().item())
        [last] = yield advance(starts)
        yield reward([last], of="before")
        yield reward([last])
        return last

    verifiers = {"select": select, "guide": Classifier(lab.data.logits)}
    engine = Engine(Clipped(lab.data), DDIM(steps=8, eta=0.0), verifiers, seed=0, guidance=guidance, batch=1)
    [result] = engine.run(lab.script(body), (math.inf,), lab.problems([0]))
    assert not result.failure, result.failure
    own, before, image = select.sizes
    assert own == before == pytest.approx(LIMIT)
    assert guesses[0] > LIMIT, "the guess that is kept is the network's own"
    if guidance.needs != "nothing":
        assert image > LIMIT, "what a guidance returns is taken as it is"


def test_unguided_step_from_a_known_guess_equals_one_from_an_unknown(lab):
    def body(score):
        def run(image):
            starts = image.start(3)
            if score:
                yield reward(starts)
            last = yield advance(starts)
            rows.append(lab.rows(last))
            return last[0]

        return run

    rows = []
    for score in (False, True):
        lab.play(body(score), DDIM(steps=5, eta=1.0), Clipped(lab.data))
    assert torch.equal(*rows)
