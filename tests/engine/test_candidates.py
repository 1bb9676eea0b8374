"""Every candidate is kept once, with the image and reward that the search met; keeping them changes nothing."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from its.engine import Engine
from its.particles.image import Image
from its.particles.moves import Ball, LowBand, Mix, Rotate
from its.particles.origin import restore, to_text
from its.particles.verbs import advance, reward
from its.pixels import to_uint8
from its.run import candidates
from its.sampler.ddim import DDIM
from its.search.bfs_resample import BFSResample
from its.search.paths import Paths
from its.search.random import Random
from its.search.zero_order import ZeroOrder
from its.verifier.classifier import Classifier

SAMPLER = DDIM(steps=6, eta=1.0)
CAPS = (6, 14, 30)


def engine(lab, *, keep_candidates=True, **options) -> Engine:
    return Engine(
        lab.denoiser(),
        SAMPLER,
        {"select": Classifier(lab.data.logits)},
        seed=0,
        keep_candidates=keep_candidates,
        **{"batch": 32, **options},
    )


def pixels(result) -> list[bytes]:
    """Return the images of all candidates as bytes."""
    return [candidate.image.tobytes() for candidate in result.candidates]


def origins(result) -> list[str]:
    """Return the origins of all candidates as text."""
    return [to_text(candidate.origin) for candidate in result.candidates]


def test_candidates_have_the_rewards_and_images_that_the_search_met(lab):
    """Guesses, other images of the same path and a second asking are no candidates."""
    rewards: list[float] = []
    rows: list[torch.Tensor] = []

    def body(image):
        halves = yield advance(image.start(3), to=image.grid[3])
        yield reward(halves)
        yield reward(halves, of="before")
        images = yield advance(halves + halves[:1])
        rewards.extend((yield reward(images[::-1])))
        rows.extend(lab.rows(images[::-1]))
        yield reward(images)
        more = yield advance(image.renoise(images[:1], image.grid[4]))
        rewards.extend((yield reward(more)))
        rows.extend(lab.rows(more))

    [result] = lab.results(engine(lab, rows=8192), lab.script(body), (math.inf,), [0]).values()
    assert [candidate.reward for candidate in result.candidates] == rewards
    assert [candidate.image.ravel().tolist() for candidate in result.candidates] == [row.tolist() for row in rows]
    assert [candidate.clock for candidate in result.candidates] == [20, 18, 16, 14, 22]
    assert [candidate.origin is None for candidate in result.candidates] == [False] * 4 + [True]
    assert {candidate.cap for candidate in result.candidates} == {0}


@pytest.mark.parametrize(
    "search",
    [Random(block=3), ZeroOrder(neighbors=3), BFSResample(), Paths(paths=2)],
    ids=lambda search: type(search).__name__,
)
def test_candidates_change_no_result_and_their_best_is_the_outcome(lab, search):
    plain = lab.results(engine(lab, keep_candidates=False), search, CAPS, range(4))
    keeping = lab.results(engine(lab), search, CAPS, range(4))
    assert lab.as_bits(keeping) == lab.as_bits(plain)
    assert not any(result.candidates for result in plain.values())
    for result in keeping.values():
        for k, (cap, outcome) in enumerate(zip(CAPS, result.outcomes, strict=True)):
            counting = [each for each in result.candidates if each.cap in (-1, k) and each.clock <= cap]
            best = max(counting, key=lambda each: each.reward)
            assert (best.reward, best.cap == -1) == (outcome.reward, search.anytime)
            assert np.array_equal(to_uint8(torch.from_numpy(best.image[None]))[0].numpy(), outcome.image)


def test_candidates_hold_no_rows(lab):
    """Twenty-five candidates under a limit of fewer rows, of which none are left at the end."""
    stream = engine(lab, rows=16, batch=2).stream(Random(block=1), (150,), lab.problems([0]))
    assert [len(run.candidates) for run in stream.run()] == [25]
    assert stream.rows_in_use == 0


def test_candidates_of_latents_are_kept_decoded(lab):
    class Double:
        shape = (1, 8, 8)

        def __call__(self, latents):
            return latents.repeat_interleave(2, -1).repeat_interleave(2, -2)

    latent = Engine(
        lab.denoiser(),
        SAMPLER,
        {"select": Classifier(lambda x: lab.data.logits(x[..., ::2, ::2]))},
        seed=0,
        batch=32,
        keep_candidates=True,
    )
    latent.model.decoder = Double()
    [result] = lab.results(latent, Random(candidates=3), (math.inf,), [0]).values()
    [plain] = lab.results(engine(lab), Random(candidates=3), (math.inf,), [0]).values()
    doubled = [candidate.image.repeat(2, -1).repeat(2, -2) for candidate in plain.candidates]
    assert pixels(result) == [image.tobytes() for image in doubled]


def moved(image: Image):
    """One start, moves of every kind and of moves; each is sampled and scored."""
    [start] = image.start()
    band = LowBand(np.arange(4.0).reshape(1, 2, 2) / 3 - 0.5, 1)
    turned = image.move(start, Rotate(0.9), 2)
    [mixed] = image.move(turned[1], Mix(0.3))
    points = [
        start,
        *turned,
        mixed,
        *image.move(mixed, Ball(0.2)),
        *image.move(start, band),
        *image.move(turned[0], Mix(0.5), fresh=True),
    ]
    yield reward((yield advance(points)))


def test_restore_makes_the_same_image_from_its_origin(lab):
    [result] = lab.results(engine(lab), lab.script(moved), (math.inf,), [5]).values()
    assert len(result.candidates) == 7

    def again(image):
        starts = [restore(image, to_text(each.origin), each.noise_key) for each in result.candidates]
        yield reward((yield advance(starts)))

    [rendered] = lab.results(engine(lab), lab.script(again), (math.inf,), [5]).values()
    assert origins(rendered) == origins(result)
    assert pixels(rendered) == pixels(result)
    assert len(set(pixels(result))) == 7


@pytest.mark.parametrize(
    ("text", "message"),
    [("null", "has no recipe; run its search again"), ('[{"path": "1"}, {"path": "2", "move": "Jump"}]', "'Jump'")],
)
def test_restore_refuses_a_missing_recipe_and_an_unknown_move(text, message):
    with pytest.raises(ValueError, match=message):
        restore(SimpleNamespace(grid=[None]), text, 0)


def test_choose_picks_the_best_and_the_worst_by_mean_rank():
    """Three members, of whom two see ties, which share their average rank; the first row is not asked for."""
    rewards = np.array([[9.0, 9.0, 9.0], [1.0, 2.0, 0.0], [0.5, 5.0, 1.0], [2.0, 1.0, 1.0], [0.0, 1.0, -np.inf]])
    choice = candidates.choose(rewards, np.array([1, 2, 3, 4]))
    ranks = [(2 + 2 + 3) / 3, (3 + 1 + 1.5) / 3, (1 + 3.5 + 1.5) / 3, (4 + 3.5 + 4) / 3]
    assert (choice.best, choice.worst) == (1 + ranks.index(min(ranks)), 4)
    assert choice.reward == pytest.approx(-min(ranks))
    assert choice.worst_reward == pytest.approx(-max(ranks))
    tied = candidates.choose(np.array([[1.0, 2.0], [2.0, 1.0], [0.0, 0.0]]), np.arange(3))
    assert (tied.best, tied.reward) == (0, -1.5)


def test_choose_gives_ties_to_the_earlier():
    choice = candidates.choose(np.array([7.0, 1.0, 3.0, 3.0, 1.0]), np.array([1, 2, 3, 4]))
    assert (choice.best, choice.worst, choice.reward, choice.worst_reward) == (2, 1, 3.0, 1.0)
