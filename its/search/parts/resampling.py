"""Resampling schemes: indices of particles, each repeated in proportion to its weight on average."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import exp, floor, inf, log

from its.particles.host_random import HostRandom


def normalised(logs: Sequence[float]) -> list[float]:
    """Return weights that sum to 1 from their logarithms; equal ones where all logarithms are minus infinity."""
    top = max(logs)
    weights = [1.0 if log == top else exp(log - top) for log in logs]
    total = sum(weights)
    return [weight / total for weight in weights]


def normalised_logs(logs: Sequence[float]) -> list[float]:
    """Return the logarithms of the weights that `normalised` gives, without underflow."""
    top = max(logs)
    if top == -inf:
        return [-log(len(logs))] * len(logs)
    total = top + log(sum(exp(each - top) for each in logs))
    return [each - total for each in logs]


def effective(weights: Sequence[float]) -> float:
    """Return the effective sample size, between 1 and the number of weights."""
    return sum(weights) ** 2 / sum(weight**2 for weight in weights)


def uneven(weights: Sequence[float], share: float) -> bool:
    """Return whether the effective sample size is below a share of the number of weights; 1 is any unevenness."""
    return len(set(weights)) > 1 and effective(weights) < share * len(weights)


def multinomial(weights: Sequence[float], random: HostRandom) -> list[int]:
    """Draw indices independently."""
    return sorted(random.choice(len(weights), len(weights), weights))


def systematic(weights: Sequence[float], random: HostRandom) -> list[int]:
    """Draw indices at equal strides along the cumulative weights, from one uniform offset."""
    [offset] = random.uniform(1)
    chosen, reached, k = [], weights[0], 0
    for j in range(len(weights)):
        while (j + offset) / len(weights) >= reached and k < len(weights) - 1:
            k += 1
            reached += weights[k]
        chosen.append(k)
    return chosen


def ssp(weights: Sequence[float], random: HostRandom) -> list[int]:
    """Draw floor or ceiling of N w copies of each (SSP; Gerber, Chopin and Whiteley 2019, arXiv:1708.02230).

    Two particles at a time trade their fractions until one of them is whole; on average nothing changes.
    """
    # Whole copies first, and the fractions that remain.
    n = len(weights)
    counts = [floor(n * weight) for weight in weights]
    parts = [n * weight - count for weight, count in zip(weights, counts, strict=True)]
    # One particle stays open and trades fractions with each of the others.
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
    # Rounding may leave the last one open.
    counts[open_] += n - sum(counts)
    return [k for k, count in enumerate(counts) for _ in range(count)]


RESAMPLERS: dict[str, Callable[[Sequence[float], HostRandom], list[int]]] = {
    "multinomial": multinomial,
    "systematic": systematic,
    "ssp": ssp,
}
