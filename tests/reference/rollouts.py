"""Methods that move in noise or in time, written from their papers. Each returns the chosen image and its NFE."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from scipy.special import erfinv
from scipy.stats import chi
from scipy.stats.qmc import Sobol

from tests.reference.naive import CLEAN, Naive


def random(naive: Naive, n: int) -> tuple[np.ndarray, int]:
    """Best-of-N."""
    return naive.best([naive.sample() for _ in range(n)]), n * naive.steps


def more_steps(naive: Naive, steps: int) -> tuple[np.ndarray, int]:
    """One sampling in another number of steps."""
    naive.space(steps)
    return naive.best([naive.sample()]), steps


def ses(naive: Naive, population: int, elites: int, generations: int) -> tuple[np.ndarray, int]:
    """arXiv:2602.03208 on an image so small that the low band is all of x_T: the cross-entropy method.

    A generation has mean and unbiased variance of the elites of all before; the base noise is never sampled.
    """
    base, archive = naive.draw("start"), []
    mean, variance = np.zeros_like(base), np.ones_like(base)
    for _ in range(generations):
        for draw in naive.draw("normal").reshape(population, -1):
            x = mean + np.sqrt(variance) * draw
            image = naive.down(x, 0, naive.steps)
            archive.append((naive.reward(image), x, image))
        archive.sort(key=lambda entry: -entry[0])
        best = np.stack([x for _, x, _ in archive[:elites]])
        mean, variance = best.mean(axis=0), best.var(axis=0, ddof=1) + 1e-7
    return archive[0][2], generations * population * naive.steps


def zero_order(naive: Naive, cosine: float, neighbors: int, rounds: int, pivot: str) -> tuple[np.ndarray, int]:
    """Ma et al. (2501.09732), section 3.2; angle and restart of tt-scale-flux.

    A neighbour has its pivot's step noise.
    """

    def restart() -> tuple[np.ndarray, list[np.ndarray]]:
        noises = (
            [naive.draw(f"step {time:g}") for time in naive.times[:-2]] if naive.eta else [np.zeros(16)] * naive.steps
        )
        return naive.draw("start"), [*noises, np.zeros(16)]

    def denoised(x: np.ndarray) -> np.ndarray:
        for i in range(naive.steps):
            x = naive.step(x, naive.times[i], naive.times[i + 1], steps[i])
        return x

    images, nfe, centre = [], 0, None
    for _ in range(rounds):
        if centre is None:
            centre, steps = restart()
            images.append(denoised(centre))
            best = naive.reward(images[-1])
            nfe += naive.steps
        norm = np.linalg.norm(centre)
        starts = []
        for _ in range(neighbors):
            z = naive.draw("move")
            w = z - (z @ centre) * centre / norm**2
            starts.append(cosine * centre + math.sqrt(1 - cosine**2) * norm * w / np.linalg.norm(w))
        generation = [denoised(x) for x in starts]
        rewards = [naive.reward(image) for image in generation]
        images += generation
        nfe += neighbors * naive.steps
        k = int(np.argmax(rewards))
        if rewards[k] > best or pivot == "paper":
            centre, best = starts[k], rewards[k]
        elif pivot == "peer":
            centre = None
    return images[int(np.argmax(naive.rewards))], nfe


def dfs(naive: Naive, threshold: float, depth: int, checks: range, backtracks: int) -> tuple[np.ndarray, int]:
    """Zhang et al. (2505.23614), maze code: the threshold falls as alpha rises; `scored` holds states by level."""
    alphas = np.array([naive.abar(i) / naive.abar(i + 1) for i in range(naive.steps)])
    scored: dict[int, list[tuple[float, np.ndarray]]] = {i: [] for i in checks}
    evaluated: list[np.ndarray] = []
    x, i = naive.draw("start"), 0
    while i < naive.steps:
        if not any(x is other for other in evaluated):
            evaluated.append(x)
        guess, x = naive.denoise(x, naive.times[i]), naive.down(x, i, i + 1)
        if i in checks:
            score = naive.reward(guess)
            scored[i].append((score, x))
            if -score > threshold / (alphas[i] / alphas.mean()):
                if backtracks:
                    backtracks -= 1
                    back = max(0, i - depth)
                    x = naive.renoise(x, naive.times[i + 1], naive.times[back]) if back else naive.draw("start")
                    i = back
                    continue
                x = max(scored[i], key=lambda entry: entry[0])[1]
        i += 1
    return naive.best([x]), len(evaluated)


def paths(
    naive: Naive, n: int, m: int, steps: int, sigma: float, forward: float, backward: float
) -> tuple[np.ndarray, int]:
    """Ma et al. (2501.09732), appendix A.3; spans are shares of the noisiest time."""
    top = naive.times[0]

    def descend(x: np.ndarray, levels: list[float]) -> np.ndarray:
        for t, s in pairwise(levels):
            x = naive.step(x, t, s)
        return x

    first = [time for time in naive.times if time > sigma * top] + [sigma * top]
    xs = [descend(naive.draw("start"), first) for _ in range(n)]
    nfe = n * (len(first) - 1)
    while sigma > 1e-9:
        high, low = (sigma + forward) * top, (sigma + forward - backward) * top
        end = low if low > 0 else CLEAN
        levels = [high + (max(low, 0.0) - high) * k / steps for k in range(steps)] + [end]
        upper = [naive.renoise(x, sigma * top, high) for _ in range(m) for x in xs]
        lower = [descend(x, levels) for x in upper]
        values = np.array([naive.value(x, end) for x in lower])
        xs = [lower[k] for k in np.argsort(-values, kind="stable")[:n]]
        nfe += n * m * (steps + (end != CLEAN))
        sigma = max(0.0, sigma + forward - backward)
    return naive.best(xs), nfe


def rbf(naive: Naive, nfe: int, pool: int) -> tuple[np.ndarray, int]:
    """Kim et al. (2503.19385): one child at a time; what a success leaves of the quota rolls over."""
    starts = [naive.draw("start") for _ in range(pool)]
    values = [naive.value(x, naive.times[0]) for x in starts]
    x, record, spent = starts[int(np.argmax(values))], max(values), pool
    quota = (nfe - pool) // (naive.steps - 1)
    allowed = 0
    for i in range(naive.steps - 1):
        last = i == naive.steps - 2
        allowed = nfe - spent if last else allowed + quota
        children: list[np.ndarray] = []
        scores: list[float] = []
        while allowed and (last or not scores or max(scores) <= record):
            children.append(naive.down(x, i, i + 1))
            scores.append(naive.value(children[-1], naive.times[i + 1]))
            allowed, spent = allowed - 1, spent + 1
        x, record = children[int(np.argmax(scores))], max(record, *scores)
    return naive.best([naive.down(x, naive.steps - 1, naive.steps)]), spent


def evosearch(
    naive: Naive, population: int, offspring: int, stops: list[int], mutation: float, subset: float
) -> tuple[np.ndarray, int]:
    """He et al. (2505.17618): a state's fitness is the reward of the image it led to; tournaments on subsets."""
    archive: list[tuple[int, float, np.ndarray]] = []
    images, nfe = [], 0

    def judge(xs: list[np.ndarray], i: int) -> None:
        nonlocal nfe
        states = []
        for k in range(i, naive.steps):
            states += [(k, n, x) for n, x in enumerate(xs) if k in stops and (k > i or not images)]
            xs = [naive.down(x, k, k + 1) for x in xs]
        nfe += len(xs) * (naive.steps - i)
        fitness = [naive.reward(x) for x in xs]
        images.extend(xs)
        archive.extend((k, fitness[n], x) for k, n, x in states)

    judge([naive.draw("start") for _ in range(population)], 0)
    for stop in stops:
        pool = [(fitness, x) for k, fitness, x in archive if k == stop]
        parents = []
        for _ in range(offspring):
            entrants = naive.draw("permutation")[: math.ceil(subset * len(pool))]
            parents.append(max((pool[k] for k in entrants), key=lambda entry: entry[0])[1])
        if stop == 0:
            mutants = [math.sqrt(1 - mutation**2) * x + mutation * naive.draw("move") for x in parents]
        else:
            t, s = naive.times[stop], naive.times[stop + 1]
            mutants = [x + naive.step_std(t, s, 1.0) * naive.draw(f"jitter {t:g}") for x in parents]
        judge(mutants, stop)
    return images[int(np.argmax(naive.rewards))], nfe


def eps_greedy(naive: Naive, radius: float, epsilon: float, candidates: int, rounds: int) -> tuple[np.ndarray, int]:
    """Ramesh and Mardani (2506.03164): K rounds of N candidates around the noise of every step; norms are kept."""
    coins = naive.draw("uniform")
    x, nfe = naive.draw("start"), naive.steps
    d = len(x)
    for i in range(naive.steps - 1):
        t, s = naive.times[i], naive.times[i + 1]
        pivot = naive.draw("noise")
        best = naive.value(naive.step(x, t, s, pivot), s)
        for k in range(rounds):
            first = (i * rounds + k) * candidates
            far = int(np.sum(coins[first : first + candidates] < epsilon))
            noises = [naive.draw("noise") for _ in range(far)]
            for _ in range(candidates - far):
                z = naive.draw("move")
                length = radius * math.sqrt(d) * chi.cdf(np.linalg.norm(z), d)
                y = pivot + length * z / np.linalg.norm(z)
                noises.append(y * np.linalg.norm(pivot) / np.linalg.norm(y))
            values = [naive.value(naive.step(x, t, s, z), s) for z in noises]
            nfe += candidates
            if max(values) > best:
                pivot, best = noises[int(np.argmax(values))], max(values)
        x = naive.step(x, t, s, pivot)
    return naive.best([naive.down(x, naive.steps - 1, naive.steps)]), nfe


def trs(naive: Naive, warmup: int, batch: int, regions: int, iterations: int) -> tuple[np.ndarray, int]:
    """arXiv:2603.14504: cubes around the best of all points, sides as TuRBO's; one step noise for all (here none)."""
    naive.draw("start")
    shift = [int(u * 2**30) for u in naive.draw("uniform")]
    sobol = Sobol(16, scramble=True, rng=np.random.default_rng(0), bits=30).integers(
        2**30, n=2 ** math.ceil(math.log2(warmup))
    )
    shifted = np.array([[a ^ b for a, b in zip(point.tolist(), shift, strict=True)] for point in sobol[:warmup]])
    points = [math.sqrt(2) * erfinv(2 * (cells + 0.5) / 2**30 - 1) for cells in shifted]
    images = [naive.down(x, 0, naive.steps) for x in points]
    side, won, lost = [0.8] * regions, [0] * regions, [0] * regions
    for image in images:
        naive.reward(image)
    for _ in range(iterations):
        ranks = np.argsort(-np.array(naive.rewards), kind="stable")[:regions]
        share = 0.1 + 0.8 * naive.draw("uniform")
        number = [batch // regions + (i < batch % regions) for i in range(regions)]
        coins, u = naive.draw("uniform").reshape(2, batch, 16)
        first, known = 0, list(naive.rewards)
        for i in range(regions):
            found = []
            for k in range(first, first + number[i]):
                moved = coins[k] < share[i]
                moved[np.argmin(coins[k])] = True
                points.append(points[ranks[i]] + np.where(moved, (u[k] - 0.5) * side[i], 0.0))
                images.append(naive.down(points[-1], 0, naive.steps))
                found.append(naive.reward(images[-1]))
            first += number[i]
            if not found:
                continue
            better = max(found) > known[ranks[i]]
            won[i], lost[i] = (won[i] + 1, 0) if better else (0, lost[i] + 1)
            if won[i] == 3:
                side[i], won[i] = min(1.5 * side[i], 2.4), 0
            if lost[i] == 3:
                side[i], lost[i] = (max(side[i] / 1.5, 0.05) if side[i] > 0.05 else 0.8), 0
    return images[int(np.argmax(naive.rewards))], len(images) * naive.steps
