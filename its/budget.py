"""Caps, and the ledger that says what an image really cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from its.parameters import fits

COLUMNS = ("nfe", "nfe_backward", "verifier_calls", "decoder_calls", "guide_calls")
"""Columns of the ledger, each a count per image; a call of the guide is a forward and a backward pass of it."""


class OutOfBudget(Exception):
    """Raised at the `yield` that an image can no longer pay for."""


@dataclass(frozen=True)
class Budget:
    """Caps per image, in NFE: one network forward for one row.

    Attributes:
        nfe: ascending caps.
        samplings: the same as multiples of one plain sampling. At most one of the two is given;
            with neither (`budget=natural`) a method runs at its own sizes and its cost is recorded.
    """

    nfe: Sequence[int] | None = None
    samplings: Sequence[int] | None = None

    def __post_init__(self) -> None:
        if self.nfe is not None and self.samplings is not None:
            raise ValueError("budget.nfe and budget.samplings are both given; keep one, set the other to null")
        caps = self.nfe if self.nfe is not None else self.samplings
        if caps is None:
            return
        name = "budget.nfe" if self.nfe is not None else "budget.samplings"
        if not fits(caps, Sequence[int]) or not caps or caps[0] <= 0 or list(caps) != sorted(set(caps)):
            raise ValueError(
                f"{name} is {caps!r}; it is an ascending list of whole numbers above 0, for example {name}=[1,2,4]"
            )

    @property
    def natural(self) -> bool:
        return self.nfe is None and self.samplings is None

    def caps(self, sampling: int) -> tuple[float, ...]:
        """Return the caps in NFE, given the NFE of one plain sampling; infinity for `budget=natural`."""
        if self.samplings is not None:
            return tuple(sampling * n for n in self.samplings)
        return tuple(self.nfe) if self.nfe is not None else (math.inf,)


@dataclass
class Ledger:
    """The charges of one image, in the order in which its search asked.

    The order is the image's own clock: an item is paid to its end before the next, whatever the
    engine runs first. So a cap is a point on that clock, and every smaller cap can be read off.
    """

    cap: float = math.inf
    spent: int = 0
    closed: bool = False
    gate: int = 0
    """Clock after the first item of the latest request that cost anything: the least cap under which
    what is asked for free after that request would have been asked for at all."""
    _paid: list[int] = field(default_factory=lambda: [0])
    _calls: list[tuple[int, str, int]] = field(default_factory=list)

    @property
    def left(self) -> float:
        return self.cap - self.spent

    def charge(self, costs: Sequence[int], *, prefix: bool) -> list[int]:
        """Pay for a request's items in order; return the least cap under which each would be granted.

        Args:
            costs: NFE of each item.
            prefix: grant the longest affordable prefix and close the image (anytime searches);
                otherwise all or nothing.

        Raises:
            OutOfBudget: nothing can be granted.
            ValueError: under `prefix`, something free is listed before something that costs. Whether a
                closed image would still be granted it cannot be told from a run with a higher cap.
        """
        # Free requests pass, and order matters where a prefix is granted.
        if not any(costs):
            return [self.gate] * len(costs)
        if prefix and not costs[0]:
            raise ValueError(
                "an anytime search listed something free before something that costs; "
                "ask for what is free in a request of its own"
            )
        if self.closed or (not prefix and sum(costs) > self.left):
            raise OutOfBudget
        # Grant the longest affordable prefix; a planned search's is all of it.
        clocks = []
        spent = self.spent
        for cost in costs:
            spent += cost
            if spent > self.cap:
                self.closed = True
                break
            clocks.append(spent)
        if not clocks:
            raise OutOfBudget
        # Enter what was granted.
        self._paid += clocks
        self.gate, self.spent = clocks[0], clocks[-1]
        return clocks

    def call(self, column: str, clock: int, times: int = 1) -> None:
        """Record calls, other than forwards of the network, that count at caps from `clock`."""
        self._calls.append((clock, column, times))

    def at(self, cap: float) -> dict[str, int]:
        """Return the ledger's columns as a run with this cap would have them."""
        totals = dict.fromkeys(COLUMNS, 0)
        totals["nfe"] = max(clock for clock in self._paid if clock <= cap)
        for clock, column, times in self._calls:
            if clock <= cap:
                totals[column] += times
        return totals
