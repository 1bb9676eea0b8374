"""DPM-Solver++(2M) in the engine: diffusers' trajectories, its order, and what the history of a step does."""

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from diffusers import DPMSolverMultistepScheduler, EDMDPMSolverMultistepScheduler
from torch import Tensor

from its.config.checks import check_noise
from its.engine import Engine
from its.engine.draws import RECURRENCE, draw_number
from its.engine.noise import normal
from its.guidance.mpgd import MPGD
from its.guidance.none import NoGuidance
from its.guidance.tfg import TFG
from its.levels import Columns, Grid, Guess, Level
from its.model.denoiser import Denoiser
from its.model.mixture import MixtureDenoiser
from its.model.unet2d import load
from its.particles.keys import Verb, fold, step_key
from its.particles.moves import Rotate
from its.particles.verbs import advance, reward
from its.sampler.ddim import DDIM
from its.sampler.dpmpp_2m import DPMpp2M
from its.sampler.noise_paths import EDM, VP, Flow
from its.sampler.sampler import Sampler
from its.search.more_steps import MoreSteps
from its.search.none import NoSearch
from its.search.random import Random
from its.search.svdd import SVDD
from its.types import Problem
from its.verifier.classifier import Classifier
from its.verifier.null_rewards import NullRewards
from its.verifier.verifier import rewards_of
from tests.conftest import Lab, Script
from tests.sampler.test_against_diffusers import LABELS, PREDICTIONS, SPACINGS, WEIGHTS, Double, agree, ask

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


class Exact(Tensor):
    """A tensor that diffusers' scheduler does not round to float32."""

    def to(self, *_, **__):
        return self


@pytest.fixture(scope="module")
def network():
    return load(str(WEIGHTS), conditional=True)


def denoiser(network, prediction="v_prediction", *, path=None, clip=None) -> Double:
    network.network.unet.double()
    noise_path = path or network.path
    options = {"null_class": network.null_class, "conditional": True, "clip": clip, "rederive_eps": True}
    return Double(network.network, noise_path, prediction, network.shape, **options)


def ours(sampler: Sampler, model: Denoiser) -> list[Tensor]:
    """States after each step, of an engine whose search stops at every level."""
    states: dict[int, list[Tensor]] = {}

    def body(image):
        [particle], rows = image.start(), states.setdefault(image.problem.index, [])
        for level in image.grid[1:]:
            [particle] = yield advance([particle], to=level)
            rows.append(particle.state.x.rows.take([particle.state.x]))
        return particle

    engine = Engine(model, sampler, {"select": NullRewards()}, seed=5, batch=2)
    list(engine.run(Script(body), (math.inf,), [Problem(index, label) for index, label in enumerate(LABELS)]))
    return [torch.cat(rows) for rows in zip(states[0], states[1], strict=True)]


def theirs(scheduler, output: Callable[[Tensor, Level], Tensor], sampler: Sampler, model: Denoiser) -> list[Tensor]:
    """States after each step of a scheduler, from the same start and at the same levels, unrounded."""
    # The scheduler has its own levels, in float32.
    grid = sampler.grid(model.path)
    sigmas = torch.tensor([t.sigma if isinstance(model.path, Flow) else t.sigma / t.alpha for t in grid]).double()
    torch.testing.assert_close(scheduler.sigmas.double(), sigmas, rtol=1e-5, atol=1e-6)
    scheduler.sigmas = sigmas
    scheduler.set_begin_index(0)

    key, path = fold(0, Verb.START, 0), []
    x = sampler.prior_std(model.path, grid[0]) * normal(5, [0, 1], [key, key], model.shape).double()
    for time, level in zip(scheduler.timesteps, grid, strict=False):
        predicted = output(x, level).as_subclass(Exact)
        x = scheduler.step(predicted, time, x.as_subclass(Exact)).prev_sample.as_subclass(Tensor)
        path.append(x)
    return path


def check(sampler: Sampler, model: Double, scheduler: DPMSolverMultistepScheduler) -> None:
    def output(x, level):
        return ask(model, x, torch.tensor(level.time))

    agree(ours(sampler, model), theirs(scheduler, output, sampler, model))


def vp_scheduler(prediction: str, clip: float | None = None, **options) -> DPMSolverMultistepScheduler:
    """Thresholding at no more than 1 is clipping."""
    return DPMSolverMultistepScheduler(
        beta_schedule="squaredcos_cap_v2", prediction_type=prediction, thresholding=clip is not None, **options
    )


def check_vp(network, prediction: str, steps: int, spacing: str, clip: float | None) -> None:
    model, sampler = denoiser(network, prediction, clip=clip), DPMpp2M(steps=steps, spacing=spacing)
    scheduler = vp_scheduler(prediction, clip)
    scheduler.set_timesteps(timesteps=[int(level.time) for level in sampler.grid(model.path)[:-1]])
    check(sampler, model, scheduler)


@pytest.mark.parametrize(
    ("prediction", "steps", "spacing", "clip"),
    [
        ("v_prediction", 10, "trailing", 1.0),
        ("v_prediction", 15, "linspace", None),
        ("epsilon", 10, "leading", None),
        ("epsilon", 14, "quadratic", 1.0),
        ("sample", 10, "inclusive", None),
        ("sample", 1, "trailing", 1.0),
    ],
)
def test_dpmpp_2m_equals_diffusers(network, prediction, steps, spacing, clip):
    check_vp(network, prediction, steps, spacing, clip)


@pytest.mark.long
@pytest.mark.parametrize("clip", [None, 1.0], ids=["free", "clipped"])
@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize(
    ("steps", "spacing"), [*((steps, each) for each in SPACINGS for steps in (5, 14, 15)), (50, "trailing")]
)
def test_dpmpp_2m_of_every_prediction_and_spacing_equals_diffusers(network, prediction, steps, spacing, clip):
    check_vp(network, prediction, steps, spacing, clip)


@pytest.mark.parametrize(
    ("steps", "spacing"), [(10, "leading"), (10, "linspace"), pytest.param(50, "trailing", marks=pytest.mark.long)]
)
def test_dpmpp_2m_at_diffusers_own_times_equals_diffusers(network, spacing, steps):
    """Its `leading` and `linspace` are the times of one step more, without the last."""
    model, scheduler = denoiser(network), vp_scheduler("v_prediction", timestep_spacing=spacing)
    scheduler.set_timesteps(steps)
    times = tuple(float(time) for time in scheduler.timesteps)
    assert spacing == "trailing" or times == tuple(
        level.time for level in DPMpp2M(steps=steps + 1, spacing=spacing).layout(model.path)[:-2]
    )
    check(DPMpp2M(steps=steps, spacing="trailing" if spacing == "trailing" else times), model, scheduler)


@pytest.mark.parametrize(("steps", "shift"), [(10, 3.0), pytest.param(30, 1.0, marks=pytest.mark.long)])
def test_dpmpp_2m_on_flow_equals_diffusers(network, steps, shift):
    """Times before the shift, as diffusers lays them out: from .999 on."""
    scheduler = DPMSolverMultistepScheduler(use_flow_sigmas=True, prediction_type="flow_prediction", flow_shift=shift)
    scheduler.set_timesteps(steps)
    times = 1000.0 * np.linspace(0.0, 0.999, steps + 1)[:0:-1]
    sampler = DPMpp2M(steps=steps, spacing=tuple(times))
    check(sampler, denoiser(network, "flow", path=Flow(shift=shift, time_scale=1000.0)), scheduler)


def test_dpmpp_2m_on_flow_from_pure_noise_equals_diffusers(network):
    """At t = 1 there is no signal: the first step is infinitely long in log(alpha / sigma)."""
    model, sampler = denoiser(network, "flow", path=Flow(time_scale=1000.0)), DPMpp2M(steps=8)
    grid = sampler.grid(model.path)
    assert grid[0].alpha == 0.0
    scheduler = DPMSolverMultistepScheduler(use_flow_sigmas=True, prediction_type="flow_prediction")
    scheduler.set_timesteps(8)
    scheduler.sigmas = torch.tensor([level.sigma for level in grid])  # its own begin at .999
    check(sampler, model, scheduler)


@pytest.mark.parametrize(("steps", "euler_at_final"), [(10, False), (20, True)])
def test_dpmpp_2m_that_ends_before_clean_equals_diffusers_at_sigma_min(network, steps, euler_at_final):
    """Below 15 steps the last is of first order there in any case."""
    table = network.path.alphas_cumprod
    model = denoiser(network, path=VP(table, final_alpha_cumprod=table[0]))
    scheduler = vp_scheduler(
        "v_prediction", timestep_spacing="trailing", final_sigmas_type="sigma_min", euler_at_final=euler_at_final
    )
    scheduler.set_timesteps(steps)
    check(DPMpp2M(steps=steps), model, scheduler)


@pytest.mark.parametrize("steps", [10, 18])
def test_dpmpp_2m_on_edm_equals_diffusers(lab, steps):
    model, sampler = lab.denoiser(), DPMpp2M(steps=steps, spacing="karras")
    model.path = EDM()
    scheduler = EDMDPMSolverMultistepScheduler()
    scheduler.set_timesteps(steps)
    scheduler.convert_model_output = lambda output, sample: output

    def output(x, level):
        return model(x, Columns.of([level] * 2, x.ndim, "cpu"), LABELS).x0

    agree(ours(sampler, model), theirs(scheduler, output, sampler, model))


SAMPLER = DPMpp2M(steps=8)
HISTORY = tuple[Tensor, Level] | None


def guessed(model: Denoiser, x: Tensor, t: Level) -> Guess:
    return model(x.reshape(-1, *model.shape), Columns.of([t] * len(x), 4, "cpu"), [0] * len(x))


def naive(model: Denoiser, x: Tensor, levels: Grid, history: HISTORY = None, guide=lambda x0: x0) -> list:
    """A row `[1, 16]` and its history at each of the levels, by Alg. 2 as it is printed."""
    states: list[tuple[Tensor, HISTORY]] = []
    for t, s in pairwise(levels):
        guess = guessed(model, x, t)
        x0, eps = guide(guess.x0.flatten(1)), guess.eps.flatten(1)
        x = t.alpha * x0 + t.sigma * eps  # what a guidance's pair makes
        direction = x0
        if history is not None and history[1].alpha > 0 and s.sigma > 0:
            lambdas = [math.log(level.alpha / level.sigma) for level in (history[1], t, s)]
            r = (lambdas[1] - lambdas[0]) / (lambdas[2] - lambdas[1])
            direction = (1 + 1 / (2 * r)) * x0 - 1 / (2 * r) * history[0]
        shrink = s.sigma / t.sigma
        x = shrink * x + (s.alpha - t.alpha * shrink) * direction  # alpha_s (1 - exp(-h))
        history = (x0, t) if s.sigma > 0 else None
        states.append((x, history))
    return states


def close(rows: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(rows, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("path", ["vp", "flow"])
def test_advance_goes_on_from_the_history_of_its_particle(lab, path):
    """Copies inherit it, whatever was asked on the way; moves of all kinds clear it, also beside rows that have one."""
    model, seen = lab.denoiser(path=path), []

    def body(image):
        grid = image.grid
        [start] = image.start()
        [parent] = yield advance([start], to=grid[3])
        [(_, history)] = naive(model, lab.rows([start]), grid[:4])[-1:]
        yield reward([parent])
        ups, jittered = image.renoise([parent], grid[2]), image.jitter([parent], 0.1)
        targets = [grid[5], grid[6], grid[6], grid[4], None]
        children = yield advance([parent, parent, *ups, *jittered, *image.move(start, Rotate(0.5))], to=targets)
        sources = [parent, parent, *ups, *jittered, start]
        for source, child, past, k in zip(sources, children, [history] * 2 + [None] * 2, (5, 6, 6, 4), strict=False):
            first = grid.index(source.level)
            close(lab.rows([child]), naive(model, lab.rows([source]), grid[first : k + 1], past)[-1][0])
            seen.append(child)
        # A child's child goes on with the child's own.
        [end] = yield advance([children[1]])
        whole = naive(model, lab.rows([start]), grid)[-1][0]
        close(lab.rows([end]), whole)
        yield reward([children[-1]])
        return end

    lab.play(body, SAMPLER, model)
    assert len(seen) == 4


def test_moved_starting_point_begins_without_history(lab):
    model = lab.denoiser()

    def body(image):
        [start] = image.start()
        yield advance([start], to=image.grid[2])
        [moved] = image.move(start, Rotate(0.5))
        [end] = yield advance([moved])
        close(lab.rows([end]), naive(model, lab.rows([moved]), image.grid)[-1][0])
        return end

    lab.play(body, SAMPLER, model)


def test_recurrence_takes_every_further_round_at_first_order(lab):
    """A round goes back up by noise, which clears the history that the step came with."""
    model, guidance = lab.denoiser(), TFG(rho=0.0, mu=0.0, recurrence=2)

    def body(image):
        [start] = image.start()
        [end] = yield advance([start])
        x, history = lab.rows([start]), None
        for t, s in pairwise(image.grid):
            [(below, _)] = naive(model, x, (t, s), history)
            key = step_key(start.noise_key, t.key, draw_number(RECURRENCE, 0, guidance.num_draws))
            z = normal(0, [0], [key], model.shape).double().flatten(1)
            ratio = t.alpha / s.alpha
            x = ratio * below + math.sqrt(t.sigma**2 - (ratio * s.sigma) ** 2) * z
            [(x, history)] = naive(model, x, (t, s))
        close(lab.rows([end]), x)
        return end

    engine = guided(lab, guidance, model)
    lab.results(engine, Script(body), (math.inf,), [0])


def guided(lab: Lab, guidance, model=None, sampler: Sampler = SAMPLER) -> Engine:
    verifier = Classifier(lab.data.logits)
    verifiers = {"select": verifier, "guide": verifier}
    return Engine(model or lab.denoiser(), sampler, verifiers, seed=0, guidance=guidance, batch=32)


def test_history_under_a_guidance_is_the_guided_guess(lab):
    model, strength = lab.denoiser(), 0.05

    def guide(x0):
        with torch.enable_grad():
            y = x0.clone().requires_grad_()
            score = rewards_of(Classifier(lab.data.logits), y.reshape(-1, *model.shape), [lab.data.condition(0)])
            return x0 + strength * torch.autograd.grad(score.sum(), y)[0]

    def body(image):
        [start] = image.start()
        [end] = yield advance((yield advance([start], to=image.grid[4])))
        close(lab.rows([end]), naive(model, lab.rows([start]), image.grid, guide=guide)[-1][0])
        return end

    lab.results(guided(lab, MPGD(strength=strength), model), Script(body), (math.inf,), [0])


@pytest.mark.parametrize("through", [TFG(rho=0.0, mu=0.0), TFG(rho=0.0, mu=1e-300)], ids=["nothing", "guess"])
def test_tfg_of_strength_zero_equals_plain_dpmpp_2m_bit_for_bit(lab, through):
    runs = [lab.results(guided(lab, each), Random(block=3), (40,), range(4)) for each in (NoGuidance(), through)]
    images = [[outcome.image.tobytes() for r in run.values() for outcome in r.outcomes] for run in runs]
    assert images[0] == images[1]


class Rounded(MixtureDenoiser):
    """A network in float32."""

    def network(self, x, coefficients, label):
        x0, eps, _ = super().network(x, coefficients, label)
        return Guess(x0.float().double(), eps.float().double())


def test_dpmpp_2m_takes_no_slope_over_a_hair(lab):
    """A search may stop a hair above a level of the grid: the change of x0_hat over that is rounding."""
    model, ends = lab.denoiser(kind=Rounded), []

    def body(image):
        [start] = image.start()
        for hair in (1e-13, 1e-11, 1e-9):
            [stopped] = yield advance([start], to=model.path.level(image.grid[4].time + hair))
            ends.extend((yield advance([stopped])))
        [plain] = yield advance([start])
        assert float((lab.rows(ends) - lab.rows([plain])).abs().max()) < 0.05
        return plain

    lab.play(body, SAMPLER, model)


@pytest.mark.parametrize("path", ["vp", "flow"])
def test_more_steps_of_dpmpp_2m_equals_a_plain_sampling_in_as_many(lab, path):
    model = lab.denoiser(path=path)
    more = lab.bits(lab.engine(DPMpp2M(steps=5), model), MoreSteps(), (23,), range(3))
    assert more == lab.bits(lab.engine(DPMpp2M(steps=23), model), NoSearch(), (23,), range(3))


def test_history_is_one_row_of_a_particle_that_is_no_image(lab):
    held = {}

    def body(image):
        particles = yield advance(image.start(3), to=image.grid[2])
        below = particles[0].state.x.rows.in_use
        images = yield advance(particles)
        held.setdefault(image, []).extend((below, particles[0].state.x.rows.in_use))
        return images[0]

    for sampler in (DDIM(steps=8, eta=0.0), SAMPLER):
        lab.play(body, sampler)
    plain, multistep = held.values()
    assert [b - a for a, b in zip(plain, multistep, strict=True)] == [3, 3]


def test_search_that_needs_noise_is_refused_under_dpmpp_2m():
    with pytest.raises(ValueError, match="needs noise"):
        check_noise(SVDD(), SAMPLER)
