"""Searches of trees, written from their papers. Each returns the chosen image and its NFE."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from scipy.special import logsumexp, softmax

from tests.reference.naive import Naive

Place = tuple[int, ...]
"""A node of the tree, as the numbers of the children on the way to it; the dummy root is empty."""


def dts(
    naive: Naive, rollouts: int, every: int, width: float, growth: float, strength: float | None, greedy: bool
) -> tuple[np.ndarray, int]:
    """Jain et al. (2506.20701), Algorithm 1, every value anew at every use; where `strength` is None, it is ours."""
    stops = [*range(0, naive.steps - 1, every), naive.steps]
    states: dict[Place, np.ndarray] = {}
    children: dict[Place, list[Place]] = defaultdict(list)
    visits: dict[Place, int] = {(): 1}
    rewards: dict[Place, float] = {}
    nfe = 0

    def scale() -> float:
        first = list(rewards.values())[:10]
        return strength or (1 / np.std(first) if len(set(first)) > 1 else 1.0)

    def value(place: Place) -> float:
        if place in rewards:
            return rewards[place]
        return logsumexp([scale() * value(child) for child in children[place]], b=1 / len(children[place])) / scale()

    while len(rewards) < rollouts:
        place: Place = ()
        walk = [place]
        while place not in rewards and len(children[place]) >= width * visits[place] ** growth:
            values = np.array([value(child) for child in children[place]])
            shares = np.cumsum(softmax(scale() * values))
            k = np.argmax(values) if greedy else np.searchsorted(shares, naive.draw("uniform")[0], side="right")
            place = children[place][k]
            walk.append(place)
        while place not in rewards:
            child = (*place, len(children[place]))
            if place:
                i, j = stops[len(place) - 1], stops[len(place)]
                nfe += j - i - bool(children[place])
                states[child] = naive.down(states[place], i, j)
            else:
                states[child] = naive.draw("start")
            children[place].append(child)
            place = child
            visits[place] = 1
            walk.append(place)
            if len(place) == len(stops):
                rewards[place] = naive.reward(states[place])
        for node in walk:
            visits[node] += 1
    return states[max(rewards, key=lambda node: rewards[node])], nfe
