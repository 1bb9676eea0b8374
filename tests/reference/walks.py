"""Methods that move in noise or in time, written from their papers. Each returns the chosen image and its NFE."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from scipy.stats import chi

from tests.reference.naive import CLEAN, Naive


def zero_order(one: Naive, cosine: float, neighbors: int, rounds: int, pivot: str) -> tuple[np.ndarray, int]:
    """Ma et al. (2501.09732), section 3.2; angle and restart of tt-scale-flux.

    A neighbour has its pivot's step noise.
    """

    def restart() -> tuple[np.ndarray, list[np.ndarray]]:
        noises = [one.draw(f"step {time:g}") for time in one.times[:-2]] if one.eta else [np.zeros(16)] * one.steps
        return one.draw("start"), [*noises, np.zeros(16)]

    def denoised(x: np.ndarray) -> np.ndarray:
        for i in range(one.steps):
            x = one.step(x, one.times[i], one.times[i + 1], steps[i])
        return x

    images, nfe, centre = [], 0, None
    for _ in range(rounds):
        if centre is None:
            centre, steps = restart()
            images.append(denoised(centre))
            best = one.reward(images[-1])
            nfe += one.steps
        norm = np.linalg.norm(centre)
        tried = []
        for _ in range(neighbors):
            z = one.draw("move")
            w = z - (z @ centre) * centre / norm**2
            tried.append(cosine * centre + math.sqrt(1 - cosine**2) * norm * w / np.linalg.norm(w))
        made = [denoised(x) for x in tried]
        rewards = [one.reward(image) for image in made]
        images += made
        nfe += neighbors * one.steps
        k = int(np.argmax(rewards))
        if rewards[k] > best or pivot == "paper":
            centre, best = tried[k], rewards[k]
        elif pivot == "peer":
            centre = None
    return images[int(np.argmax(one.rewards))], nfe


def dfs(one: Naive, threshold: float, depth: int, checks: range, backtracks: int) -> tuple[np.ndarray, int]:
    """Zhang et al. (2505.23614), maze code: the threshold falls as alpha rises; `found` holds states by level."""
    alphas = np.array([one.abar(i) / one.abar(i + 1) for i in range(one.steps)])
    found: dict[int, list[tuple[float, np.ndarray]]] = {i: [] for i in checks}
    evaluated: list[np.ndarray] = []
    x, i = one.draw("start"), 0
    while i < one.steps:
        if not any(x is other for other in evaluated):
            evaluated.append(x)
        guess, x = one.denoise(x, one.times[i]), one.down(x, i, i + 1)
        if i in checks:
            score = one.reward(guess)
            found[i].append((score, x))
            if -score > threshold / (alphas[i] / alphas.mean()):
                if backtracks:
                    backtracks -= 1
                    back = max(0, i - depth)
                    x = one.renoise(x, one.times[i + 1], one.times[back]) if back else one.draw("start")
                    i = back
                    continue
                x = max(found[i], key=lambda entry: entry[0])[1]
        i += 1
    return one.best([x]), len(evaluated)


def paths(
    one: Naive, n: int, m: int, steps: int, sigma: float, forward: float, backward: float
) -> tuple[np.ndarray, int]:
    """Ma et al. (2501.09732), appendix A.3; spans are shares of the noisiest time."""
    top = one.times[0]

    def descend(x: np.ndarray, levels: list[float]) -> np.ndarray:
        for t, s in pairwise(levels):
            x = one.step(x, t, s)
        return x

    first = [time for time in one.times if time > sigma * top] + [sigma * top]
    xs = [descend(one.draw("start"), first) for _ in range(n)]
    nfe = n * (len(first) - 1)
    while sigma > 1e-9:
        high, low = (sigma + forward) * top, (sigma + forward - backward) * top
        end = low if low > 0 else CLEAN
        levels = [high + (max(low, 0.0) - high) * k / steps for k in range(steps)] + [end]
        noised = [one.renoise(x, sigma * top, high) for _ in range(m) for x in xs]
        born = [descend(x, levels) for x in noised]
        values = np.array([one.value(x, end) for x in born])
        xs = [born[k] for k in np.argsort(-values, kind="stable")[:n]]
        nfe += n * m * (steps + (end != CLEAN))
        sigma = max(0.0, sigma + forward - backward)
    return one.best(xs), nfe


def rbf(one: Naive, nfe: int, pool: int) -> tuple[np.ndarray, int]:
    """Kim et al. (2503.19385): one child at a time; what a success leaves of the quota rolls over."""
    starts = [one.draw("start") for _ in range(pool)]
    values = [one.value(x, one.times[0]) for x in starts]
    x, record, spent = starts[int(np.argmax(values))], max(values), pool
    quota = (nfe - pool) // (one.steps - 1)
    allowed = 0
    for i in range(one.steps - 1):
        last = i == one.steps - 2
        allowed = nfe - spent if last else allowed + quota
        children: list[np.ndarray] = []
        scores: list[float] = []
        while allowed and (last or not scores or max(scores) <= record):
            children.append(one.down(x, i, i + 1))
            scores.append(one.value(children[-1], one.times[i + 1]))
            allowed, spent = allowed - 1, spent + 1
        x, record = children[int(np.argmax(scores))], max(record, *scores)
    return one.best([one.down(x, one.steps - 1, one.steps)]), spent


def evosearch(
    one: Naive, population: int, offspring: int, stops: list[int], mutation: float, subset: float
) -> tuple[np.ndarray, int]:
    """He et al. (2505.17618): a state's fitness is the reward of the image it led to; tournaments on subsets."""
    archive: list[tuple[int, float, np.ndarray]] = []
    images, nfe = [], 0

    def judge(xs: list[np.ndarray], i: int) -> None:
        nonlocal nfe
        passed = []
        for k in range(i, one.steps):
            passed += [(k, n, x) for n, x in enumerate(xs) if k in stops and (k > i or not images)]
            xs = [one.down(x, k, k + 1) for x in xs]
        nfe += len(xs) * (one.steps - i)
        fitness = [one.reward(x) for x in xs]
        images.extend(xs)
        archive.extend((k, fitness[n], x) for k, n, x in passed)

    judge([one.draw("start") for _ in range(population)], 0)
    for stop in stops:
        pool = [(fitness, x) for k, fitness, x in archive if k == stop]
        parents = []
        for _ in range(offspring):
            drawn = one.draw("permutation")[: math.ceil(subset * len(pool))]
            parents.append(max((pool[k] for k in drawn), key=lambda entry: entry[0])[1])
        if stop == 0:
            mutants = [math.sqrt(1 - mutation**2) * x + mutation * one.draw("move") for x in parents]
        else:
            t, s = one.times[stop], one.times[stop + 1]
            mutants = [x + one.step_std(t, s, 1.0) * one.draw(f"jitter {t:g}") for x in parents]
        judge(mutants, stop)
    return images[int(np.argmax(one.rewards))], nfe


def eps_greedy(one: Naive, radius: float, epsilon: float, candidates: int, rounds: int) -> tuple[np.ndarray, int]:
    """Ramesh and Mardani (2506.03164): K rounds of N candidates around the noise of every step; norms are kept."""
    coins = one.draw("uniform")
    x, nfe = one.draw("start"), one.steps
    d = len(x)
    for i in range(one.steps - 1):
        t, s = one.times[i], one.times[i + 1]
        pivot = one.draw("noise")
        best = one.value(one.step(x, t, s, pivot), s)
        for k in range(rounds):
            first = (i * rounds + k) * candidates
            far = int(np.sum(coins[first : first + candidates] < epsilon))
            tried = [one.draw("noise") for _ in range(far)]
            for _ in range(candidates - far):
                z = one.draw("move")
                length = radius * math.sqrt(d) * chi.cdf(np.linalg.norm(z), d)
                y = pivot + length * z / np.linalg.norm(z)
                tried.append(y * np.linalg.norm(pivot) / np.linalg.norm(y))
            values = [one.value(one.step(x, t, s, z), s) for z in tried]
            nfe += candidates
            if max(values) > best:
                pivot, best = tried[int(np.argmax(values))], max(values)
        x = one.step(x, t, s, pivot)
    return one.best([one.down(x, one.steps - 1, one.steps)]), nfe
