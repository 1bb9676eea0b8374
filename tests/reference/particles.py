"""Particle methods, written from their papers. Each returns the chosen image and its NFE."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import logsumexp, softmax

from tests.reference.naive import Naive


def distinct(xs: list[np.ndarray]) -> int:
    """Evaluations of a step: copies share naive."""
    return len({id(x) for x in xs})


def bfs_resample(naive: Naive, n: int, temperature: float, checks: list[int]) -> tuple[np.ndarray, int]:
    """Zhang et al. (2505.23614): round(N softmax) copies, in index order, the first N of them."""
    xs, nfe = [naive.draw("start") for _ in range(n)], 0
    alphas = np.array([naive.abar(i) / naive.abar(i + 1) for i in range(naive.steps)])
    for i in range(naive.steps):
        nfe += distinct(xs)
        guesses = [naive.denoise(x, naive.times[i]) for x in xs]
        xs = [naive.down(x, i, i + 1) for x in xs]
        if i in checks:
            scores = np.array([naive.reward(guess) for guess in guesses])
            counts = np.round(len(xs) * softmax(temperature * alphas[i] / alphas.mean() * scores)).astype(int)
            xs = [x for x, count in zip(xs, counts, strict=True) for _ in range(count)][: len(xs)]
    return naive.best(xs), nfe


def bfs_prune(naive: Naive, n: int, temperature: float, checks: list[int]) -> tuple[np.ndarray, int]:
    """Zhang et al. (2505.23614): those whose rounded count is 0 are dropped."""
    xs, nfe = [naive.draw("start") for _ in range(n)], 0
    alphas = np.array([naive.abar(i) / naive.abar(i + 1) for i in range(naive.steps)])
    for i in range(naive.steps):
        nfe += len(xs)
        guesses = [naive.denoise(x, naive.times[i]) for x in xs]
        xs = [naive.down(x, i, i + 1) for x in xs]
        if i in checks:
            scores = np.array([naive.reward(guess) for guess in guesses])
            weights = softmax(temperature * alphas[i] / alphas.mean() * scores)
            xs = [x for x, weight in zip(xs, weights, strict=True) if round(len(xs) * weight) > 0]
    return naive.best(xs), nfe


def svdd(naive: Naive, children: int, every: int) -> tuple[np.ndarray, int]:
    """Li et al. (2408.08252), PM: the best of M children by the reward of their guess; the last step is plain."""
    x, nfe = naive.draw("start"), 0
    for i in range(naive.steps - 1):
        nfe += 1
        if i % every == 0:
            nfe += children - 1
            states = [naive.down(x, i, i + 1) for _ in range(children)]
            x = states[int(np.argmax([naive.value(state, naive.times[i + 1]) for state in states]))]
        else:
            x = naive.down(x, i, i + 1)
    return naive.best([naive.down(x, naive.steps - 1, naive.steps)]), nfe + 1


def beam(naive: Naive, beams: int, children: int, every: int) -> tuple[np.ndarray, int]:
    """Guo et al. (2502.11420): K children of each of A states; the best A of all."""
    xs, nfe = [naive.draw("start") for _ in range(beams)], beams
    for i in range(naive.steps - 1):
        if i % every == 0:
            states = [naive.down(x, i, i + 1) for _ in range(children) for x in xs]
            values = np.array([naive.value(state, naive.times[i + 1]) for state in states])
            xs = [states[k] for k in np.argsort(-values, kind="stable")[:beams]]
            nfe += beams * children
        else:
            xs = [naive.down(x, i, i + 1) for x in xs]
            nfe += beams
    return naive.best([naive.down(x, naive.steps - 1, naive.steps) for x in xs]), nfe


def systematic(weights: np.ndarray, naive: Naive) -> list[int]:
    points = (np.arange(len(weights)) + naive.draw("uniform")[0]) / len(weights)
    return [int(k) for k in np.searchsorted(np.cumsum(weights), points, side="right")]


def multinomial(weights: np.ndarray, naive: Naive) -> list[int]:
    """Inversion of sorted uniforms."""
    return [int(k) for k in np.searchsorted(np.cumsum(weights), np.sort(naive.draw("uniform")), side="right")]


def ssp(weights: np.ndarray, naive: Naive) -> list[int]:
    """Gerber, Chopin and Whiteley (2019), Algorithm 1: move mass between two fractions until one is 0 or 1."""
    expected = len(weights) * weights
    coins, i = naive.draw("uniform"), 0
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
    naive: Naive,
    particles: int,
    strength: float,
    potential: str,
    resampler: str,
    checks: list[int],
    ess: float,
    final: str,
) -> tuple[np.ndarray, int]:
    """Singhal et al. (2501.06848), Algorithm 1, with weights carried from one resampling to the next.

    A particle keeps its score, from which the next potential is computed, and the product of its potentials, by which
    the last step divides. `diff` begins at a reward of 0, `max` at minus infinity.
    """
    xs, nfe = [naive.draw("start") for _ in range(particles)], 0
    score = np.full(particles, -np.inf if potential == "max" else 0.0)
    log_product, log_weight = np.zeros(particles), np.zeros(particles)
    for i in range(naive.steps):
        nfe += distinct(xs)
        guesses = [naive.denoise(x, naive.times[i]) for x in xs]
        xs = [naive.down(x, i, i + 1) for x in xs]
        if i not in checks:
            continue
        rewards = np.array([naive.reward(guess) for guess in guesses])
        log_g, score = {
            "diff": lambda r, old: (strength * (r - old), r),
            "max": lambda r, old: (strength * np.maximum(r, old), np.maximum(r, old)),
            "add": lambda r, old: (strength * (r + old), r + old),
            "rt": lambda r, old: (strength * r, r),
        }[potential](rewards, score)
        log_product, log_weight = log_product + log_g, log_weight + log_g
        weights = np.exp(log_weight - logsumexp(log_weight))
        if 1 / (weights**2).sum() < ess * particles:
            survivors = RESAMPLERS[resampler](weights, naive)
            xs, score, log_product = [xs[k] for k in survivors], score[survivors], log_product[survivors]
            log_weight = np.zeros(particles)
    rewards = np.array([naive.reward(x) for x in xs])
    if final == "best":
        return xs[int(np.argmax(rewards))], nfe
    weights = softmax(log_weight + strength * rewards - log_product)
    return xs[int(np.searchsorted(np.cumsum(weights), naive.draw("uniform")[0], side="right"))], nfe


def treeg(naive: Naive, beams: int, proposals: int, rounds: int, scale: float) -> tuple[np.ndarray, int]:
    """Guo et al. (2502.11420), TreeG-SD: the best A of K proposals around each guess, N times, eps_hat with it."""
    xs = [naive.draw("start") for _ in range(beams)]
    for i in range(naive.steps - 1):
        t, s = naive.times[i], naive.times[i + 1]
        (alpha_t, sigma_t), (alpha_s, sigma_s) = naive.level(t), naive.level(s)
        tau = math.sqrt(1 - naive.abar(i))
        states = [(x, naive.denoise(x, t)) for x in xs]
        for _ in range(rounds):
            tries, draws = [], iter(naive.draw("normal").reshape(-1, 16))
            for _ in range(proposals):
                for x, guess in states:
                    proposal = guess + scale * tau / math.sqrt(1 + tau**2) * next(draws)
                    tries.append((x, proposal, naive.reward(proposal)))
            states = [(x, guess) for x, guess, _ in sorted(tries, key=lambda each: -each[2])[:beams]]
        std = naive.step_std(t, s, naive.eta)
        xs = []
        for x, guess in states:
            noise = naive.draw(f"step {t:g}") if std > 0 else 0.0
            eps = (x - alpha_t * guess) / sigma_t
            xs.append(alpha_s * guess + math.sqrt(sigma_s**2 - std**2) * eps + std * noise)
    return naive.best([naive.down(x, naive.steps - 1, naive.steps) for x in xs]), beams * naive.steps
