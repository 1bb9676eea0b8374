"""Rules that parameters of several searches share; `Search.check` applies them."""

from __future__ import annotations

from collections.abc import Sequence

from its.parameters import Rule


def _ascends(shares: Sequence[float]) -> bool:
    return len(shares) > 0 and list(shares) == sorted(set(shares)) and 0 <= shares[0] <= shares[-1] < 1


STEPS = Rule("it is steps (>= 1) or a share (< 1) above 0", lambda value: value > 0)
SHARE = Rule("it is a share, above 0 and at most 1", lambda value: 0 < value <= 1)
SHARES = Rule("it lists ascending shares of the sampling, 0 to below 1", _ascends)
