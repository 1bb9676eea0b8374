"""Every guidance against a straight-line implementation on the same draws, and against closed forms."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from its.dataset.mixture import Mixture
from its.engine import Engine
from its.engine.noise import normal
from its.guidance.cg import CG
from its.guidance.dps import DPS
from its.guidance.freedom import FreeDoM
from its.guidance.lgd import LGD
from its.guidance.mpgd import MPGD
from its.guidance.none import NoGuidance
from its.guidance.tfg import TFG
from its.guidance.ugd import UGD
from its.levels import Columns
from its.model.denoiser import Clipping, NetworkDenoiser
from its.model.mixture import MixtureDenoiser
from its.particles.verbs import advance
from its.sampler.ddim import DDIM
from its.sampler.noise_paths import linear_vp
from its.types import Problem
from its.verifier.classifier import Classifier

STEPS, COMPONENT = 6, 2


class Noisy:
    """The exact log p(y | x_t) of the mixture, as classifier guidance wants it."""

    absolute = True
    noise_aware = True

    def __init__(self, data):
        self.data = data

    def reward(self, images, conditions, levels):
        means = torch.as_tensor(self.data.means)
        offset = images.flatten(1)[:, None] - levels.alpha.flatten(1)[:, None] * means
        variance = (levels.alpha * self.data.std) ** 2 + levels.sigma**2
        logits = -offset.square().sum(-1) / (2 * variance.flatten(1))
        return torch.log_softmax(logits, 1).gather(1, torch.tensor(conditions)[:, None]).squeeze(1)


class Clipped(MixtureDenoiser):
    """A denoiser that clips as OpenAI's and TFG's code does, and so low that it clips at every level."""

    clipping = Clipping(0.3, rederive_eps=True)


MATRIX = torch.from_numpy(np.random.Generator(np.random.Philox(key=11)).normal(0.0, 0.3, (18, 16)))
"""Of the decoder of latents 1 x 4 x 4."""


class Linear:
    """A decoder to images 2 x 3 x 3, none of whose pixels is one of its latent's."""

    shape = (2, 3, 3)

    def __call__(self, latents):
        return (latents.flatten(1) @ MATRIX.T + 0.1).reshape(-1, *self.shape)


class Latent(MixtureDenoiser):
    """A latent model with a linear decoder."""

    decoder = Linear()


def seen(data, model):
    """The logits of images as a model makes them: the mixture's own, or of its means decoded."""
    if model is not Latent:
        return data.logits
    means = torch.as_tensor(data.means) @ MATRIX.T + 0.1
    return lambda images: -(images.flatten(1)[:, None] - means).square().sum(-1) / (2.0 * data.std**2)


def run(guidance, eta, data, guide=None, model=MixtureDenoiser):
    """x_0 of one image, and every draw in the order in which the engine asked for it."""
    draws, images = [], []

    def recording(*args):
        rows = normal(*args)
        draws.append(rows[0].double())
        return rows

    def body(image):
        [last] = yield advance(image.start())
        images.append(last.state.x.rows.take([last.state.x])[0])
        return last

    verifier = Classifier(seen(data, model))
    engine = Engine(
        model(data),
        DDIM(steps=STEPS, eta=eta),
        {"select": verifier, "guide": guide or verifier},
        seed=3,
        guidance=guidance,
        batch=4,
        noise=recording,
    )
    from tests.conftest import Script

    [result] = engine.run(Script(body), (math.inf,), [Problem(0, COMPONENT)])
    assert not result.failure, result.failure
    return images[0].clone(), [draw.clone() for draw in draws]


class Naive:
    """One image, one loop; autograd straight through everything."""

    def __init__(self, data, eta, draws, model=MixtureDenoiser):
        self.model = model(data)
        self.limit = self.model.clipping.limit or math.inf
        self.eta = eta
        self.draws = iter(draws)
        self.grid = DDIM(steps=STEPS, eta=0.0).grid(self.model.path)
        self.data = data
        self.logits = seen(data, model)

    def f(self, x0):
        images = x0.flatten(1) @ MATRIX.T + 0.1 if isinstance(self.model, Latent) else x0
        return torch.log_softmax(self.logits(images), 1)[:, COMPONENT].sum()

    def guess(self, x, t):
        return self.model(x, Columns.of([t], 4, "cpu"), [COMPONENT])[:2]

    def clipped(self, x0):
        return x0.clamp(-self.limit, self.limit)

    def ddim_from_x0(self, x, x0, t, s):
        """The step of Ye et al.'s code from a guess alone: eps_hat is what goes with it."""
        return self.ddim(x0, (x - t.alpha * x0) / math.sqrt(1 - t.alpha**2), t, s)

    def smoothed(self, x0, offsets):
        if not offsets:
            return self.f(x0)
        return torch.logsumexp(torch.stack([self.f(x0 + offset) for offset in offsets]), 0) - math.log(len(offsets))

    def ddim(self, x0, eps, t, s):
        z = next(self.draws) if self.eta and not s.clean else 0.0
        a, b = t.alpha**2, s.alpha**2
        std = self.eta * math.sqrt((1 - b) / (1 - a) * (1 - a / b)) if not s.clean else 0.0
        landed = math.sqrt(b) * x0 + math.sqrt(max(1 - b - std**2, 0)) * eps
        return landed + std * z

    def multiplier(self, trend, t):
        ratios = [u.alpha**2 / v.alpha**2 for u, v in pairwise(self.grid)]
        weights = {"increase": ratios, "decrease": [1 - r for r in ratios], "constant": [1.0] * len(ratios)}[trend]
        return weights[self.grid.index(t)] * len(weights) / sum(weights)

    def sample(self, step, rounds=1):
        x = next(self.draws)[None]
        for t, s in pairwise(self.grid):
            for turn in range(rounds):
                landed = step(self, x.detach().requires_grad_(), t, s).detach()
                if turn + 1 < rounds:
                    ratio = t.alpha / s.alpha
                    x = ratio * landed + math.sqrt(1 - ratio**2) * next(self.draws)
            x = landed
        return x[0]


def grad(of, at):
    return torch.autograd.grad(of, at, retain_graph=True)[0]


def tfg(g):
    def step(n, x, t, s):
        ab = t.alpha**2
        std = g.sigma * (math.sqrt(1 - ab) if g.sigma_trend == "decrease" else 1.0)
        offsets = [std * next(n.draws) for _ in range(g.samples if g.sigma else 0)]
        x0 = n.clipped(n.guess(x, t)[0])
        delta_t = g.rho * n.multiplier(g.rho_trend, t) * grad(n.smoothed(x0, offsets), x)
        y = x0.detach()
        for _ in range(g.iterations):
            y = y.detach().requires_grad_()
            y = y + g.mu * n.multiplier(g.mu_trend, t) * grad(n.smoothed(y, offsets), y)
        landed = n.ddim_from_x0(x, x0, t, s)
        return landed + delta_t / math.sqrt(ab / s.alpha**2) + s.alpha * (y - x0)

    return step


def dps(g):
    def step(n, x, t, s):
        x0, eps = n.guess(x, t)
        value = n.f(x0)
        return n.ddim(x0, eps, t, s) + g.strength * grad(value, x) / value.abs()

    return step


def lgd(g):
    def step(n, x, t, s):
        offsets = [math.sqrt(1 - t.alpha**2) * next(n.draws) for _ in range(g.samples)]
        x0, eps = n.guess(x, t)
        total = torch.logsumexp(torch.stack([n.f(x0 + offset) for offset in offsets]), 0)
        return n.ddim(x0, eps, t, s) + g.strength / g.samples * grad(total, x)

    return step


def mpgd(g):
    def step(n, x, t, s):
        x0, eps = n.guess(x, t)
        x0 = n.clipped(x0)
        y = x0.detach().requires_grad_()
        return n.ddim(x0 + g.strength * grad(n.f(y), y), eps, t, s)

    return step


def freedom(g):
    def step(n, x, t, s):
        x0, eps = n.guess(x, t)
        return n.ddim(x0, eps, t, s) + g.strength * n.multiplier(g.trend, t) * grad(n.f(x0), x)

    return step


def ugd(g):
    def step(n, x, t, s):
        ab = t.alpha**2
        x0, eps = n.guess(x, t)
        e = eps - g.strength * math.sqrt(1 - ab) * grad(n.f(x0), x)
        y = x0 = n.clipped(x0).detach()
        for _ in range(g.iterations - 1):
            y = y.detach().requires_grad_()
            y = y + g.strength * grad(n.f(y), y)
        e = e - math.sqrt(ab / (1 - ab)) * (y - x0)
        return n.ddim((x - math.sqrt(1 - ab) * e) / math.sqrt(ab), e, t, s)

    return step


def cg(g):
    def step(n, x, t, s):
        ab = t.alpha**2
        _, eps = n.guess(x, t)
        log_p = Noisy(n.data).reward(x, [COMPONENT], Columns.of([t], 4, "cpu")).sum()
        e = eps - g.strength * math.sqrt(1 - ab) * grad(log_p, x)
        return n.ddim((x - math.sqrt(1 - ab) * e) / math.sqrt(ab), e, t, s)

    return step


CASES = {
    "tfg": (
        TFG(
            rho=0.01,
            mu=0.01,
            sigma=0.2,
            samples=3,
            iterations=3,
            recurrence=2,
            rho_trend="decrease",
            mu_trend="constant",
        ),
        tfg,
    ),
    "tfg-one": (TFG(rho=0.02, mu=0.01, sigma=0.0), tfg),
    "tfg-rho": (TFG(rho=0.02, mu=0.0, sigma=0.1, sigma_trend="constant"), tfg),
    "tfg-mu": (TFG(rho=0.0, mu=0.02, sigma=0.1, samples=2), tfg),
    "dps": (DPS(strength=0.1), dps),
    "lgd": (LGD(strength=0.05, samples=4), lgd),
    "mpgd": (MPGD(strength=0.01), mpgd),
    "freedom": (FreeDoM(strength=0.01, recurrence=3), freedom),
    "ugd": (UGD(strength=0.01, iterations=3, recurrence=2), ugd),
    "cg": (CG(strength=0.5), cg),
}


WORLDS = {
    "unclipped-0": (MixtureDenoiser, 0.0),
    "unclipped-1": (MixtureDenoiser, 1.0),
    "clipped-0": (Clipped, 0.0),
    "clipped-1": (Clipped, 1.0),
    "latent-1": (Latent, 1.0),
}
"""Models, and eta."""


@pytest.mark.parametrize(("model", "eta"), WORLDS.values(), ids=WORLDS)
@pytest.mark.parametrize("case", CASES)
def test_guidance_equals_the_naive_oracle(case, eta, model):
    guidance, naive = CASES[case]
    data = Mixture(std=0.3)
    images, draws = run(guidance, eta, data, Noisy(data) if case == "cg" else None, model)
    by_hand = Naive(data, eta, draws, model)
    expected = by_hand.sample(naive(guidance), guidance.rounds)
    plain, _ = run(TFG(rho=0.0, mu=0.0), eta, data, model=model)
    torch.testing.assert_close(images, expected, rtol=1e-5, atol=1e-7)
    assert not torch.allclose(images, plain, rtol=1e-2), "the case would not see a guidance that does nothing"
    assert next(by_hand.draws, None) is None, "every draw was used"


def zero_network(x, time, label):
    """A network that predicts no noise: x0_hat is x / alpha."""
    return torch.zeros_like(x)


class Distance:
    absolute = True

    def reward(self, images, conditions):
        return -(images - 5.0).flatten(1).square().sum(1)


def one_pixel(guidance, clip, rederive_eps=True):
    """The image of three channels that two steps of a network without noise make of x_T = 2."""
    images = []

    def body(image):
        [last] = yield advance(image.start())
        images.append(last.state.x.rows.take([last.state.x])[0].flatten())
        return last

    from tests.conftest import Script

    engine = Engine(
        NetworkDenoiser(zero_network, linear_vp(), "epsilon", (3, 1, 1), clip=clip, rederive_eps=rederive_eps),
        DDIM(steps=2, spacing=(500, 100), eta=0.0),
        {"select": Distance(), "guide": Distance()},
        seed=0,
        guidance=guidance,
        batch=2,
        noise=lambda seed, problems, keys, shape, device="cpu": torch.full((len(problems), *shape), 2.0),
    )
    [result] = engine.run(Script(body), (math.inf,), [Problem(0, None)])
    assert not result.failure, result.failure
    return images[0].tolist()


def test_dps_takes_the_gradient_of_the_unclipped_guess():
    """By hand: x += (10 (5 - x0) / alpha) / |f| after each step, with f = -3 (x0 - 5)^2 and x0 = x / alpha."""
    alphas = [linear_vp().level(time).alpha for time in (500, 100)] + [1.0]
    x = 2.0
    for t, s in pairwise(alphas):
        x0 = x / t
        x = s * x0 + 2 * (5 - x0) / t / (3 * (x0 - 5) ** 2)
    assert one_pixel(DPS(1.0), clip=1.0) == pytest.approx([x] * 3, abs=1e-5)
    assert x == pytest.approx(5.306560, abs=1e-6)


def test_clipping_is_of_plain_steps_alone():
    assert one_pixel(NoGuidance(), clip=1.0) == pytest.approx([1.0] * 3)
    alpha = linear_vp().level(500).alpha
    assert one_pixel(NoGuidance(), clip=None) == pytest.approx([2.0 / alpha] * 3, rel=1e-5)


class Pull:
    """A Gaussian log-reward around a point."""

    absolute = True

    def __init__(self, centre, width):
        self.centre, self.width = centre, width

    def reward(self, images, conditions):
        return -(images - self.centre).flatten(1).square().sum(1) / (2 * self.width**2)


@pytest.mark.parametrize(("rho", "mu"), [(0.3, 0.0), (0.0, 0.05), (0.3, 0.05)])
def test_tfg_equals_the_closed_form_on_one_gaussian(rho, mu):
    """For N(m, s^2) data, x0_hat = m + (alpha s^2 / V)(x - alpha m), V = alpha^2 s^2 + sigma^2, and all is linear."""
    data = Mixture(classes=1, std=0.4)
    centre, width, iterations = 0.3, 0.8, 3
    guidance = TFG(rho=rho, mu=mu, sigma=0.0, iterations=iterations, rho_trend="constant", mu_trend="constant")
    engine_x0, draws = run_one(guidance, data, Pull(centre, width))
    mean = torch.as_tensor(data.means[0]).reshape(data.shape)
    x = draws[0]
    for t, s in pairwise(DDIM(steps=STEPS, eta=0.0).grid(MixtureDenoiser(data).path)):
        variance = t.alpha**2 * data.std**2 + t.sigma**2
        slope = t.alpha * data.std**2 / variance
        x0 = mean + slope * (x - t.alpha * mean)
        eps = (x - t.alpha * x0) / t.sigma
        ratio = (1 - mu / width**2) ** iterations
        ascended = centre + ratio * (x0 - centre)
        push = -rho * slope * (x0 - centre) / width**2
        x = s.alpha * ascended + s.sigma * eps + push * s.alpha / t.alpha
    torch.testing.assert_close(engine_x0, x, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("rho", "mu"), [(0.3, 0.0), (0.0, 0.05), (0.3, 0.05)])
def test_tfg_equals_the_closed_form_through_a_linear_decoder(rho, mu):
    """As above, with the images A z + b: the gradient of the log-reward at z is A^T (c - A z - b) / w^2."""
    data = Mixture(classes=1, std=0.4)
    centre, width, iterations = 0.3, 0.8, 3
    guidance = TFG(rho=rho, mu=mu, sigma=0.0, iterations=iterations, rho_trend="constant", mu_trend="constant")
    latents, draws = run(guidance, 0.0, data, Pull(centre, width), Latent)
    mean, x = torch.as_tensor(data.means[0]), draws[0].flatten()
    for t, s in pairwise(DDIM(steps=STEPS, eta=0.0).grid(MixtureDenoiser(data).path)):
        slope = t.alpha * data.std**2 / (t.alpha**2 * data.std**2 + t.sigma**2)
        z = mean + slope * (x - t.alpha * mean)
        eps = (x - t.alpha * z) / t.sigma
        push = rho * slope * MATRIX.T @ (centre - MATRIX @ z - 0.1) / width**2
        for _ in range(iterations):
            z = z + mu * MATRIX.T @ (centre - MATRIX @ z - 0.1) / width**2
        x = s.alpha * z + s.sigma * eps + push * s.alpha / t.alpha
    torch.testing.assert_close(latents.flatten(), x, rtol=1e-9, atol=1e-9)


def run_one(guidance, data, guide):
    return run(guidance, 0.0, data, guide)
