"""Times of pipelines against those that diffusers' schedulers set."""

import math

import numpy as np
import pytest
import torch
from diffusers import (
    DPMSolverMultistepScheduler,
    FlowMatchEulerDiscreteScheduler,
    LCMScheduler,
    SCMScheduler,
)

from its.levels import Columns, Guess
from its.model.denoiser import guess_from
from its.sampler.consistency import Consistency
from its.sampler.flow_renoise import FlowRenoise
from its.sampler.noise_paths import Flow, linear_vp
from its.sampler.published_paths import PublishedConsistency, PublishedFlow, TrigFlow
from its.sampler.spacing import shifted

STEPS = (1, 2, 3, 4, 7, 20, 28, 37, 100)


def column(levels, name):
    return torch.tensor([getattr(level, name) for level in levels])


@pytest.mark.parametrize("shift", [1.0, 3.0, 6.0])
@pytest.mark.parametrize("steps", STEPS)
def test_published_flow_has_the_times_of_the_solver_and_of_euler(shift, steps):
    """The solver's as whole numbers, to the last; both leave the times of other spacings as they are."""
    solver = DPMSolverMultistepScheduler(flow_shift=shift, use_flow_sigmas=True, prediction_type="flow_prediction")
    euler = FlowMatchEulerDiscreteScheduler(shift=shift)
    euler_rule, solver_rule = {"lowest": shifted(0.001, shift)}, {"solver": True}
    for rule, theirs in ((solver_rule, solver), (euler_rule, euler)):
        theirs.set_timesteps(steps)
        grid = PublishedFlow(shift, 1000.0, **rule).grid(steps, "checkpoint")
        torch.testing.assert_close(column(grid, "sigma"), theirs.sigmas, rtol=0, atol=2e-7)
        if rule is solver_rule:
            assert [math.trunc(level.time) for level in grid[:-1]] == theirs.timesteps.tolist()
        assert PublishedFlow(shift, 1000.0, **rule).grid(steps, "trailing") == Flow(shift, 1000.0).grid(
            steps, "trailing"
        )
    with pytest.raises(ValueError, match="steps is 1001; it lies between 1 and 1000"):
        PublishedFlow(shift, 1000.0, lowest=0.5).grid(1001, "checkpoint")


@pytest.mark.parametrize("origin", [1, 40, 50, 1000])
def test_published_consistency_has_the_times_of_lcm(origin):
    path = PublishedConsistency(linear_vp().alphas_cumprod, origin=origin)
    theirs = LCMScheduler(original_inference_steps=origin)
    for steps in (steps for steps in STEPS if steps <= origin):
        theirs.set_timesteps(steps)
        grid = path.grid(steps, "checkpoint")
        assert [level.time for level in grid[:-1]] == theirs.timesteps.tolist()
        assert (grid[-1].alpha, grid[-1].sigma) == (1.0, 0.0)
    with pytest.raises(ValueError, match=rf"sampler\.steps is {origin + 1}; .*between 1 and {origin}"):
        path.grid(origin + 1, "checkpoint")


@pytest.mark.parametrize("steps", STEPS)
def test_trig_flow_has_the_times_of_sana_sprint(steps):
    theirs = SCMScheduler()
    theirs.set_timesteps(steps, intermediate_timesteps=1.3 if steps == 2 else None)
    grid = TrigFlow().grid(steps, "checkpoint")
    torch.testing.assert_close(column(grid, "time"), theirs.timesteps, rtol=1e-6, atol=1e-7, check_dtype=False)
    torch.testing.assert_close(column(grid, "alpha"), theirs.timesteps.cos(), rtol=0, atol=4e-6, check_dtype=False)
    torch.testing.assert_close(column(grid, "sigma"), theirs.timesteps.sin(), rtol=0, atol=1e-7, check_dtype=False)


def test_trig_flow_takes_listed_times_and_refuses_those_outside():
    assert [level.time for level in TrigFlow().grid(2, (1.5708, 1.1))] == [1.5708, 1.1, 0.0]
    for times in ((1.6, 1.0), (1.5, 1.5), (1.5,)):
        with pytest.raises(ValueError, match=r"lists sampler\.steps=2 descending times between 0\.0 and 1\.5708"):
            TrigFlow().grid(2, times)
    with pytest.raises(ValueError, match="at 0 no noise is left to take away"):
        TrigFlow().grid(2, (1.5, 0.0))
    with pytest.raises(ValueError, match="spacing is 'karras'; choose one of"):
        TrigFlow().grid(2, "karras")


def test_trig_flow_scales_rows_to_those_of_linear_flow():
    """Of one image and one noise, a velocity of linear flow at its own time says both."""
    x0, eps = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    levels = [TrigFlow().level(time) for time in (1.5708, 1.3, 0.7, 0.1, 0.01)]
    columns = Columns.of(levels, 2, "cpu")
    x = columns.alpha * x0 + columns.sigma * eps
    t = columns.time.clamp(max=np.pi / 2)
    u = t.sin() / (t.cos() + t.sin())
    torch.testing.assert_close(columns.scale * x, (1 - u) * x0 + u * eps)
    guess = guess_from("flow", eps - x0, x, columns)
    torch.testing.assert_close(guess.x0, x0)
    torch.testing.assert_close(guess.eps, eps)


def test_consistency_is_flow_renoise_on_linear_flow():
    x, x0, eps, z = torch.randn(4, 3, 2, generator=torch.Generator().manual_seed(0))
    t, s = (Columns.of([Flow().level(time) for time in times], 2, "cpu") for times in ((1, 0.8, 0.3), (0.5, 0.4, 0.0)))
    taken, other = (kind(steps=2).step(x, Guess(x0, eps), t, s, z) for kind in (Consistency, FlowRenoise))
    assert torch.equal(taken, other)
    assert Consistency(steps=2).stochastic
    assert not Consistency(steps=2).noisy(Flow().level(0.5), Flow().level(0.0))
