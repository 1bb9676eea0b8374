"""Samplers of flow models: trajectories of the papers' equations written out, the law of what they sample, refusals."""

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from its.engine.tape import Tape
from its.levels import Columns, Level
from its.model.denoiser import NetworkDenoiser
from its.particles.prices import Prices
from its.particles.verbs import advance, reward
from its.sampler.ddim import DDIM
from its.sampler.euler import Euler
from its.sampler.flow_cps import FlowCPS
from its.sampler.flow_grpo import FlowGRPO
from its.sampler.flow_renoise import FlowRenoise
from its.sampler.flow_vp import FlowVP
from its.sampler.noise_paths import EDM, Flow, linear_vp
from its.sampler.sit_sde import SiTSDE
from its.search.none import NoSearch
from tests.build import blueprint_of

SHAPE = (1, 4, 4)
SAMPLERS = {
    "flow_renoise": FlowRenoise,
    "flow_grpo": FlowGRPO,
    "flow_cps": FlowCPS,
    "sit_sde": SiTSDE,
    "flow_vp": FlowVP,
}
SCALE = 1000.0


def velocity(x, t):
    """v = eps - x0 of a made-up flow model at t of each row."""
    return torch.sin(2.0 * x + 3.0 * t) - 0.3 * x * (1.0 - t) + 0.5 * x.flip(-1)


def z_of(step):
    return torch.randn(3, *SHAPE, generator=torch.Generator().manual_seed(step), dtype=torch.float64)


class Double(NetworkDenoiser):
    dtype = torch.float64


def asked(x, time, label):
    return velocity(x, time.double()[:, None, None, None] / SCALE)


MODEL = Double(asked, Flow(time_scale=SCALE), "flow", SHAPE, clip=None)


def ours(sampler, model=MODEL):
    """States after each step, from noise 99 and for step k noise k."""

    def columns(level):
        return Columns.of([level] * 3, 4, "cpu")

    grid = sampler.grid(model.path)
    x, path = sampler.prior_std(model.path, grid[0]) * z_of(99), []
    for k, (t, s) in enumerate(pairwise(grid)):
        z = z_of(k) if sampler.noisy(t, s) else torch.zeros_like(x)
        guess = model(x, columns(t), [None] * 3)
        x = sampler.step(x, guess, columns(t), columns(s), z if sampler.stochastic else None)
        path.append(x)
    return path


def grpo(sigmas, a):
    """`sde_step_with_logprob` of Flow-GRPO."""
    x, path = z_of(99), []
    for k, (sigma, after) in enumerate(pairwise(sigmas)):
        v, dt = velocity(x, sigma), after - sigma
        std = a * math.sqrt(sigma / (1 - (sigmas[1] if sigma == 1 else sigma)))
        mean = x * (1 + std**2 / (2 * sigma) * dt) + v * (1 + std**2 * (1 - sigma) / (2 * sigma)) * dt
        x = mean + std * math.sqrt(-dt) * z_of(k)
        path.append(x)
    return path


def cps(sigmas, a):
    """Flow-CPS, Eq. 14 and its code."""
    x, path = z_of(99), []
    for k, (sigma, after) in enumerate(pairwise(sigmas)):
        v, std = velocity(x, sigma), after * math.sin(a * math.pi / 2)
        x0, x1 = x - sigma * v, x + (1 - sigma) * v
        x = (1 - after) * x0 + math.sqrt(after**2 - std**2) * x1 + std * z_of(k)
        path.append(x)
    return path


def sit(steps, last, norm):
    """SiT's `sample_sde` with diffusion `sigma`, in its time u, which is 0 at noise and 1 at data."""

    def drift(x, u):
        flow, sigma = -velocity(x, 1 - u), 1 - u
        score = (u * flow - x) / (sigma**2 + u * sigma)
        return flow + norm * sigma * score

    times = np.linspace(0.0, 1.0 - last, steps)
    x, path, dt = z_of(99), [], times[1] - times[0]
    for k, u in enumerate(times[:-1]):
        x = x + drift(x, u) * dt + math.sqrt(2 * norm * (1 - u)) * math.sqrt(dt) * z_of(k)
        path.append(x)
    return [*path, x + drift(x, times[-1]) * last]


def vp(times, norm):
    """RBF's `compute_velocity_transform_scheduler`, `get_sde_drift` and `get_tweedie`."""

    def scheduler(r):
        growth, slope = 0.5 * r**2 * 19.9 + r * 0.1, r * 19.9 + 0.1
        alpha, sigma = math.exp(-0.5 * growth), math.sqrt(1 - math.exp(-growth))
        return alpha, sigma, -0.5 * slope * alpha, 0.5 * slope * math.exp(-growth) / sigma

    def transformed(x, r):
        alpha, sigma, d_alpha, d_sigma = scheduler(r)
        t = 1 / (alpha / sigma + 1)
        s = sigma / t
        dt = t**2 * (sigma * d_alpha - alpha * d_sigma) / (sigma**2 * (-t - (1 - t)))
        ds = (t * d_sigma - sigma * dt) / t**2
        return ds * x / s + dt * s * velocity(x / s, t)

    x, path = z_of(99), []
    for k, (r, after) in enumerate(pairwise(times)):
        alpha, sigma, d_alpha, d_sigma = scheduler(r)
        u, ratio, g = transformed(x, r), alpha / d_alpha, norm * r**2
        score = (ratio * u - x) / (sigma**2 - ratio * d_sigma * sigma)
        x = x + (-u + 0.5 * g**2 * score) * (r - after) + g * math.sqrt(r - after) * z_of(k)
        path.append(x)
    alpha, sigma, d_alpha, d_sigma = scheduler(times[-1])
    u = transformed(x, times[-1])
    return [*path, (sigma * u - d_sigma * x) / (d_alpha * sigma - d_sigma * alpha)]


EVEN = [1.0, 0.8, 0.6, 0.4, 0.2, 0.0]
EXP = [math.sqrt(1 - (k / 10) ** 2) for k in range(10)]
SHIFTED = [3 * t / (1 + 2 * t) for t in EVEN]
SHIFT = Double(asked, Flow(shift=3.0, time_scale=SCALE), "flow", SHAPE, clip=None)


@pytest.mark.parametrize(
    ("sampler", "theirs", "model"),
    [
        pytest.param(FlowGRPO(steps=5), lambda: grpo(EVEN, 0.7), MODEL, id="flow_grpo"),
        pytest.param(FlowGRPO(steps=5, noise_level=0.3), lambda: grpo(SHIFTED, 0.3), SHIFT, id="flow_grpo-shifted"),
        pytest.param(FlowGRPO(steps=1), lambda: grpo([1.0, 0.0], 0.7), MODEL, id="flow_grpo-1"),
        pytest.param(FlowCPS(steps=5), lambda: cps(EVEN, 0.8), MODEL, id="flow_cps"),
        pytest.param(FlowCPS(steps=5, noise_level=0.3), lambda: cps(SHIFTED, 0.3), SHIFT, id="flow_cps-shifted"),
        pytest.param(SiTSDE(steps=7), lambda: sit(7, 0.04, 1.0), MODEL, id="sit_sde"),
        pytest.param(
            SiTSDE(steps=4, last_step=0.2, diffusion_norm=0.5), lambda: sit(4, 0.2, 0.5), SHIFT, id="sit_sde-.5"
        ),
        pytest.param(SiTSDE(steps=3, spacing=[1000, 600, 200]), lambda: sit(3, 0.2, 1.0), MODEL, id="sit_sde-listed"),
        pytest.param(FlowVP(steps=10), lambda: vp(EXP, 3.0), MODEL, id="flow_vp"),
        pytest.param(
            FlowVP(steps=5, spacing="linear", diffusion_norm=1.0),
            lambda: vp(EVEN[:-1], 1.0),
            SHIFT,
            id="flow_vp-linear",
        ),
        pytest.param(
            FlowVP(steps=3, spacing=[1, 0.7, 0.2]), lambda: vp([1.0, 0.7, 0.2], 3.0), MODEL, id="flow_vp-listed"
        ),
        pytest.param(FlowVP(steps=10, diffusion_norm=0), lambda: vp(EXP, 0.0), MODEL, id="flow_vp-0"),
    ],
)
def test_sampler_equals_the_equations_of_its_paper(sampler, theirs, model):
    for own, their in zip(ours(sampler, model), theirs(), strict=True):
        torch.testing.assert_close(own, their, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("sampler", "same", "exactly"),
    [
        (FlowGRPO(steps=6, noise_level=0), Euler(steps=6), True),
        (FlowCPS(steps=6, noise_level=0), Euler(steps=6), True),
        (FlowCPS(steps=6, noise_level=1), FlowRenoise(steps=6), False),
        (
            SiTSDE(steps=6, diffusion_norm=0, spacing=list(range(1000, 0, -150))[:6]),
            Euler(steps=6, spacing=list(range(1000, 0, -150))[:6]),
            True,
        ),
    ],
    ids=["flow_grpo-0", "flow_cps-0", "flow_cps-1", "sit_sde-0"],
)
def test_sampler_without_noise_is_eulers_and_with_nothing_else_renoises(sampler, same, exactly):
    assert sampler.stochastic is same.stochastic
    for own, other in zip(ours(sampler), ours(same), strict=True):
        torch.testing.assert_close(own, other, rtol=0, atol=0 if exactly else 1e-12)


@pytest.mark.parametrize("name", SAMPLERS)
def test_sampler_draws_in_the_last_step_only_as_flow_grpo_does(lab, name):
    sampler = SAMPLERS[name](steps=4)

    def body(image):
        [last] = yield advance(image.start(), to=image.grid[-2])
        images = yield advance([last] * 3)
        assert len({row.numpy().tobytes() for row in lab.rows(images)}) == (3 if name == "flow_grpo" else 1)
        assert image.ledger.spent == 4
        noise = image.noise(2)
        given = yield advance([last] * 2, noise=noise)
        assert len({row.numpy().tobytes() for row in lab.rows(given)}) == (2 if name == "flow_grpo" else 1)
        return images[0]

    result = lab.play(body, sampler, lab.denoiser(path="flow"))
    assert result.failure is None, result.failure


@pytest.mark.parametrize("name", SAMPLERS)
def test_tape_has_a_draw_for_every_step_that_takes_one(lab, name):
    sampler, model = SAMPLERS[name](steps=4), lab.denoiser(path="flow")

    def run(tape, seed=0):
        return lab.bits(lab.engine(sampler, model, seed=seed, noise=tape), NoSearch(), (4,), [0])

    tape = Tape()
    recorded = run(tape)
    assert len(tape.draws[0]) == 1 + (4 if name == "flow_grpo" else 3)
    assert run(Tape(tape.draws), seed=5) == recorded


def test_flow_grpo_leaves_noise_in_images(lab):
    """Of deviation b sqrt(t) around what the last step comes to without it."""
    rows = []

    def body(image):
        [last] = yield advance(image.start(), to=image.grid[-2])
        images = yield advance([last] * 400)
        rows.append(lab.rows(images))
        return images[0]

    lab.play(body, FlowGRPO(steps=10), lab.denoiser(path="flow"))
    expected = 0.7 * 0.1 / math.sqrt(0.9)
    assert abs(float(rows[0].std(0).mean()) / expected - 1) < 0.03


LAW = {
    "flow_grpo": FlowGRPO(steps=400),
    "flow_grpo-2": FlowGRPO(steps=800, noise_level=2.0),
    "sit_sde": SiTSDE(steps=400, last_step=0.0025),
    "flow_vp": FlowVP(steps=800, spacing="linear"),
    "flow_vp-1": FlowVP(steps=800, spacing="linear", diffusion_norm=1.0),
}


@pytest.mark.long
@pytest.mark.parametrize("name", LAW)
def test_sampler_of_many_steps_draws_the_mixture(lab, name):
    """Shares, means and deviations of components: a score of the wrong sign or another noise misses them."""
    sampler, model, n = LAW[name], lab.denoiser(path="flow"), 3000
    random = torch.Generator().manual_seed(0)

    def columns(level):
        return Columns.of([level] * n, 4, "cpu")

    def normal():
        return torch.randn(n, *model.shape, generator=random, dtype=torch.float64)

    grid = sampler.grid(model.path)
    x = sampler.prior_std(model.path, grid[0]) * normal()
    for t, s in pairwise(grid):
        guess, z = model(x, columns(t), [None] * n), normal() if sampler.noisy(t, s) else torch.zeros_like(x)
        x = sampler.step(x, guess, columns(t), columns(s), z)
    means = torch.as_tensor(lab.data.means)
    offsets = x.flatten(1)[:, None] - means
    nearest = offsets.square().sum(-1).argmin(1)
    for k in range(len(means)):
        own = offsets[nearest == k, k]
        assert abs(len(own) / n - 1 / len(means)) < 0.03
        assert float(own.mean(0).abs().max()) < 0.025
        assert abs(float(own.std()) / lab.data.std - 1) < 0.03


@dataclass(frozen=True)
class Own:
    """A stranger's linear flow: native time runs to `top`; `bend` other than 1 puts its levels elsewhere on it."""

    top: float = 7.0
    bend: float = 1.0
    most_steps = 500

    @property
    def noisiest(self):
        return self.level(self.top)

    @property
    def listable(self):
        return tuple(self.top * k / 500 for k in range(500, 0, -1))

    def prior_std(self, level):
        return level.sigma

    def level(self, time):
        t = (time / self.top) ** self.bend
        return Level(1 - t, t, time)

    def grid(self, steps, spacing, *, second_order=False):
        times = spacing if not isinstance(spacing, str) else self.top * np.arange(steps, 0, -1) / steps
        return (*(self.level(float(time)) for time in times), self.level(0.0))


@dataclass(frozen=True)
class Optimal(Own):
    """Lipman et al. 2022, Eq. 20: an image keeps noise of deviation 0.01, so that alpha + sigma is not 1."""

    def level(self, time):
        t = time / self.top
        return Level(1 - t, 0.01 + 0.99 * t, time, ends=time == 0.0)


@pytest.mark.parametrize("name", SAMPLERS)
def test_sampler_takes_a_strangers_linear_flow(name):
    own = Double(lambda x, time, label: asked(x, time * SCALE / 7.0, label), Own(), "flow", SHAPE, clip=None)
    for strangers, shipped in zip(ours(SAMPLERS[name](steps=4), own), ours(SAMPLERS[name](steps=4)), strict=True):
        torch.testing.assert_close(strangers, shipped, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["sit_sde", "flow_vp"])
def test_sampler_that_places_levels_by_sigma_refuses_bent_times(name):
    with pytest.raises(
        ValueError, match=r"places levels by sigma where native time is in proportion .* sampler=flow_renoise"
    ):
        Prices(Own(bend=2.0), SAMPLERS[name](steps=4), 1)


@pytest.mark.parametrize("path", [linear_vp(), EDM(), Optimal()], ids=lambda path: type(path).__name__)
@pytest.mark.parametrize("name", SAMPLERS)
def test_sampler_refuses_other_paths(name, path):
    with pytest.raises(
        ValueError, match=rf"{SAMPLERS[name].__name__} steps on linear flow, .* choose a flow model, or sampler=ddim"
    ):
        Prices(path, SAMPLERS[name](steps=4), 1)


@pytest.mark.parametrize("name", SAMPLERS)
def test_plan_refuses_a_sampler_of_flow_models_on_digits(tmp_path, name):
    with pytest.raises(
        ValueError, match=r"steps on linear flow, where alpha \+ sigma is 1, and .* it is 1\.\d+ at time"
    ):
        _ = blueprint_of(tmp_path, f"sampler={name}", planning=True).prices


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FlowGRPO(steps=5, noise_level=-1), "sampler.noise_level is -1; it is a finite number of at least 0"),
        (lambda: FlowGRPO(steps=5, noise_level=math.inf), "sampler.noise_level is inf; it is a finite"),
        (lambda: FlowGRPO(steps=5, noise_level="0.7"), "sampler.noise_level is '0.7'; it is a number"),
        (lambda: FlowCPS(steps=5, noise_level=1.1), r"sampler.noise_level is 1.1; it lies in \[0, 1\]"),
        (lambda: SiTSDE(steps=1), "sampler.steps is 1; it is a whole number of at least 2"),
        (lambda: SiTSDE(steps=5, last_step=0), "sampler.last_step is 0; it lies between 0 and 1"),
        (lambda: SiTSDE(steps=5, last_step=1.0), "sampler.last_step is 1.0; it lies between 0 and 1"),
        (lambda: SiTSDE(steps=5, diffusion_norm=-0.1), "sampler.diffusion_norm is -0.1; it is a finite"),
        (lambda: SiTSDE(steps=5, spacing="trailing"), "sampler.spacing is 'trailing'; SiTSDE takes linspace"),
        (lambda: SiTSDE(steps=5).grid(Flow(), 1), "1 step is asked for, and SiTSDE takes at least 2"),
        (lambda: SiTSDE(steps=2, spacing=[1.0, 0.5]).grid(Flow(), 5), "lists 2 times, and 5 steps are asked for"),
        (lambda: FlowVP(steps=5, diffusion_norm=math.nan), "sampler.diffusion_norm is nan; it is a number"),
        (lambda: FlowVP(steps=5, spacing="trailing").grid(Flow()), "sampler.spacing is 'trailing'; FlowVP takes exp"),
        (lambda: FlowVP(steps=2, spacing=[1.0, 0.0]).grid(Flow()), "descending times between 0.001 and 1.0"),
        (lambda: FlowVP(steps=1001).grid(Flow()), "steps is 1001; it lies between 1 and 1000"),
        (lambda: FlowVP(steps=2, spacing=[0.2, 0.1]).grid(Flow()), "sampling begins with noise alone"),
    ],
)
def test_sampler_refuses_what_breaks_a_rule(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_flow_vp_lays_levels_on_a_vp_path_by_the_models_own_time():
    sampler, path = FlowVP(steps=10), Flow(time_scale=SCALE)
    prices = Prices(path, sampler, 1)
    times = [level.time for level in prices.grid]
    assert times == sorted(times, reverse=True)
    assert times[-1] == 0.0
    assert prices.grid[-1].clean
    assert sampler.prior_std(path, prices.grid[0]) == 1.0
    for level in (*prices.grid, *map(prices.level, (900.0, 500.0, 3.0))):
        assert math.isclose(level.alpha**2 + level.sigma**2, 1.0)
        assert math.isclose(level.time, SCALE * level.sigma / (level.alpha + level.sigma), rel_tol=1e-12)
        assert math.isclose(level.scale * (level.alpha + level.sigma), 1.0)
        assert prices.level(level.time) == level


@pytest.mark.parametrize("name", SAMPLERS)
def test_image_level_and_advance_in_steps_go_by_native_time(lab, name):
    model = lab.denoiser(path="flow")

    def body(image):
        shares = [image.level(share) for share in (1.0, 0.75, 0.5, 0.25, 0.0)]
        ratios = [level.sigma / level.alpha if level.alpha else math.inf for level in shares]
        assert ratios == sorted(ratios, reverse=True)
        assert shares[0] == image.grid[0]
        assert shares[-1].clean
        half, low = shares[2], shares[3]
        [middle] = yield advance(image.start(), to=half, steps=3)
        [up] = image.renoise((yield advance([middle], to=low, steps=2)), half)
        images = yield advance([up, middle], steps=4)
        yield reward(images)
        assert image.ledger.spent == 3 + 2 + 4 + 3  # the middle's guess is known
        return images[0]

    result = lab.play(body, SAMPLERS[name](steps=8), model)
    assert result.failure is None, result.failure


def test_prices_of_ddim_stay_on_the_models_path():
    path = linear_vp()
    assert Prices(path, DDIM(steps=5), 1).level(500.0) == path.level(500.0)
    assert replace(FlowVP(steps=5), spacing=[1.0, 0.8, 0.6, 0.4, 0.2]).stochastic
