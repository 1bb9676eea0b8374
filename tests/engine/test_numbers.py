"""Particles as numbers on the host, and numbers as particles."""

import math

import numpy as np
import pytest
import torch

from its.levels import Columns
from its.particles.verbs import advance, numbers, reward
from its.sampler.ddim import DDIM
from its.sampler.dpmpp_2m import DPMpp2M
from its.sampler.heun import Heun

STEPS = 8


def seen_by(lab, body, sampler, **options):
    """Run a script on four images; return their results."""
    engine = lab.engine(sampler, lab.denoiser(**options), batch=4)
    return lab.results(engine, lab.script(body), (math.inf,), range(4))


@pytest.mark.parametrize("path", ["vp", "flow"])
def test_numbers_are_the_row_and_the_guess_of_the_model(lab, path):
    views = []

    def body(image):
        [particle] = yield advance(image.start(), to=image.grid[3])
        [view] = yield numbers([particle])
        views.append((image.problem, particle.level, view))
        [end] = yield advance([particle])
        [image_view] = yield numbers([end])
        assert (image_view.x == image_view.x0).all()
        yield reward([end])
        assert image.ledger.spent == STEPS

    seen_by(lab, body, DDIM(steps=STEPS, eta=0.0), path=path)
    model = lab.denoiser(path=path)
    for problem, level, view in views:
        x = torch.from_numpy(view.x)[None]
        guess = model(x, Columns.of([level], x.ndim, "cpu"), [problem.condition])
        np.testing.assert_allclose(view.x0, guess.x0[0].numpy(), rtol=1e-12)
    assert len({view.x.tobytes() for _, _, view in views}) == 4


def walk(image, change):
    """Go down step by step, and take what `change` makes of each particle and its numbers."""
    [particle] = image.start()
    for level in image.grid[1:]:
        [view] = yield numbers([particle])
        [particle] = yield advance(change(image, particle, view), to=level)
    yield reward([particle])


def plain(image):
    yield reward((yield advance(image.start())))


@pytest.mark.parametrize("sampler", [DDIM(steps=STEPS, eta=1.0), Heun(steps=STEPS, spacing="linspace")])
@pytest.mark.parametrize("change", ["place", "propose", "both"])
def test_the_same_numbers_change_nothing(lab, sampler, change):
    """A round trip: what `numbers` gives, placed or proposed again, is the plain sampling, start and step noise too."""
    changes = {
        "place": lambda image, particle, view: image.place([particle], [view.x]),
        "propose": lambda image, particle, view: image.propose([particle], [view.x0]),
        "both": lambda image, particle, view: image.propose([particle], [view.x0], [view.x]),
    }
    expected = seen_by(lab, plain, sampler)
    found = seen_by(lab, lambda image: walk(image, changes[change]), sampler)
    for index, result in expected.items():
        assert found[index].outcomes[0].reward == pytest.approx(result.outcomes[0].reward, rel=1e-9)


def test_a_proposal_costs_nothing_and_is_stepped_from(lab):
    """Of a proposed x0_hat, DDIM's step at eta 0 is a formula; the row's own guess stays what it was."""

    def body(image):
        [particle] = yield advance(image.start(), to=image.grid[2])
        [view] = yield numbers([particle])
        spent = image.ledger.spent
        x0 = image.random.normal(image.shape)
        [proposal] = image.propose([particle], [x0])
        own, proposed = yield reward([particle, proposal])
        assert own != proposed
        [down] = yield advance([proposal], to=image.grid[3])
        assert image.ledger.spent == spent
        [before] = yield reward([down], of="before")
        assert before == proposed
        [after] = yield numbers([down])
        t, s = image.grid[2:4]
        eps = (view.x - t.alpha * x0) / t.sigma
        np.testing.assert_allclose(after.x, s.alpha * x0 + s.sigma * eps, rtol=1e-9, atol=1e-9)
        [again] = yield numbers([particle])
        assert (again.x0 == view.x0).all()
        yield reward((yield advance([down])))

    seen_by(lab, body, DDIM(steps=STEPS, eta=0.0))


@pytest.mark.parametrize("sampler", [DDIM(steps=STEPS, eta=0.0), DPMpp2M(steps=STEPS)])
def test_a_proposal_may_have_another_row_which_no_step_has_led_to(lab, sampler):
    """Of row and guess DDIM's step is a formula; a multistep sampler's next step is of first order, the same one."""

    def body(image):
        [particle] = yield advance(image.start(), to=image.grid[3])
        yield numbers([particle])
        spent, (x, x0) = image.ledger.spent, image.random.normal((2, *image.shape))
        [proposal] = image.propose([particle], [x0], [x])
        [seen] = yield numbers([proposal])
        assert (seen.x == x).all()
        assert (seen.x0 == x0).all()
        [down] = yield advance(image.propose([proposal], [x0]), to=image.grid[4])
        assert image.ledger.spent == spent
        [after] = yield numbers([down])
        t, s = image.grid[3:5]
        np.testing.assert_allclose(after.x, s.alpha * x0 + s.sigma * (x - t.alpha * x0) / t.sigma, rtol=1e-9, atol=1e-9)
        yield reward((yield advance([down])))

    seen_by(lab, body, sampler)


def test_proposals_of_proposals_need_no_reply_between_them(lab):
    """The first has another row, which the second takes over; both are filled in one go, with others'."""

    def body(image):
        [particle] = yield advance(image.start(), to=image.grid[3])
        yield numbers([particle])
        x, first, second = image.random.normal((3, *image.shape))
        [a] = image.propose([particle], [first], [x])
        [b] = image.propose([a], [second])
        [c] = image.propose([particle], [second])
        views = yield numbers([b, a, c])
        assert [(seen.x == x).all() for seen in views] == [True, True, False]
        assert [(seen.x0 == first).all() for seen in views] == [False, True, False]
        [down] = yield advance([b], to=image.grid[4])
        [after] = yield numbers([down])
        t, s = image.grid[3:5]
        step = s.alpha * second + s.sigma * (x - t.alpha * second) / t.sigma
        np.testing.assert_allclose(after.x, step, rtol=1e-9, atol=1e-9)
        assert image.propose([], []) == image.place([], np.zeros((0, *image.shape))) == []
        yield reward((yield advance([down])))

    seen_by(lab, body, DDIM(steps=STEPS, eta=0.0))


def test_proposals_of_one_particle_draw_their_own_noise_and_placings_share_it(lab):
    def body(image):
        [particle] = yield advance(image.start(), to=image.grid[2])
        [view] = yield numbers([particle])
        for make, value, distinct in ((image.propose, view.x0, 3), (image.place, view.x, 1)):
            children = yield advance(make([particle] * 3, [value] * 3), to=image.grid[3])
            assert len({seen.x.tobytes() for seen in (yield numbers(children))}) == distinct
        yield reward((yield advance([particle])))

    seen_by(lab, body, DDIM(steps=STEPS, eta=1.0))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            lambda image, p: image.place([p], np.zeros(3)),
            r"image\.place got x=a ndarray of shape \[3\].*\[1, 1, 4, 4\]",
        ),
        (lambda image, p: image.place([p], np.zeros((2, *image.shape))), r"one row for each particle, \[1, 1, 4, 4\]"),
        (lambda image, p: image.place([p] * 2, [np.zeros(image.shape), np.zeros(3)]), "image.place got x=a list of 2"),
        (
            lambda image, p: image.place([], [np.zeros(image.shape)]),
            r"a list of 1 .*row for each particle, \[0, 1",
        ),
        (lambda image, p: image.place(p, np.zeros(image.shape)), "image.place got a particle; it takes a flat list"),
        (lambda image, p: image.place([p], [np.full(image.shape, np.nan)]), "x with a number that is not finite"),
        (lambda image, p: image.propose([p], [np.zeros(image.shape)]), r"guess is not known.*yield numbers"),
        (lambda image, p: image.propose([p], [np.zeros(image.shape)], np.zeros(3)), r"image\.propose got x=a ndarray"),
        (lambda image, p: image.note(p, ess=1.0), "on its way"),
    ],
)
def test_numbers_that_cannot_be_used_are_refused(lab, body, words):
    def script(image):
        [particle] = yield advance(image.start(), to=image.grid[2])
        yield reward((yield advance(body(image, particle))))

    with pytest.raises(ValueError, match=words):
        seen_by(lab, script, DDIM(steps=STEPS, eta=0.0))


def test_notes_of_the_winner_and_of_every_candidate_are_kept(lab):
    def body(image):
        images = yield advance(image.start(3))
        rewards = yield reward(images)
        for k, (particle, value) in enumerate(zip(images, rewards, strict=True)):
            image.note(particle, number=k, twice=2 * value)

    engine = lab.engine(DDIM(steps=STEPS, eta=0.0), keep_candidates=True)
    for result in lab.results(engine, lab.script(body), (math.inf,), range(4)).values():
        [outcome] = result.outcomes
        assert outcome.notes["twice"] == 2 * outcome.reward
        assert [candidate.notes["number"] for candidate in result.candidates] == [0, 1, 2]
        best = max(result.candidates, key=lambda candidate: candidate.reward)
        assert best.notes == outcome.notes
