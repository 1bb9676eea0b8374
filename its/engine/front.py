"""Which finished images can be the result at some cap."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from its.particles.order import Rewarded, order

if TYPE_CHECKING:
    from its.engine.pool import Slot
    from its.engine.state import Value


class Candidate(NamedTuple):
    """A finished image.

    Attributes:
        start: the starting point it came straight down from: its number in the problem's sequence, or the row of a
            moved one; None if it did not.
    """

    reward: Rewarded
    value: Value
    start: int | Slot | None


class Front:
    """The images that are not dominated at some cap, and the rewards of all.

    One that another dominates, by being at least as good for every member and better for one, has a worse mean rank in
    whatever company, so its image is dropped. What is kept may lose the lead and win it back as others come, and is
    ranked among all. Where rewards are floats that is the best at every cap.

    Args:
        caps: ascending.
    """

    def __init__(self, caps: Sequence[float]) -> None:
        self._caps = caps
        self._rewards: list[tuple[int, Rewarded]] = []
        self._kept: list[tuple[int, int, Candidate]] = []

    def __len__(self) -> int:
        return len(self._kept)

    def enter(self, candidate: Candidate, clock: int) -> None:
        """Consider an image that counts at caps from `clock`."""
        since, turn, reward = bisect_left(self._caps, clock), len(self._rewards), candidate.reward
        self._rewards.append((since, reward))
        if since == len(self._caps) or any(k <= since and _covers(other.reward, reward) for k, _, other in self._kept):
            return
        self._kept = [
            (k, earlier, other)
            for k, earlier, other in self._kept
            if k < since or other.reward == reward or not _covers(reward, other.reward)
        ]
        self._kept.append((since, turn, candidate))

    def best(self, at: int) -> Candidate | None:
        """The best at the cap of that position, among all that count there; of equals, the first that entered."""
        turns = [turn for turn, (since, _) in enumerate(self._rewards) if since <= at]
        scores = dict(zip(turns, order([self._rewards[turn][1] for turn in turns]), strict=True))
        kept = [(scores[turn], -turn, candidate) for since, turn, candidate in self._kept if since <= at]
        return max(kept, key=lambda entry: entry[:2])[2] if kept else None


def _covers(one: Rewarded, other: Rewarded) -> bool:
    """Whether one reward is at least the other, for every member."""
    if isinstance(one, tuple) and isinstance(other, tuple):
        return all(a >= b for a, b in zip(one, other, strict=True))
    return one >= other  # type: ignore[operator]
