"""The variances of ancestral steps, against diffusers' DDPM, and what a checkpoint has to do with them."""

from itertools import pairwise

import pytest
import torch
from diffusers import DDPMScheduler

from its.engine import Engine
from its.guidance.mpgd import MPGD
from its.guidance.none import NoGuidance
from its.guidance.tfg import TFG
from its.levels import Columns, Guess
from its.model.denoiser import ClassifierFree, NetworkDenoiser, guess_from
from its.model.mixture import MixtureDenoiser
from its.particles.verbs import advance, reward
from its.sampler.ddim import DDIM
from its.sampler.noise_paths import linear_vp
from its.search.none import NoSearch
from its.verifier.classifier import Classifier

THEIRS = {"fixed_small": "fixed_small", "fixed_large": "fixed_large", "learned": "learned_range"}


@pytest.mark.parametrize("steps", [4, 50])
@pytest.mark.parametrize("variance", THEIRS)
def test_ddim_with_a_variance_equals_diffusers_ddpm(variance, steps):
    scheduler = DDPMScheduler(variance_type=THEIRS[variance], clip_sample=False)
    scheduler.alphas_cumprod = torch.tensor(linear_vp().alphas_cumprod, dtype=torch.float64)
    scheduler.set_timesteps(steps)
    random = torch.Generator().manual_seed(0)
    sampler = DDIM(steps=steps, spacing="leading", eta=1.0, variance=variance)
    for t, s in pairwise(sampler.grid(linear_vp())):
        x, output = (torch.randn(2, colours, 4, 4, generator=random, dtype=torch.float64) for colours in (3, 6))
        theirs = scheduler.step(
            output if variance == "learned" else output[:, :3],
            int(t.time),
            x,
            generator=torch.Generator().manual_seed(1),
        ).prev_sample
        z = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        before, after = (Columns.of([level] * 2, 4, "cpu") for level in (t, s))
        guess = guess_from("epsilon", output[:, :3], x, before)._replace(share=(output[:, 3:] + 1) / 2)
        ours = sampler.step(x, guess, before, after, z if sampler.noisy(t, s) else torch.zeros_like(z))
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6 * float(theirs.abs().max()))


def test_ddim_of_a_checkpoint_takes_its_variance_at_eta_1():
    assert DDIM(steps=5, eta=1.0).fitted("learned").variance == "learned"
    assert DDIM(steps=5, eta=1.0).fitted("fixed_large").variance == "fixed_large"
    assert DDIM(steps=5, eta=0.5).fitted("learned").variance == "fixed_small"
    assert DDIM(steps=5, eta=1.0, variance="fixed_small").fitted("learned").variance == "fixed_small"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DDIM(steps=5, eta=0.5, variance="learned"), "variance of ancestral steps, and sampler.eta is 0.5"),
        (lambda: DDIM(steps=5, eta=0.0, variance="fixed_large"), "set sampler.eta=1"),
        (lambda: DDIM(steps=5, eta=1.0, variance="large"), "sampler.variance is 'large'"),
        (lambda: DDIM(steps=5, eta=1.0, variance="learned").fitted("fixed_small"), "predicts no variance"),
    ],
)
def test_ddim_refuses_a_variance_that_is_not_there(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def six_channels(x, time, label):
    """A prediction and a variance that both depend on the label."""
    return torch.cat([x, 0.1 * x], 1) * (1 + label).to(x)[:, None, None, None]


def test_network_denoiser_splits_a_learned_variance_which_no_guidance_mixes():
    x, label = torch.randn(2, 3, 2, 2), torch.tensor([3, 3])
    t = Columns.of([linear_vp().level(500)] * 2, 4, "cpu")
    model = NetworkDenoiser(
        six_channels,
        linear_vp(),
        "epsilon",
        (3, 2, 2),
        conditional=True,
        null_class=0,
        guidance_scale=2.0,
        variance="learned",
    )
    guess = model(x, t, [3, 3])
    torch.testing.assert_close(guess.eps, 7 * x, msg="1 + 2 (4 - 1)")
    torch.testing.assert_close(guess.share, (0.4 * x + 1) / 2, msg="that of the conditional half")
    assert ClassifierFree(six_channels, 2.0, 0)(x, torch.zeros(2), label).shape == (2, 6, 2, 2)


class Learned(MixtureDenoiser):
    variance = "learned"

    def __call__(self, x, levels, conditions):
        x0, eps, _ = super().__call__(x, levels, conditions)
        return Guess(x0, eps, torch.sigmoid(x))


@pytest.mark.parametrize(
    "guidance", [NoGuidance(), MPGD(0.01), TFG(rho=0.02, mu=0.01)], ids=lambda guidance: type(guidance).__name__
)
def test_engine_keeps_a_learned_variance_with_a_guess(lab, guidance):
    """A step from a guess that was scored before, or is made between levels, draws with the same variance."""

    def images(score, variance="checkpoint"):
        rows = []

        def body(image):
            starts = image.start(3)
            if score:
                yield reward(starts)
            middle = yield advance(starts, image.grid[2])
            if score:
                yield reward(middle)
            last = yield advance(middle)
            rows.append(lab.rows(last))
            return last[0]

        verifier = Classifier(lab.data.logits)
        verifiers = {"select": verifier, "guide": verifier}
        sampler = DDIM(steps=5, eta=1.0, variance=variance)
        engine = Engine(Learned(lab.data), sampler, verifiers, seed=0, guidance=guidance, batch=4)
        [result] = engine.run(lab.script(body), (float("inf"),), lab.problems([0]))
        assert not result.failure, result.failure
        return rows[0]

    assert torch.equal(images(False), images(True))
    assert not torch.allclose(images(False), images(False, "fixed_small"), atol=0.01)


def test_engine_fails_an_image_whose_learned_variance_is_no_number(lab):
    """Its last step draws nothing, and zero times NaN would be a black image."""

    class Ill(Learned):
        def __call__(self, x, levels, conditions):
            guess = super().__call__(x, levels, conditions)
            ill = torch.tensor([condition == 1 for condition in conditions])
            return guess._replace(share=guess.share.masked_fill(ill[:, None, None, None], float("nan")))

    engine = lab.engine(DDIM(steps=1, eta=1.0), Ill(lab.data))
    results = lab.results(engine, NoSearch(), (1,), range(4))
    failed = {index for index, result in results.items() if result.failure}
    assert failed == {index for index in range(4) if lab.data.condition(index) == 1}
    assert failed
