"""How particles are drawn by weight. No tensors: weights are floats, the answer is a list of indices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import exp, floor

from its.particles.host_random import HostRandom


def normalised(logs: Sequence[float]) -> list[float]:
    """Weights that sum to 1 from their logarithms; where all are minus infinity, equal ones."""
    top = max(logs)
    weights = [1.0 if log == top else exp(log - top) for log in logs]
    return [weight / sum(weights) for weight in weights]


def effective(weights: Sequence[float]) -> float:
    """Effective sample size: from 1 to their number."""
    return sum(weights) ** 2 / sum(weight**2 for weight in weights)


def multinomial(weights: Sequence[float], random: HostRandom) -> list[int]:
    """Independent draws."""
    return sorted(random.choice(len(weights), len(weights), weights))


def systematic(weights: Sequence[float], random: HostRandom) -> list[int]:
    """One uniform number, and from it equal strides along the cumulative weights."""
    [offset] = random.uniform(1)
    chosen, reached, k = [], weights[0], 0
    for j in range(len(weights)):
        while (j + offset) / len(weights) >= reached and k < len(weights) - 1:
            k += 1
            reached += weights[k]
        chosen.append(k)
    return chosen


def ssp(weights: Sequence[float], random: HostRandom) -> list[int]:
    """Srinivasan sampling process (Gerber, Chopin and Whiteley 2019, arXiv:1708.02230): floor or ceiling of N w.

    Two particles at a time trade their fractions until one of them is whole; on average nothing changes.
    """
    n = len(weights)
    counts = [floor(n * weight) for weight in weights]
    parts = [n * weight - count for weight, count in zip(weights, counts, strict=True)]
    open_ = 0
    for k, coin in enumerate(random.uniform(n - 1), start=1):
        a, b = parts[open_], parts[k]
        up, down = min(1 - a, b), min(a, 1 - b)
        if coin * (up + down) < down:
            gainer, loser, share = open_, k, up
        else:
            gainer, loser, share = k, open_, down
        parts[gainer] += share
        parts[loser] -= share
        full = parts[gainer] >= 1 - 1e-12
        counts[gainer] += full
        open_ = loser if full else gainer
    counts[open_] += n - sum(counts)
    return [k for k, count in enumerate(counts) for _ in range(count)]


RESAMPLERS: dict[str, Callable[[Sequence[float], HostRandom], list[int]]] = {
    "multinomial": multinomial,
    "systematic": systematic,
    "ssp": ssp,
}
