"""Guides of images whose gradients pass a pipeline's decoder, network and guidance by text."""

import pytest
import torch
from diffusers import StableDiffusionPipeline

from its.engine import Engine
from its.guidance.dps import DPS
from its.guidance.mpgd import MPGD
from its.guidance.none import NoGuidance
from its.guidance.tfg import TFG
from its.sampler.ddim import DDIM
from its.search.none import NoSearch
from its.types import Problem
from tests.model.pipelines import FAMILIES, PROMPTS, WRITERS

pytestmark = pytest.mark.usefixtures("text_cache")

STRENGTH = 0.5


class Redness:
    """A guide that likes red, of at most 0; it keeps what it saw."""

    absolute = True

    def reward(self, images, conditions):
        return -(images[:, 0] - 0.5).square().flatten(1).mean(1)


def outcome(model, guidance, steps=2):
    roles = {"select": Redness(), "guide": Redness()}
    sizes = dict.fromkeys(("batch", "gradient_batch"), model.slots)
    engine = Engine(model, DDIM(steps=steps, eta=0.0, spacing="trailing"), roles, seed=0, guidance=guidance, **sizes)
    [result] = engine.run(NoSearch(), (float("inf"),), [Problem(0, PROMPTS[0])], "natural")
    return result.outcomes[0]


GUIDANCES = [
    DPS(1.0),
    pytest.param(TFG(rho=10.0, mu=10.0, samples=1), marks=pytest.mark.long),
    pytest.param(MPGD(100.0), marks=pytest.mark.long),
]


@pytest.mark.parametrize("guidance", GUIDANCES, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_guided_through_its_decoder(family, guidance, tmp_path):
    WRITERS[family](str(tmp_path))
    model = FAMILIES[family](str(tmp_path))
    guided, plain = outcome(model, guidance), outcome(model, NoGuidance())
    assert torch.as_tensor(guided.image).isfinite().all()
    assert not (guided.image == plain.image).all()


def test_guidance_of_a_pipeline_is_the_gradient_by_hand(tmp_path):
    """Through diffusers' own UNet under guidance by text, and its VAE, at both steps."""
    WRITERS["sd15"](str(tmp_path))
    model = FAMILIES["sd15"](str(tmp_path))
    pipeline = StableDiffusionPipeline.from_pretrained(tmp_path, safety_checker=None, feature_extractor=None)
    text, empty = pipeline.encode_prompt(PROMPTS[0], "cpu", 1, True, negative_prompt="")
    given = []
    evaluate = model.network
    model.network = lambda x, *rest: given.append(x.detach()[:1].clone()) or evaluate(x, *rest)
    outcome(model, DPS(STRENGTH))

    # The first state is the engine's noise; the second is what the first step, and the gradient, make of it.
    grid = DDIM(steps=2, eta=0.0, spacing="trailing").grid(model.path)
    x = given[0].clone().requires_grad_()
    t, s = grid[:2]
    cond, uncond = (pipeline.unet(x, t.time, encoder_hidden_states=each).sample for each in (text, empty))
    eps = uncond + 7.5 * (cond - uncond)
    x0 = (x - t.sigma * eps) / t.alpha
    image = pipeline.vae.decode(x0 / pipeline.vae.config.scaling_factor).sample.clamp(-1, 1)
    score = Redness().reward(image, None)
    [gradient] = torch.autograd.grad(score, x)
    assert gradient.isfinite().all()
    shift = STRENGTH * gradient / score.detach().abs()
    expected = (s.alpha * x0 + s.sigma * eps).detach() + shift
    assert shift.abs().max() > 1e-3 * expected.abs().max()
    torch.testing.assert_close(given[-1], expected, rtol=1e-4, atol=1e-4)
