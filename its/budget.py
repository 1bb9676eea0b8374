"""Caps, and the ledger that says what an image really cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from its.parameters import fits

COLUMNS = ("nfe", "nfe_backward", "verifier_calls", "decoder_calls", "guide_calls", "decoder_backward")
"""Columns of the ledger, each a count per image; a call of the guide is a forward and a backward pass of it."""

JUDGE_CALLS, JUDGE_TOKENS = OF_JUDGES = ("judge_calls", "judge_tokens")
"""Columns that an image has beside these if a judge elsewhere was asked: requests, and tokens as the host counts."""

LEDGER = (*COLUMNS, *OF_JUDGES)
"""All columns of the ledger."""

Currency = Literal["nfe", "verifier_calls"]
"""The column of the ledger that caps are in."""

UNITS: dict[Currency, str] = {"nfe": "NFE", "verifier_calls": "verifier calls"}
"""The currencies in words."""

CAP_COLUMNS: dict[Currency, str] = {currency: f"{currency}_cap" for currency in UNITS}
"""The column of a curve that holds the caps, by their currency."""

CAP_HEADERS: dict[Currency, str] = {"nfe": "NFE cap", "verifier_calls": "verifier-call cap"}
"""The same for tables and axes."""

KINDS = ("nfe", "samplings", "verifier_calls")
"""The kinds of cap, of which a budget has one."""


class Cap(NamedTuple):
    """A cap as a row of a curve has it; `value` is None where there was none."""

    value: float | None
    currency: Currency = "nfe"

    def __str__(self) -> str:
        return "no cap" if self.value is None else f"{UNITS[self.currency]} {self.value:g}"

    @property
    def order(self) -> tuple[Currency, float]:
        """The key that caps are sorted by: ascending in each currency, no cap comes last."""
        return self.currency, math.inf if self.value is None else self.value


def cap_of(row: Mapping[str, Any]) -> Cap:
    """Return the cap of a row of a curve.

    Raises:
        KeyError: it has none of the columns that caps stand in.
    """
    by_calls = CAP_COLUMNS["verifier_calls"] in row
    currency: Currency = "verifier_calls" if by_calls else "nfe"
    return Cap(row[CAP_COLUMNS[currency]], currency)


class OutOfBudget(Exception):
    """Raised at the `yield` that an image can no longer pay for."""


@dataclass(frozen=True)
class Budget:
    """Caps per image, in NFE (one network forward for one row) or in verifier calls.

    Attributes:
        nfe: ascending caps.
        samplings: the same as multiples of one plain sampling.
        verifier_calls: ascending caps in rewards that the search asks for, of images and of guesses. At most one of the
            three is given; with none (`budget=natural`) a method runs at its own sizes and its cost is recorded.
    """

    nfe: Sequence[int] | None = None
    samplings: Sequence[int] | None = None
    verifier_calls: Sequence[int] | None = None

    def __post_init__(self) -> None:
        kinds = self._given
        if len(kinds) > 1:
            names = " and ".join(f"budget.{kind}" for kind in kinds)
            raise ValueError(f"{names} are both given; keep one, set the other to null")
        for kind, caps in kinds.items():
            name = f"budget.{kind}"
            if not fits(caps, Sequence[int]) or not caps or caps[0] <= 0 or list(caps) != sorted(set(caps)):
                raise ValueError(
                    f"{name} is {caps!r}; it is an ascending list of whole numbers above 0, for example {name}=[1,2,4]"
                )

    @property
    def _given(self) -> dict[str, Sequence[int]]:
        return {kind: caps for kind in KINDS if (caps := getattr(self, kind)) is not None}

    @property
    def natural(self) -> bool:
        return not self._given

    @property
    def key(self) -> str:
        """The key of a configuration that its caps are given by."""
        return f"budget.{next(iter(self._given), 'nfe')}"

    @property
    def currency(self) -> Currency:
        return "nfe" if self.verifier_calls is None else "verifier_calls"

    def caps(self, sampling: int) -> tuple[float, ...]:
        """Return the caps in their currency, given the NFE of one plain sampling; infinity for `budget=natural`."""
        if self.samplings is not None:
            return tuple(sampling * n for n in self.samplings)
        return tuple(next(iter(self._given.values()), (math.inf,)))


@dataclass
class Ledger:
    """The charges of one image, in the order in which its search asked.

    The order is the image's own clock: an item is paid to its end before the next, whatever the
    engine runs first. So a cap is a point on that clock, and every smaller cap can be read off.

    Attributes:
        currency: what cap and clock are in.
    """

    cap: float = math.inf
    currency: Currency = "nfe"
    spent: int = 0
    closed: bool = False
    idle: int = 0
    """NFE of the dearest item of each request since the latest verifier call that was paid for, added up; 0 where the
    clock is NFE."""
    gate: int = 0
    """Clock after the first item of the latest request that cost anything: the least cap under which
    what is asked for free after that request would have been asked for at all."""
    _paid: list[int] = field(default_factory=lambda: [0])
    _calls: list[tuple[int, str, int]] = field(default_factory=list)

    @property
    def left(self) -> float:
        return self.cap - self.spent

    def charge(self, costs: Sequence[int], nfe: Sequence[int] = (), *, prefix: bool) -> list[int]:
        """Pay for a request's items in order; return the least cap under which each would be granted.

        Args:
            costs: of each item, in the ledger's currency.
            nfe: of each item, where costs are something else. What takes NFE is not free then, even at no cost: a
                closed image gets none, and it counts from the clock at which all before it is granted.
            prefix: grant the longest affordable prefix and close the image (anytime searches);
                otherwise all or nothing.

        Raises:
            OutOfBudget: nothing can be granted.
            ValueError: under `prefix`, something free is listed before something that costs. Whether a
                closed image would still be granted it cannot be told from a run with a higher cap.
        """
        # Free requests pass, and order matters where a prefix is granted.
        if not (any(costs) or any(nfe)):
            return [self.gate] * len(costs)
        if prefix and not (costs[0] or nfe):
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
        if nfe:
            self.idle = 0 if clocks[-1] > self.spent else self.idle + max(nfe)
            self._calls += [(clock, "nfe", n) for clock, n in zip(clocks, nfe, strict=False)]
        self.gate, self.spent = clocks[0], clocks[-1]
        return clocks

    def call(self, column: str, clock: int, times: int = 1) -> None:
        """Record calls, other than what the clock counts, that count at caps from `clock`."""
        self._calls.append((clock, column, times))

    def at(self, cap: float) -> dict[str, int]:
        """Return the ledger's columns as a run with this cap would have them; those of judges where one was asked."""
        totals = dict.fromkeys(COLUMNS, 0)
        if self.currency == "nfe":
            totals["nfe"] = max(clock for clock in self._paid if clock <= cap)
        for clock, column, times in self._calls:
            if clock <= cap:
                totals[column] = totals.get(column, 0) + times
        return totals
