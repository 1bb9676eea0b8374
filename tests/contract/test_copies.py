"""Noise belongs to the particle: copies separate, retries are new, moves keep what they should."""

import math
from collections.abc import Iterator

import pytest
import torch

from its.levels import ancestral_variance, forward_std
from its.particles.keys import Verb
from its.particles.moves import Mix, Rotate
from its.particles.verbs import advance, reward
from its.sampler.ddim import DDIM


def distinct(rows: torch.Tensor) -> int:
    return len({row.numpy().tobytes() for row in rows})


def step_noise(lab, parents, children) -> torch.Tensor:
    """The z of one DDIM step at eta 1, worked back from its ends."""
    t, s = parents[0].level, children[0].level
    variance = ancestral_variance(t, s, eta=1.0)
    x0, eps = lab.guesses(parents)
    return (lab.rows(children) - s.alpha * x0 - math.sqrt(s.sigma**2 - variance) * eps) / math.sqrt(variance)


def normal_like(z: torch.Tensor) -> bool:
    """Mean 0 and variance 1 within 4.5 standard errors."""
    n = z.numel()
    return abs(z.mean()) < 4.5 / math.sqrt(n) and abs(z.var() - 1) < 4.5 * math.sqrt(2 / n)


@pytest.mark.parametrize(("eta", "expected"), [(0.0, 1), (1.0, 6)])
@pytest.mark.parametrize("origin", ["start", "middle", "renoised", "jittered", "moved"])
def test_advance_separates_copies_at_the_next_stochastic_step(lab, eta, expected, origin):
    def body(image):
        [start] = image.start()
        [middle] = yield advance([start], to=image.grid[4])
        [particle] = {
            "start": lambda: [start],
            "middle": lambda: [middle],
            "renoised": lambda: image.renoise([middle], image.grid[2]),
            "jittered": lambda: image.jitter([middle], 0.1),
            "moved": lambda: image.move(start, Rotate(0.9)),
        }[origin]()
        together = yield advance([particle] * 3, to=image.grid[6])
        again = []
        for _ in range(3):
            again += yield advance([particle], to=image.grid[6])
        assert distinct(lab.rows(together + again)) == expected
        images = yield advance(together + again)
        assert distinct(lab.rows(images)) == expected
        return images[0]

    lab.play(body, DDIM(steps=10, eta=eta))


def test_advance_keeps_copies_together_at_the_last_step(lab):
    def body(image):
        [last] = yield advance(image.start(), to=image.grid[-2])
        images = yield advance([last] * 3)
        assert distinct(lab.rows(images)) == 1
        assert image.ledger.spent == lab.nfe(image.grid[:-1])
        return images[0]

    lab.play(body)


def test_renoise_gives_a_retry_new_noise(lab):
    def body(image):
        high, low = image.grid[3], image.grid[4]
        [first] = yield advance(image.start(), to=high)
        [down] = yield advance([first], to=low)
        up = image.renoise([down, down], high)
        lower = yield advance(up, to=low)
        [last] = yield advance([down])
        noises = step_noise(lab, [first, *up], [down, *lower])
        assert normal_like(noises)
        assert (torch.corrcoef(noises).fill_diagonal_(0).abs() < 0.9).all()
        assert distinct(lab.rows(up)) == 2
        return last

    lab.play(body)


def test_renoise_differs_between_a_particle_and_its_child(lab):
    def body(image):
        top, high, low = image.grid[1], image.grid[3], image.grid[6]
        [parent] = yield advance(image.start(), to=high)
        [child] = yield advance([parent], to=low)
        up = image.renoise([parent, child], top)
        yield reward(up)
        noises = [
            (row - top.alpha / below.level.alpha * lab.rows([below])[0]) / forward_std(below.level, top)
            for row, below in zip(lab.rows(up), [parent, child], strict=True)
        ]
        assert (noises[0] - noises[1]).abs().max() > 0.1
        [image] = yield advance([child])
        return image

    lab.play(body)


def test_move_neighbours_share_step_noise_but_not_directions(lab):
    move = Rotate(0.8)

    def directions(pivot, moved):
        return (lab.rows(moved) - move.cos * lab.rows([pivot])) / lab.rows([pivot]).norm()

    def body(image):
        [pivot] = image.start()
        first = image.move(pivot, move, 2)
        second = image.move(first[0], move, 2)
        again = image.move(pivot, move, 1)
        starts = [pivot, *first, *second, *again]
        below = yield advance(starts, to=image.grid[1])
        noises = step_noise(lab, starts, below)
        assert normal_like(noises[0])
        torch.testing.assert_close(noises, noises[:1].expand_as(noises), rtol=0, atol=1e-9)
        rounds = torch.cat([directions(pivot, first + again), directions(first[0], second)])
        unit = rounds / rounds.norm(dim=1, keepdim=True)
        assert ((unit @ unit.T).fill_diagonal_(0).abs() < 0.8).all()
        [fresh] = image.move(pivot, move, fresh=True)
        [lower] = yield advance([fresh], to=image.grid[1])
        assert (step_noise(lab, [fresh], [lower]) - noises[:1]).abs().max() > 0.1
        [clean] = yield advance(below[:1])
        return clean

    lab.play(body)


def test_move_neighbours_copies_share_step_noise_but_not_renoising(lab):
    """A neighbour shares with its pivot's other neighbours the noise of steps, further down too."""

    def body(image):
        near = image.move(*image.start(), Rotate(0.8), 2)
        _, first, _, second = yield advance([near[0]] * 2 + [near[1]] * 2, to=image.grid[3])
        below = yield advance([first, second], to=image.grid[4])
        torch.testing.assert_close(*step_noise(lab, [first, second], below), rtol=0, atol=1e-9)
        up = image.renoise([first, second], image.grid[1])
        [clean, _] = yield advance(up)
        scale = image.grid[1].alpha / image.grid[3].alpha
        added = (lab.rows(up) - scale * lab.rows([first, second])) / forward_std(image.grid[3], image.grid[1])
        assert (added[0] - added[1]).abs().max() > 0.1
        return clean

    lab.play(body)


def test_raise_to_counts_the_children_of_a_start_together(lab):
    """Also through the start that an advance to the level where it stands hands back."""

    def body(image):
        [start] = image.start()
        higher, lower = image.level(1.0), image.level(0.9)
        twin = start.raise_to(lower)
        assert twin.raise_to(higher).add_child(Verb.ADVANCE) == 0
        assert [particle.add_child(Verb.ADVANCE) for particle in (start, twin, start.raise_to(lower))] == [1, 2, 3]
        [clean] = yield advance([start])
        return clean

    lab.play(body)


def test_rotate_keeps_the_norm_and_gives_the_exact_cosine(lab):
    def body(image):
        [start] = image.start()
        moved = image.move(start, Rotate(0.3), 50)
        yield reward([start, *moved])
        x, y = lab.rows([start]), lab.rows(moved)
        torch.testing.assert_close(y.norm(dim=1), x.norm(dim=1).expand(50), rtol=1e-12, atol=0)
        torch.testing.assert_close(
            (y @ x.T).squeeze(1) / x.norm() ** 2, torch.full((50,), 0.3, dtype=x.dtype), rtol=0, atol=1e-12
        )
        assert distinct(y) == 50
        [clean] = yield advance([start])
        return clean

    lab.play(body)


@pytest.fixture
def two_threads() -> Iterator[None]:
    """So many that torch splits a long sum over them, if it is one row's."""
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_rotate_is_independent_of_its_companions(rows, two_threads):
    x, z = torch.randn(2, 5, 200_001, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).unbind()
    assert torch.equal(Rotate(0.9)(x, z)[:rows], Rotate(0.9)(x[:rows], z[:rows]))


def test_mix_combines_the_start_and_normal_noise_at_its_share(lab):
    def body(image):
        [start] = image.start()
        moved = image.move(start, Mix(0.6), 400)
        yield reward([start, *moved])
        assert normal_like((lab.rows(moved) - 0.8 * lab.rows([start])) / 0.6)
        [clean] = yield advance([start])
        return clean

    lab.play(body)


@pytest.mark.parametrize("path", ["vp", "flow"])
def test_renoise_follows_the_forward_kernel(lab, path):
    def body(image):
        [low] = yield advance(image.start(), to=image.grid[7])
        [clean] = yield advance([low])
        for parent, level in [(low, image.grid[2]), (clean, image.grid[5]), (low, image.grid[0]), (low, low.level)]:
            up = image.renoise([parent] * 400, level)
            yield reward(up)
            mean = level.alpha / parent.level.alpha * lab.rows([parent])
            variance = level.sigma**2 - (level.alpha / parent.level.alpha * parent.level.sigma) ** 2
            if variance > 1e-12:
                assert normal_like((lab.rows(up) - mean) / math.sqrt(variance))
            else:
                torch.testing.assert_close(lab.rows(up), mean.expand(400, -1))
        return clean

    lab.play(body, model=lab.denoiser(path=path))


def test_jitter_adds_noise_of_its_deviation_at_the_same_level(lab):
    def body(image):
        [low] = yield advance(image.start(), to=image.grid[7])
        jittered = image.jitter([low] * 400, 0.3)
        yield reward(jittered)
        assert normal_like((lab.rows(jittered) - lab.rows([low])) / 0.3)
        assert {p.level for p in jittered} == {low.level}
        [clean] = yield advance([low])
        return clean

    lab.play(body)


@pytest.mark.parametrize(
    ("verb", "message"),
    [
        (lambda image, clean: image.jitter([clean], 0.1), "got a finished image"),
        (lambda image, clean: image.renoise([clean], clean.level), "must be noisier"),
        (lambda image, clean: image.renoise(image.renoise([clean], image.grid[2]), image.grid[3]), "must be noisier"),
        (lambda image, clean: image.move(clean, Rotate(0.5)), "starting points only"),
    ],
)
def test_image_refuses_an_invalid_jitter_renoise_or_move(lab, verb, message):
    def body(image):
        [clean] = yield advance(image.start())
        with pytest.raises(ValueError, match=message):
            verb(image, clean)
        return clean

    lab.play(body)
