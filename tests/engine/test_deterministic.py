"""Advances without noise: the steps of the sampler at no noise, beside steps with noise, whose draws they leave."""

import pytest

from its import Engine
from its.engine.tape import Tape
from its.guidance.dps import DPS
from its.guidance.mpgd import MPGD
from its.particles.verbs import advance, reward
from its.sampler.consistency import Consistency
from its.sampler.ddim import DDIM
from its.sampler.dpmpp_2m import DPMpp2M
from its.sampler.euler import Euler
from its.sampler.flow_cps import FlowCPS
from its.sampler.flow_grpo import FlowGRPO
from its.sampler.flow_renoise import FlowRenoise
from its.sampler.flow_vp import FlowVP
from its.sampler.heun import Heun
from its.sampler.sit_sde import SiTSDE
from its.verifier.classifier import Classifier

SAMPLERS = {
    "ddim": (DDIM(steps=8, eta=1.0), "vp"),
    "ddim-fixed_large": (DDIM(steps=8, eta=1.0, variance="fixed_large"), "vp"),
    "flow_cps": (FlowCPS(steps=8), "flow"),
    "flow_grpo": (FlowGRPO(steps=8), "flow"),
    "sit_sde": (SiTSDE(steps=8), "flow"),
    "flow_vp": (FlowVP(steps=8, spacing="linear"), "flow"),
}
QUIET = {
    "heun": (Heun(steps=8, spacing="linspace"), "vp"),
    "euler": (Euler(steps=8), "flow"),
    "dpmpp_2m": (DPMpp2M(steps=8), "vp"),
}


def rows_of(lab, sampler, path, *bodies) -> list:
    """What each body returns of its image, as rows; images of all bodies share batches."""
    found: dict[int, list] = {}

    def body(image):
        particles = yield from bodies[image.problem.index % len(bodies)](image)
        found[image.problem.index] = lab.rows(particles).tolist()
        images = yield advance(particles)
        yield reward(images)

    lab.results(lab.engine(sampler, lab.denoiser(path=path), batch=8), lab.script(body), (1000,), range(len(bodies)))
    return [found[index] for index in range(len(bodies))]


@pytest.mark.parametrize(("sampler", "path"), [*SAMPLERS.values(), *QUIET.values()], ids=[*SAMPLERS, *QUIET])
def test_advance_deterministic_takes_the_steps_of_the_sampler_without_noise(lab, sampler, path):
    def down(image, **how):
        return (yield advance(image.start(3), to=image.grid[5], **how))

    def down_in_other_steps(image, **how):
        particles = yield advance(image.start(2), to=image.grid[3], deterministic=True)
        return (yield advance(particles, to=image.grid[6], steps=2, **how))

    twin = sampler.deterministic()
    assert not twin.stochastic
    assert (twin == sampler) == (sampler in [quiet for quiet, _ in QUIET.values()])
    for way in (down, down_in_other_steps):
        [ours] = rows_of(lab, sampler, path, lambda image, way=way: way(image, deterministic=True))
        [plain] = rows_of(lab, twin, path, way)
        assert ours == plain


@pytest.mark.parametrize(("sampler", "path"), SAMPLERS.values(), ids=SAMPLERS)
def test_advance_deterministic_in_one_batch_with_noise_equals_both_alone(lab, sampler, path):
    def without(image):
        particles = yield advance(image.start(4), to=image.grid[1])
        return (yield advance(particles, to=image.grid[5], deterministic=True))

    def noisy(image):
        particles = yield advance(image.start(4), to=image.grid[1])
        return (yield advance(particles, to=image.grid[5]))

    together = rows_of(lab, sampler, path, without, noisy)
    assert together[0] == rows_of(lab, sampler, path, without)[0]
    assert together[1] == rows_of(lab, sampler, path, noisy, noisy)[1]


def test_advance_deterministic_leaves_the_noise_of_later_children_and_copies_stay_together(lab):
    def looked(image):
        [middle] = yield advance(image.start(), to=image.grid[2])
        ends = yield advance([middle] * 2, to=image.grid[5], deterministic=True)
        one, other = lab.rows(ends)
        assert (one == other).all()
        children = yield advance([middle] * 3, to=image.grid[4])
        assert image.ledger.spent == 2 + 3 + 2 + 3
        return children

    def plain(image):
        [middle] = yield advance(image.start(), to=image.grid[2])
        return (yield advance([middle] * 3, to=image.grid[4]))

    sampler = DDIM(steps=8, eta=1.0)
    assert rows_of(lab, sampler, "vp", looked) == rows_of(lab, sampler, "vp", plain)


def test_advance_on_from_a_deterministic_end_draws_noise_of_its_own(lab):
    """Two ends of one state are equal, and separate at the next step with noise; neither takes the state's own."""

    def body(image):
        [middle] = yield advance(image.start(), to=image.grid[2])
        ends = yield advance([middle] * 2, to=image.grid[3], deterministic=True)
        children = yield advance(ends, to=image.grid[4])
        assert len({particle.noise_key for particle in (*ends, middle)}) == 3
        one, other = lab.rows(children)
        assert (one != other).any()
        return children

    rows_of(lab, DDIM(steps=8, eta=1.0), "vp", body)


def test_tape_announces_no_draw_of_a_deterministic_step(lab):
    def body(image):
        [middle] = yield advance(image.start(), to=image.grid[2])
        yield advance([middle], deterministic=True)
        images = yield advance([middle])
        yield reward(images)

    tape = Tape()
    lab.results(lab.engine(DDIM(steps=4, eta=1.0), noise=tape), lab.script(body), (100,), [0])
    names = [name.split(" ", 1) for name in tape.draws[0]]
    assert [int(place) for place, _ in names] == list(range(len(names)))
    assert [purpose for _, purpose in names] == ["start", "step 999", "step 749", "step 499"]


@pytest.mark.parametrize("sampler", [Consistency(steps=4), FlowRenoise(steps=4)], ids=lambda each: type(each).__name__)
def test_deterministic_is_refused_by_name_where_steps_need_noise(lab, sampler):
    def body(image):
        yield advance(image.start(), deterministic=True)

    said = f"{type(sampler).__name__} has no steps without noise, .*; take sampler=ddim sampler.eta=1, or"
    with pytest.raises(ValueError, match=said):
        sampler.deterministic()
    engine = lab.engine(sampler, lab.denoiser(path="flow"))
    with pytest.raises(ValueError, match=rf"Script, image 0: {said}"):
        lab.results(engine, lab.script(body), (100,), [0])
    assert engine.rows_evaluated == 0


def test_advance_refuses_noise_for_deterministic_steps(lab):
    def body(image):
        yield advance(image.start(), noise=image.noise(), deterministic=True)

    with pytest.raises(ValueError, match="advance got noise= and deterministic=True, whose steps draw none"):
        lab.play(body)


@pytest.mark.parametrize("guidance", [MPGD(0.1), DPS(0.1)], ids=lambda each: type(each).__name__)
def test_deterministic_steps_are_guided_as_those_of_the_sampler_without_noise(lab, guidance):
    def engine_at(eta):
        verifiers = {"select": Classifier(lab.logits), "guide": Classifier(lab.logits)}
        return Engine(lab.denoiser(), DDIM(steps=6, eta=eta), verifiers, seed=0, guidance=guidance, batch=8)

    def run(eta, **how):
        def body(image):
            particles = yield advance(image.start(2), **how)
            yield reward(particles)

        return lab.bits(engine_at(eta), lab.script(body), (100,), [0, 1])

    assert run(1.0, deterministic=True) == run(0.0)
