"""Samplers say the standard deviation of the noise that their steps draw."""

from itertools import pairwise

import pytest
import torch

from its.levels import Columns, Guess
from its.sampler.consistency import Consistency
from its.sampler.ddim import DDIM
from its.sampler.flow_cps import FlowCPS
from its.sampler.flow_grpo import FlowGRPO
from its.sampler.flow_renoise import FlowRenoise
from its.sampler.flow_vp import FlowVP
from its.sampler.noise_paths import Flow, linear_vp
from its.sampler.sit_sde import SiTSDE

SAMPLERS = [
    *(DDIM(steps=5, eta=1.0, variance=variance) for variance in ("fixed_small", "fixed_large", "learned")),
    DDIM(steps=5, eta=0.3, variance="fixed_small"),
    Consistency(steps=5),
    *(kind(steps=5) for kind in (FlowCPS, FlowGRPO, FlowRenoise, SiTSDE)),
    FlowVP(steps=5, spacing="linear"),
]


@pytest.mark.parametrize("sampler", SAMPLERS, ids=str)
def test_noise_std_is_what_a_step_multiplies_its_noise_by(sampler):
    path = linear_vp() if isinstance(sampler, DDIM | Consistency) else Flow()
    x, x0, z, share = torch.randn((4, 2, 1, 3, 3), dtype=torch.float64, generator=torch.manual_seed(0)).unbind()
    guess = Guess(x0, x, share.sigmoid() if getattr(sampler, "variance", "") == "learned" else None)
    for level, lower in pairwise(sampler.grid(path)):
        t, s = (Columns.of([each] * 2, 4, "cpu") for each in (level, lower))
        std = sampler.noise_std(guess, t, s).expand_as(x)
        if sampler.noisy(level, lower):
            drawn = sampler.step(x, guess, t, s, z) - sampler.step(x, guess, t, s, torch.zeros_like(z))
            torch.testing.assert_close(std * z, drawn, rtol=1e-9, atol=1e-12)
            assert (std > 0).all()
        else:
            assert (std == 0).all()
