import math

import pytest

from its.particles.keys import Verb, fold
from its.sampler.ddim import DDIM
from its.search.bfs_resample import BFSResample
from its.search.parts.softmax_counts import increase, survivors


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ((0.625, 0.125, 0.125, 0.125), [0, 0]),
        ((0.25, 0.25, 0.25, 0.25), [0, 1, 2, 3]),
        ((0.1, 0.1, 0.7, 0.1), [2, 2, 2]),
        ((0.4, 0.4, 0.1, 0.1), [0, 0, 1, 1]),
        ((1.0,), [0]),
    ],
    ids=str,
)
def test_survivors(weights, expected):
    """round(N p) copies in index order, halves to even, cut to N."""
    assert survivors([math.log(w) for w in weights], 1.0) == expected


def test_survivors_are_cut_to_the_population():
    assert survivors([math.log(w) for w in (0.32, 0.32, 0.32, 0.02, 0.02)], 1.0) == [0, 0, 1, 1, 2]


@pytest.mark.parametrize("rewards", [[-math.inf] * 3, [0.0] * 3, [math.inf] * 3])
def test_equal_scores_keep_all(rewards):
    assert survivors(rewards, 2.0) == [0, 1, 2]


def test_the_worst_scores_die():
    assert survivors([-math.inf, 1.0, -math.inf], 1.0) == [1, 1, 1]


def test_the_temperature_rises_where_the_signal_does(lab):
    grid = DDIM(steps=10).grid(lab.denoiser().path)
    ratios = [increase(grid, i) for i in range(10)]
    assert sum(ratios) == pytest.approx(10)
    assert ratios == sorted(ratios)


def naive_run(alone, n: int, temperature: float) -> tuple[float, list[list[int]]]:
    """Rows of one image in a list, resampled by the rounded counts; steps 2, 4, 6, 8 of 10."""
    rows = [(alone.draw(alone.path(j)), alone.path(j)) for j in range(n)]
    guesses, kept = [None] * n, []
    for k in range(10):
        stepped = []
        for x, path in rows:
            y, guess = alone.step(x, path, k)
            stepped.append((y, path, guess))
        rows, guesses = [s[:2] for s in stepped], [s[2] for s in stepped]
        if k in (2, 4, 6, 8):
            scores = [alone.reward(guess) for guess in guesses]
            top, scale = max(scores), temperature * increase(alone.grid, k)
            total = sum(math.exp(scale * (s - top)) for s in scores)
            counts = [round(len(scores) * math.exp(scale * (s - top)) / total) for s in scores]
            chosen = [i for i, count in enumerate(counts) for _ in range(count)][: len(scores)]
            kept.append(chosen)
            rows = branch(rows, chosen, alone.grid[k + 1].key)
    return max(alone.reward(x) for x, _ in rows), kept


def branch(rows: list, chosen: list[int], level: int) -> list:
    """The first copy of a row continues its path, the others fold the level and their number into it."""
    copies: dict[int, int] = {}
    out = []
    for i in chosen:
        k = copies[i] = copies.get(i, -1) + 1
        x, path = rows[i]
        out.append((x, path if k == 0 else fold(path, Verb.ADVANCE, level, k)))
    return out


@pytest.mark.parametrize("temperature", [0.02, 0.1, 10.0])
def test_against_one_image_at_a_time(naive, rewards, temperature):
    sampler = DDIM(steps=10, eta=1.0)
    expected, kept = naive_run(naive(sampler), 7, temperature)
    assert rewards(sampler, BFSResample(temperature=temperature), (70,)) == [expected]
    assert any(len(set(chosen)) < len(chosen) for chosen in kept)


def test_a_cap_buys_whole_samplings_and_copies_are_free_until_they_separate(lab):
    engine = lab.engine(DDIM(steps=10, eta=1.0))
    outcomes = lab.results(engine, BFSResample(temperature=10.0), (10, 69, 70), [0])[0].outcomes
    assert outcomes[0].ledger["nfe"] == 10
    assert outcomes[1].ledger["nfe"] < 60
    assert outcomes[2].ledger["nfe"] < 70


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -1.0}, "at least 0"),
        ({"start": 0}, r"search\.start is 0"),
        ({"step_size": -2}, r"search\.step_size is -2"),
    ],
)
def test_what_makes_no_sense_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        BFSResample(**options)


def test_only_a_temperature_needs_noise():
    assert BFSResample(temperature=0.5).needs_noise
    assert not BFSResample(temperature=0.0).needs_noise
