"""Trajectories equal those of diffusers' schedulers from the same noise, with a trained network.

Everything runs in float64: what differs is then the rule of a step, not rounding. Deviations are taken relative to the
largest value of the trajectory: a network read as something that it does not predict (its v taken for eps near
alpha = 0) leaves the range of images, on both sides alike. Read as x_0 it makes 250 steps chaotic: there each step is
compared from the same state.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, FlowMatchEulerDiscreteScheduler, HeunDiscreteScheduler
from torch import Tensor

from its.engine import Engine
from its.engine.noise import normal
from its.levels import Columns, Grid, Level
from its.model.denoiser import NetworkDenoiser
from its.model.unet2d import load
from its.particles.keys import Verb, fold
from its.sampler.ddim import DDIM
from its.sampler.euler import Euler
from its.sampler.flow_renoise import FlowRenoise
from its.sampler.heun import Heun
from its.sampler.noise_paths import Flow
from its.sampler.sampler import Sampler
from its.search.none import NoSearch
from its.types import Problem
from its.verifier.null_rewards import NullRewards

WEIGHTS = Path(__file__).parents[2] / "its/weights/digits/generator"
LABELS = [3, 8]
TOLERANCE = 1e-5
PREDICTIONS = ["v_prediction", "epsilon", "sample"]
SPACINGS = ["leading", "trailing", "linspace", "quadratic", "inclusive"]

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


class Double(NetworkDenoiser):
    """The adapter with a float64 network and state."""

    dtype = torch.float64


@pytest.fixture(scope="module")
def loaded() -> NetworkDenoiser:
    return load(str(WEIGHTS), conditional=True)


@pytest.fixture
def model(loaded) -> Callable[..., NetworkDenoiser]:
    def make(prediction="v_prediction", *, clip=None, noise_path=None, rederive_eps=False) -> NetworkDenoiser:
        loaded.network.unet.double()
        return Double(
            loaded.network,
            noise_path or loaded.path,
            prediction,
            loaded.shape,
            null_class=loaded.null_class,
            conditional=True,
            clip=clip,
            rederive_eps=rederive_eps,
        )

    return make


@pytest.fixture
def settings(loaded) -> dict:
    """What diffusers' VP schedulers must know of the path."""
    return {"trained_betas": None, "beta_schedule": "squaredcos_cap_v2", "num_train_timesteps": 1000}


def noise(path: int) -> Tensor:
    return normal(5, [0, 1], [path, path], (1, 8, 8)).double()


def step_noise(t: Level) -> Tensor:
    return noise(fold(0, Verb.STEP, t.key))


def ours(sampler: Sampler, model: NetworkDenoiser, x: Tensor, follow: list[Tensor] | None = None) -> list[Tensor]:
    """States after each step, from the sampler alone; each from our own state before it, or from that in `follow`."""

    def columns(level):
        return Columns.of([level] * len(x), x.ndim, "cpu")

    def guess(x, level):
        return model.clipping(model(x, columns(level), LABELS), columns(level))

    grid, path = sampler.grid(model.path), []
    for t, s in pairwise(grid):
        first = guess(x, t)
        y = sampler.step(x, first, columns(t), columns(s), step_noise(t) if sampler.stochastic else None)
        if sampler.stages(t, s) == 2:
            y = sampler.correct(x, first, guess(y, s), columns(t), columns(s))
        x = follow[len(path)] if follow else y
        path.append(y)
    return path


def ask(model: NetworkDenoiser, x: Tensor, time: Tensor) -> Tensor:
    return model.network(x, time.double().expand(len(x)), torch.tensor(LABELS))


def agree(ours: list[Tensor], theirs: list[Tensor]) -> None:
    assert len(ours) == len(theirs)
    scale = max(1.0, max(float(x.abs().max()) for x in theirs))
    assert max(float((a - b).abs().max()) for a, b in zip(ours, theirs, strict=True)) < TOLERANCE * scale


class NextTime:
    """Stands for `num_inference_steps`, of which DDIMScheduler.step takes a constant gap to the next time."""

    def __init__(self, gap: int) -> None:
        self.gap = gap

    def __rfloordiv__(self, total: int) -> int:
        return self.gap


def their_ddim(scheduler: DDIMScheduler, model: NetworkDenoiser, grid: Grid, x: Tensor, eta: float) -> list[Tensor]:
    path = []
    times = [int(t) for t in scheduler.timesteps]
    for time, after, level in zip(times, [*times[1:], -1], grid, strict=False):
        scheduler.num_inference_steps = NextTime(time - after)
        z = step_noise(level) if eta else None
        x = scheduler.step(ask(model, x, torch.tensor(time)), time, x, eta=eta, variance_noise=z).prev_sample
        path.append(x)
    return path


@pytest.mark.parametrize("clip", [None, 1.0], ids=["free", "clipped"])
@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize(("steps", "spacing"), [(10, s) for s in SPACINGS] + [(50, "leading"), (16, "trailing")])
def test_ddim_equals_diffusers(model, settings, prediction, steps, spacing, eta, clip):
    check_ddim(model(prediction, clip=clip), settings, DDIM(steps=steps, spacing=spacing, eta=eta))


@pytest.mark.parametrize(
    ("prediction", "spacing", "eta"),
    [("v_prediction", "trailing", 1.0), ("sample", "leading", 0.0), ("epsilon", "linspace", 1.0)],
)
def test_ddim_in_250_steps_equals_diffusers(model, settings, prediction, spacing, eta):
    sampler = DDIM(steps=250, spacing=spacing, eta=eta)
    check_ddim(model(prediction, clip=1.0), settings, sampler, follow=prediction == "sample")


def check_ddim(model: NetworkDenoiser, settings: dict, sampler: DDIM, *, follow: bool = False) -> None:
    own = sampler.spacing in ("quadratic", "inclusive")
    scheduler = DDIMScheduler(
        **settings,
        prediction_type=model.prediction,
        clip_sample=model.clipping.limit is not None,
        timestep_spacing="leading" if own else sampler.spacing,
    )
    scheduler.alphas_cumprod = scheduler.alphas_cumprod.double()
    scheduler.final_alpha_cumprod = scheduler.final_alpha_cumprod.double()
    scheduler.set_timesteps(sampler.steps)
    grid = sampler.grid(model.path)
    if own:
        scheduler.timesteps = torch.tensor([int(t.time) for t in grid[:-1]])
    assert [t.time for t in grid[:-1]] == scheduler.timesteps.tolist()
    theirs = their_ddim(scheduler, model, grid, noise(1), sampler.eta)
    agree(ours(sampler, model, noise(1), theirs if follow else None), theirs)


@pytest.mark.parametrize("clip", [None, 1.0], ids=["free", "clipped"])
@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("steps", [10, 50])
def test_heun_equals_diffusers(model, settings, prediction, steps, clip):
    own = model(prediction, clip=clip, rederive_eps=True)
    sampler = Heun(steps=steps, spacing="linspace")
    scheduler = HeunDiscreteScheduler(**settings, prediction_type=prediction, clip_sample=clip is not None)
    scheduler.set_timesteps(steps)
    grid = sampler.grid(own.path)

    # Ours begins at the second time: sigma / alpha is 20,291 at the first.
    np.testing.assert_allclose([t.time for t in grid[:-1]], scheduler.timesteps[2::2], rtol=1e-6)
    every = [own.path.level(float(time)) for time in scheduler.timesteps[::2]]
    ratios = [t.sigma / t.alpha for t in every]
    assert ratios[1] < 80 < ratios[0]
    scheduler.sigmas = torch.tensor([ratios[0], *(r for r in ratios[1:] for _ in range(2)), 0.0]).double()
    scheduler.set_begin_index(2)

    start = grid[0].sigma * noise(1)
    x, path = start / grid[0].alpha, []
    for k, time in enumerate(scheduler.timesteps[2:]):
        scaled = scheduler.scale_model_input(x, time)
        x = scheduler.step(ask(own, scaled, torch.tensor(grid[(k + 1) // 2].time)), time, x).prev_sample
        if k % 2 or k == len(scheduler.timesteps) - 3:
            path.append(x * grid[len(path) + 1].alpha)
    agree(ours(sampler, own, start), path)


THEIR_NOISE = "diffusers.schedulers.scheduling_flow_match_euler_discrete.randn_tensor"

FLOWS = [(10, "linspace", 1.0), (50, "linspace", 1.0), (10, "trailing", 3.0), (250, "trailing", 1.0)]


@pytest.mark.parametrize(("steps", "spacing", "shift"), FLOWS)
def test_euler_equals_diffusers_flow_matching(model, steps, spacing, shift):
    check_flow(model, Euler(steps=steps, spacing=spacing), shift)


@pytest.mark.parametrize(("steps", "spacing", "shift"), FLOWS[:3])
def test_flow_renoise_equals_diffusers_stochastic_sampling(model, monkeypatch, steps, spacing, shift):
    check_flow(model, FlowRenoise(steps=steps, spacing=spacing), shift, monkeypatch)


def check_flow(model, sampler: Sampler, shift: float, monkeypatch: pytest.MonkeyPatch | None = None) -> None:
    own = model("flow", noise_path=Flow(shift=shift, time_scale=1000.0))
    scheduler = FlowMatchEulerDiscreteScheduler(shift=shift, stochastic_sampling=sampler.stochastic)
    if sampler.spacing == "linspace":
        scheduler.set_timesteps(sampler.steps)
    else:
        scheduler.set_timesteps(sigmas=np.linspace(1.0, 1 / sampler.steps, sampler.steps))
    scheduler.sigmas = scheduler.sigmas.double()
    x, path = noise(1), []
    for time, level in zip(scheduler.timesteps, sampler.grid(own.path), strict=False):
        assert abs(float(time) - level.time) < 1e-3
        if monkeypatch:
            z = step_noise(level)
            monkeypatch.setattr(THEIR_NOISE, lambda *args, z=z, **options: z)
        x = scheduler.step(ask(own, x, torch.tensor(level.time)), time, x).prev_sample
        path.append(x)
    agree(ours(sampler, own, noise(1)), path)


class Keep(NullRewards):
    """Keeps what it is shown."""

    def reward(self, images, conditions):
        self.seen = images.clone()
        return super().reward(images, conditions)


@pytest.mark.parametrize("rederive_eps", [False, True])
@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_engine_with_ddim_equals_diffusers(loaded, settings, eta, rederive_eps):
    """The shipped weights: float32, class-conditional, clipped."""
    verifier, sampler = Keep(), DDIM(steps=50, eta=eta)
    own = load(str(WEIGHTS), conditional=True, rederive_eps=rederive_eps)
    engine = Engine(own, sampler, {"select": verifier}, seed=5, batch=2)
    list(engine.run(NoSearch(), (50,), [Problem(i, label) for i, label in enumerate(LABELS)]))
    scheduler = DDIMScheduler.from_pretrained(WEIGHTS)
    scheduler.set_timesteps(50)
    start = fold(0, Verb.START, 0)
    x = normal(5, [0, 1], [start, start], (1, 8, 8))
    for time, t in zip(scheduler.timesteps, sampler.grid(own.path), strict=False):
        path = fold(start, Verb.STEP, t.key, 0)
        z = normal(5, [0, 1], [path, path], (1, 8, 8)) if eta else None
        output = own.network(x, time, torch.tensor(LABELS))
        x = scheduler.step(
            output, time, x, eta=eta, variance_noise=z, use_clipped_model_output=rederive_eps
        ).prev_sample
    assert float((verifier.seen - x).abs().max()) < 1e-4
