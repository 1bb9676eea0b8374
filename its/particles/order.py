"""The order of rewards, also of those of relative verifiers, which only compare within one list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import numpy as np


class Components(tuple[float, ...]):
    """The rewards of one image by the members of a relative verifier; only `order` compares them."""

    __slots__ = ()

    def _refuse(self, other: object) -> NoReturn:
        raise TypeError(
            "rewards of a relative verifier have no order of their own; compare them with image.order(rewards)"
        )

    __lt__ = __le__ = __gt__ = __ge__ = _refuse


Rewarded = float | Components


def order(rewards: Sequence[Rewarded]) -> list[float]:
    """Return numbers that compare the rewards *of this list*, higher is better.

    Floats are their own order. Components give minus the mean of the ranks that the members assign, 1 being the best,
    tied ones sharing the mean of theirs (the ensemble of Ma et al. 2025, arXiv:2501.09732).
    """
    if not rewards or not isinstance(rewards[0], tuple):
        return [float(reward) for reward in rewards]  # type: ignore[arg-type]
    members = np.array(rewards, dtype=np.float64).T
    below = np.sum(
        [np.searchsorted(np.sort(member), member, side) for member in members for side in ("left", "right")], axis=0
    )
    return [float(k) / (2 * len(members)) - len(rewards) - 0.5 for k in below]
