"""The results that an engine yields: for each problem one image at every cap, and its candidates if they are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from its.engine.verdicts import NAN, Verdict
from its.particles.order import Rewarded
from its.particles.particle import Origin
from its.types import Problem


@dataclass(frozen=True)
class Outcome:
    """One image at one cap.

    Attributes:
        image: uint8 `[H, W, C]`.
        reward: of the select verifier, by member if that is relative; NaN if the search never scored it.
        ledger: counts by column of `its.budget.COLUMNS`, of all that was spent within the cap.
        start: under a deterministic sampler, the starting point that the image came straight down from: its number in
            the problem's sequence, or a moved one's row `[*shape]`; else None.
        notes: numbers that the search noted of it, by name.
    """

    image: np.ndarray
    reward: Rewarded
    ledger: Mapping[str, int]
    start: int | np.ndarray | None = None
    notes: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A clean particle that a search had rewarded by the select verifier.

    Attributes:
        cap: position of the cap whose own run made it; -1 where one run serves all caps.
        clock: least cap at which it counts.
        noise_key, branch_key, origin: of its particle; together they tell it from every other of its image.
        reward: of the select verifier; a tuple of components if that is relative.
        notes: numbers that the search noted of it, by name.
        image: `[C, H, W]` in about [-1, 1], in the state's dtype: the very numbers that the verifier was given.
    """

    cap: int
    clock: int
    noise_key: int
    branch_key: int
    origin: Origin | None
    reward: Rewarded
    notes: Mapping[str, float]
    image: np.ndarray


@dataclass(frozen=True)
class Result:
    """A finished problem.

    Attributes:
        outcomes: one for each cap; empty if the image failed.
        failure: what went wrong with it.
        verdicts: number of rewards of each role and kind.
        candidates: with `keep_candidates` every candidate, in the order in which the search rewarded them; those of a
            planned search one cap after the other.
    """

    problem: Problem
    outcomes: tuple[Outcome, ...]
    failure: str | None = None
    verdicts: Mapping[Verdict, int] = field(default_factory=dict)
    candidates: tuple[Candidate, ...] = ()

    @property
    def nan_rewards(self) -> int:
        """Return the number of rewards that were NaN, of members too, and counted as minus infinity."""
        return sum(n for (_, kind), n in self.verdicts.items() if kind == NAN)
