"""Noise paths: their levels and the grids laid out on them."""

from itertools import pairwise

import pytest
import torch
from diffusers import DDIMScheduler

from its.engine import Engine
from its.guidance.cg import CG
from its.guidance.dps import DPS
from its.guidance.tfg import TFG
from its.guidance.ugd import UGD
from its.levels import Columns
from its.model.denoiser import NetworkDenoiser, guess_from
from its.model.mixture import MixtureDenoiser
from its.particles.prices import Prices
from its.particles.verbs import advance, reward
from its.sampler.ddim import DDIM
from its.sampler.euler import Euler
from its.sampler.heun import Heun
from its.sampler.noise_paths import EDM, VP, Flow, cosine_vp, linear_vp
from its.verifier.classifier import Classifier


@pytest.mark.parametrize(
    "path",
    [linear_vp(), cosine_vp(), Flow(), Flow(shift=3.0, time_scale=1000.0), Flow(shift=3.0, end=0.25), EDM()],
    ids=["vp", "cosine", "flow", "shifted", "ended", "edm"],
)
def test_noise_paths_make_a_grid_of_their_listable_times(path):
    times = path.listable
    assert len(times) == path.most_steps
    grid = path.grid(len(times), times)
    ratio = [level.sigma / max(level.alpha, 1e-300) for level in grid]
    assert all(a > b for a, b in pairwise(ratio))
    chosen = times[3::100]
    assert [level.sigma for level in path.grid(len(chosen), chosen)[:-1]] == [level.sigma for level in grid[3:-1:100]]


def test_flow_that_ends_before_clean_has_the_times_of_rae():
    """Its code's `1 - linspace(0, .999, 50)`, shifted; the last row is the image."""
    shift = 48**0.5
    u = 1 - torch.linspace(0, 0.999, 50, dtype=torch.float64)
    grid = Euler(steps=49).grid(Flow(shift, end=0.001))
    assert [level.sigma for level in grid] == pytest.approx((shift * u / (1 + (shift - 1) * u)).tolist(), rel=1e-12)
    assert [level.clean for level in grid] == [False] * 49 + [True]
    assert grid[-1].sigma == pytest.approx(0.0068873734805)
    prices = Prices(Flow(shift, end=0.001), Euler(steps=49), 1)
    assert (prices.sampling, prices.cost(prices.grid[40], steps=3)) == (49, 3)
    route, _ = prices.route(prices.level(0.01), None, 4, False)
    assert all(a > b for a, b in pairwise(level.time for level in route)), "no step goes below the end"


def test_flow_shift_undoes_that_of_times_that_go_up():
    """LightningDiT's .3 t / (1 + (.3 - 1) t) of t = linspace(0, 1, 250), with noise at 0."""
    t = torch.linspace(0, 1, 250, dtype=torch.float64)
    theirs = 0.3 * t / (1 - 0.7 * t)
    grid = Euler(steps=249).grid(Flow(1 / 0.3))
    assert [level.alpha for level in grid] == pytest.approx(theirs.tolist(), abs=1e-12)


@pytest.mark.parametrize(
    ("values", "refusal"),
    [
        ({"shift": 0.0}, r"model\.shift is 0\.0"),
        ({"shift": float("inf")}, "finite"),
        ({"end": 1.0}, r"last time 1\.0"),
        ({"end": -0.1}, r"model\.end, is from 0"),
    ],
    ids=str,
)
def test_flow_refuses_a_shift_or_an_end_that_is_none(values, refusal):
    with pytest.raises(ValueError, match=refusal):
        Flow(**values)


def test_flow_refuses_a_list_of_times_down_to_its_end():
    path = Flow(end=0.1)
    assert [level.time for level in path.grid(2, [1.0, 0.5])] == [1.0, 0.5, 0.1]
    with pytest.raises(ValueError, match=r"at 0\.1 no noise is left"):
        path.grid(2, [1.0, 0.1])
    with pytest.raises(ValueError, match=r"descending times between 0\.1 and 1"):
        path.grid(2, [1.0, 0.05])


@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize("steps", [1, 10, 50])
def test_vp_that_ends_before_clean_equals_diffusers(steps, eta):
    """Stable Diffusion 1.5's scheduler: `set_alpha_to_one` is false, `steps_offset` is 1."""
    scheduler = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        set_alpha_to_one=False,
        steps_offset=1,
        clip_sample=False,
    )
    table = tuple(scheduler.alphas_cumprod.double().tolist())
    path = VP(table, offset=1, final_alpha_cumprod=table[0])
    sampler = DDIM(steps=steps, spacing="leading", eta=eta)
    follow_diffusers(scheduler, sampler, sampler.layout(path), "epsilon")


@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize("prediction", ["v_prediction", "sample"])
def test_vp_of_zero_terminal_snr_equals_diffusers(prediction, eta):
    scheduler = DDIMScheduler(
        rescale_betas_zero_snr=True, prediction_type=prediction, timestep_spacing="trailing", clip_sample=False
    )
    path = VP(tuple(scheduler.alphas_cumprod.double().tolist()))
    sampler = DDIM(steps=10, eta=eta)
    grid = sampler.grid(path)
    assert (grid[0].alpha, grid[0].sigma) == (0.0, 1.0)
    assert 0 < path.level(998).alpha < 0.01
    follow_diffusers(scheduler, sampler, grid, prediction)


def follow_diffusers(scheduler, sampler, grid, prediction):
    """Compare every step of a trajectory under a network of closed form, in float64."""
    scheduler.alphas_cumprod = scheduler.alphas_cumprod.double()
    scheduler.final_alpha_cumprod = scheduler.final_alpha_cumprod.double()
    scheduler.set_timesteps(sampler.steps)
    assert [level.time for level in grid[:-1]] == scheduler.timesteps.tolist()
    random = torch.Generator().manual_seed(0)
    x = torch.randn(1, 3, 4, 4, generator=random, dtype=torch.float64)
    for t, s in pairwise(grid):
        output, z = torch.tanh(x + 1e-3 * t.time), torch.randn(x.shape, generator=random, dtype=torch.float64)
        z = z if sampler.noisy(t, s) else torch.zeros_like(z)
        theirs = scheduler.step(output, int(t.time), x, eta=sampler.eta, variance_noise=z if sampler.eta else None)
        before, after = (Columns.of([level], 4, "cpu") for level in (t, s))
        x = sampler.step(x, guess_from(prediction, output, x, before), before, after, z if sampler.eta else None)
        torch.testing.assert_close(x, theirs.prev_sample, rtol=1e-5, atol=1e-5)
    assert grid[-1].clean


def test_vp_image_that_still_has_noise_is_the_result(lab):
    """The last level is the image: it is rewarded and returned, and can be renoised."""
    table = linear_vp().alphas_cumprod
    path = VP(table, final_alpha_cumprod=table[0])

    class Ending(MixtureDenoiser):
        def __init__(self, data):
            super().__init__(data)
            self.path = path

    def body(image):
        [last] = yield advance(image.start())
        [again] = yield advance(image.renoise([last], image.grid[3]))
        rewards = yield reward([last, again])
        assert rewards[0] != rewards[1]
        levels.append(again.level)
        return again

    levels = []
    result = lab.play(body, DDIM(steps=6, eta=1.0), Ending(lab.data))
    assert not result.failure, result.failure
    assert levels[0].sigma == pytest.approx((1 - table[0]) ** 0.5)


def refused(message):
    return pytest.raises(ValueError, match=message)


def test_sampler_refuses_a_grid_that_noise_cannot_begin():
    cosine = cosine_vp(1000)
    with refused("sampler.spacing=leading in 600 steps begins at time 599, where the share of signal is 0.58"):
        DDIM(steps=600, spacing="leading").grid(cosine)
    with refused("sampler.spacing=leading in 1 steps begins at time 0"):
        DDIM(steps=1, spacing="leading").grid(linear_vp())
    with refused("begins at time 300"):
        DDIM(steps=2, spacing=[300, 100]).grid(linear_vp())
    with refused("begins at time 0.6"):
        Euler(steps=2, spacing=[0.6, 0.3]).grid(Flow())
    with refused("the share of signal is 0.707"):
        Heun(steps=2, spacing="karras").grid(EDM(sigma_max=1.0))
    assert len(DDIM(steps=500, spacing="leading").grid(cosine)) == 501


def test_vp_refuses_times_outside_of_its_table():
    with refused("steps_offset is 1, and it was trained on times up to 999"):
        VP(linear_vp().alphas_cumprod, offset=1).grid(1000, "leading")


def test_heun_begins_where_edm_does_and_x_t_has_that_level_s_deviation(lab):
    cosine = cosine_vp(1000)
    grid = Heun(steps=50).grid(cosine)
    assert [level.time for level in grid[:2]] == [979.0, 959.0]
    assert grid[0].sigma / grid[0].alpha < 80 < cosine.level(999).sigma / cosine.level(999).alpha
    with refused("no time at which sigma / alpha is at most 80"):
        Heun(steps=1).grid(cosine)

    # The prior: at a first level of deviation 0.95, and of a grid of another number of steps.
    class Cosine(MixtureDenoiser):
        def __init__(self, data):
            super().__init__(data)
            self.path = cosine

    def body(image):
        [start] = image.start()
        middle = yield advance([start], image.grid[1])
        last = yield advance([start], steps=5)
        yield reward(last)
        states.extend([start, start.raise_to(Heun(steps=5).grid(cosine)[0]), *middle])
        rows.extend(lab.rows(states[:2]))
        return last[0]

    states, rows = [], []
    result = lab.play(body, Heun(steps=50), Cosine(lab.data))
    assert not result.failure, result.failure
    assert states[1].level.time == 799.0
    torch.testing.assert_close(rows[1] / rows[0], torch.full_like(rows[0], states[1].level.sigma / grid[0].sigma))


def test_engine_refuses_a_network_of_noise_where_there_is_no_signal():
    with refused("predicts noise, and its noise path begins at alpha = 0"):
        NetworkDenoiser(lambda x, time, label: x, Flow(), "epsilon", (3, 4, 4))


@pytest.mark.parametrize("guidance", [CG(), UGD(), TFG(rho=1.0)], ids=lambda guidance: type(guidance).__name__)
def test_engine_refuses_a_guidance_that_divides_by_a_signal_that_is_not_there(lab, guidance):
    class Zero(MixtureDenoiser):
        def __init__(self, data):
            super().__init__(data)
            self.path = VP((*linear_vp().alphas_cumprod[:-1], 0.0))

    guide = Classifier(lab.data.logits)
    guide.noise_aware = guidance.noise_aware
    with refused("divides by alpha, which is 0 where this sampling begins"):
        Engine(Zero(lab.data), DDIM(steps=4), {"select": guide, "guide": guide}, seed=0, guidance=guidance)
    Engine(
        Zero(lab.data), DDIM(steps=4), {"select": guide, "guide": Classifier(lab.data.logits)}, seed=0, guidance=DPS()
    )


def test_flow_refuses_a_step_from_an_image():
    with pytest.raises(ValueError, match=r"sampler.spacing is \[1.0, 0.0\]; .* at 0 no noise is left"):
        Euler(steps=2, spacing=(1, 0)).grid(Flow())
