"""The Pareto front of an image's rewards: all that can be the result at some cap."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

from its.particles.order import Rewarded, order


class HasReward(Protocol):
    """An entry of a front."""

    @property
    def reward(self) -> Rewarded:
        """Return the reward that it is compared by."""
        ...


Entry = TypeVar("Entry", bound=HasReward)


class ParetoFront(Generic[Entry]):
    """The entries that are not dominated at some cap, and the rewards of all.

    An entry that another dominates, by being at least as good for every member and better for one, has a worse mean
    rank in whatever company, so it is dropped. The others may lose the lead and win it back as more come, and are
    ranked among all. Where rewards are floats the front is the best entry at every cap.

    Args:
        caps: ascending.
    """

    def __init__(self, caps: Sequence[float]) -> None:
        self._caps = caps
        self._rewards: list[tuple[int, Rewarded]] = []
        self._front: list[tuple[int, int, Entry]] = []

    def __len__(self) -> int:
        return len(self._front)

    def enter(self, entry: Entry, clock: int) -> None:
        """Consider an entry that counts at caps from `clock`."""
        since, turn, reward = bisect_left(self._caps, clock), len(self._rewards), entry.reward
        self._rewards.append((since, reward))
        if since == len(self._caps) or any(k <= since and _covers(other.reward, reward) for k, _, other in self._front):
            return
        self._front = [
            (k, earlier, other)
            for k, earlier, other in self._front
            if k < since or other.reward == reward or not _covers(reward, other.reward)
        ]
        self._front.append((since, turn, entry))

    def best(self, at: int) -> Entry | None:
        """Return the best at the cap of that position, among all that count there; of equals, the first."""
        turns = [turn for turn, (since, _) in enumerate(self._rewards) if since <= at]
        scores = dict(zip(turns, order([self._rewards[turn][1] for turn in turns]), strict=True))
        ranked = [(scores[turn], -turn, entry) for since, turn, entry in self._front if since <= at]
        return max(ranked, key=lambda each: each[:2])[2] if ranked else None


def _covers(a: Rewarded, b: Rewarded) -> bool:
    """Return whether `a` is at least `b`, for every member."""
    if isinstance(a, tuple) and isinstance(b, tuple):
        return all(x >= y for x, y in zip(a, b, strict=True))
    return a >= b  # type: ignore[operator]
