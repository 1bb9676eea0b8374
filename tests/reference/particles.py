"""Particle methods, written from their papers. Each returns the chosen image and its NFE."""

from __future__ import annotations

import numpy as np
from scipy.special import logsumexp, softmax

from tests.reference.naive import Naive


def distinct(xs: list[np.ndarray]) -> int:
    """Evaluations of a step: copies share one."""
    return len({id(x) for x in xs})


def bfs_resample(one: Naive, n: int, temperature: float, checks: list[int]) -> tuple[np.ndarray, int]:
    """Zhang et al. (2505.23614): round(N softmax) copies, in index order, the first N of them."""
    xs, nfe = [one.draw("start") for _ in range(n)], 0
    alphas = np.array([one.abar(i) / one.abar(i + 1) for i in range(one.steps)])
    for i in range(one.steps):
        nfe += distinct(xs)
        guesses = [one.denoise(x, one.times[i]) for x in xs]
        xs = [one.down(x, i, i + 1) for x in xs]
        if i in checks:
            scores = np.array([one.reward(guess) for guess in guesses])
            counts = np.round(len(xs) * softmax(temperature * alphas[i] / alphas.mean() * scores)).astype(int)
            xs = [x for x, count in zip(xs, counts, strict=True) for _ in range(count)][: len(xs)]
    return one.best(xs), nfe


def bfs_prune(one: Naive, n: int, temperature: float, checks: list[int]) -> tuple[np.ndarray, int]:
    """Zhang et al. (2505.23614): those whose rounded count is 0 are dropped."""
    xs, nfe = [one.draw("start") for _ in range(n)], 0
    alphas = np.array([one.abar(i) / one.abar(i + 1) for i in range(one.steps)])
    for i in range(one.steps):
        nfe += len(xs)
        guesses = [one.denoise(x, one.times[i]) for x in xs]
        xs = [one.down(x, i, i + 1) for x in xs]
        if i in checks:
            scores = np.array([one.reward(guess) for guess in guesses])
            weights = softmax(temperature * alphas[i] / alphas.mean() * scores)
            xs = [x for x, weight in zip(xs, weights, strict=True) if round(len(xs) * weight) > 0]
    return one.best(xs), nfe


def svdd(one: Naive, children: int, every: int) -> tuple[np.ndarray, int]:
    """Li et al. (2408.08252), PM: the best of M children by the reward of their guess; the last step is plain."""
    x, nfe = one.draw("start"), 0
    for i in range(one.steps - 1):
        nfe += 1
        if i % every == 0:
            nfe += children - 1
            born = [one.down(x, i, i + 1) for _ in range(children)]
            x = born[int(np.argmax([one.value(child, one.times[i + 1]) for child in born]))]
        else:
            x = one.down(x, i, i + 1)
    return one.best([one.down(x, one.steps - 1, one.steps)]), nfe + 1


def beam(one: Naive, beams: int, children: int, every: int) -> tuple[np.ndarray, int]:
    """Guo et al. (2502.11420): K children of each of A states; the best A of all."""
    xs, nfe = [one.draw("start") for _ in range(beams)], beams
    for i in range(one.steps - 1):
        if i % every == 0:
            born = [one.down(x, i, i + 1) for _ in range(children) for x in xs]
            values = np.array([one.value(child, one.times[i + 1]) for child in born])
            xs = [born[k] for k in np.argsort(-values, kind="stable")[:beams]]
            nfe += beams * children
        else:
            xs = [one.down(x, i, i + 1) for x in xs]
            nfe += beams
    return one.best([one.down(x, one.steps - 1, one.steps) for x in xs]), nfe


def systematic(weights: np.ndarray, one: Naive) -> list[int]:
    points = (np.arange(len(weights)) + one.draw("uniform")[0]) / len(weights)
    return [int(k) for k in np.searchsorted(np.cumsum(weights), points, side="right")]


def multinomial(weights: np.ndarray, one: Naive) -> list[int]:
    """Inversion of sorted uniforms."""
    return [int(k) for k in np.searchsorted(np.cumsum(weights), np.sort(one.draw("uniform")), side="right")]


def ssp(weights: np.ndarray, one: Naive) -> list[int]:
    """Gerber, Chopin and Whiteley (2019), Algorithm 1: move mass between two fractions until one is 0 or 1."""
    expected = len(weights) * weights
    coins, i = one.draw("uniform"), 0
    for j in range(1, len(expected)):
        p, q = expected[i] % 1, expected[j] % 1
        up, down = min(1 - p, q), min(p, 1 - q)
        if coins[j - 1] < (down / (up + down) if up + down > 0 else 0.0):
            expected[i], expected[j] = expected[i] + up, expected[j] - up
        else:
            expected[i], expected[j] = expected[i] - down, expected[j] + down
        if abs(expected[i] - round(expected[i])) < 1e-9:
            expected[i], i = round(expected[i]), j
        else:
            expected[j] = round(expected[j])
    return [k for k, count in enumerate(np.round(expected).astype(int)) for _ in range(count)]


RESAMPLERS = {"multinomial": multinomial, "systematic": systematic, "ssp": ssp}


def fk(
    one: Naive,
    particles: int,
    strength: float,
    potential: str,
    resampler: str,
    checks: list[int],
    ess: float,
    final: str,
) -> tuple[np.ndarray, int]:
    """Singhal et al. (2501.06848), Algorithm 1, with weights carried from one resampling to the next.

    A particle keeps its score, by which the next potential is told, and the product of its potentials, which the last
    step divides out. `diff` begins at a reward of 0, `max` at none.
    """
    xs, nfe = [one.draw("start") for _ in range(particles)], 0
    score = np.full(particles, -np.inf if potential == "max" else 0.0)
    log_product, log_weight = np.zeros(particles), np.zeros(particles)
    for i in range(one.steps):
        nfe += distinct(xs)
        guesses = [one.denoise(x, one.times[i]) for x in xs]
        xs = [one.down(x, i, i + 1) for x in xs]
        if i not in checks:
            continue
        rewards = np.array([one.reward(guess) for guess in guesses])
        log_g, score = {
            "diff": lambda r, old: (strength * (r - old), r),
            "max": lambda r, old: (strength * np.maximum(r, old), np.maximum(r, old)),
            "add": lambda r, old: (strength * (r + old), r + old),
            "rt": lambda r, old: (strength * r, r),
        }[potential](rewards, score)
        log_product, log_weight = log_product + log_g, log_weight + log_g
        weights = np.exp(log_weight - logsumexp(log_weight))
        if 1 / (weights**2).sum() < ess * particles:
            chosen = RESAMPLERS[resampler](weights, one)
            xs, score, log_product = [xs[k] for k in chosen], score[chosen], log_product[chosen]
            log_weight = np.zeros(particles)
    rewards = np.array([one.reward(x) for x in xs])
    if final == "best":
        return xs[int(np.argmax(rewards))], nfe
    weights = softmax(log_weight + strength * rewards - log_product)
    return xs[int(np.searchsorted(np.cumsum(weights), one.draw("uniform")[0], side="right"))], nfe
