"""A shard's problems with another choice among their candidates, as arrays of the same form as a run's own shard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from its.budget import LEDGER, OF_JUDGES, UNITS, Currency
from its.disk.store import Arrays
from its.engine import Outcome, Result
from its.engine.verdicts import Verdicts
from its.run import candidates, shards
from its.types import Condition, Problem


@dataclass(frozen=True)
class PooledShard:
    """The candidates of a shard's problems.

    Attributes:
        candidates, features: as stored.
        shard: the run's own.
    """

    indices: range
    candidates: Arrays
    features: Arrays
    shard: Arrays

    @cached_property
    def pixels(self) -> np.ndarray:
        """The candidates as a run delivers them, uint8 `[m, H, W, C]`."""
        return candidates.pixels(self.candidates)

    def counting(self, problem: int, cap: int, caps: Sequence[float], currency: Currency, search: str) -> np.ndarray:
        """Return the rows of a problem's candidates that count at a cap, both by their positions.

        Raises:
            ValueError: there is none.
        """
        rows = candidates.counting(self.candidates, problem, cap, caps[cap])
        if not len(rows):
            raise ValueError(
                f"image {self.indices[problem]} has no candidate within {caps[cap]} {UNITS[currency]}: {search} "
                "returned an image that it had not rewarded; nothing can be chosen among this run's candidates"
            )
        return rows

    def counts(self, caps: Sequence[float]) -> np.ndarray:
        """Return how many candidates of each problem count at each cap, int64 `[n, caps]`."""
        return np.array(
            [
                [len(candidates.counting(self.candidates, k, cap, most)) for cap, most in enumerate(caps)]
                for k in range(len(self.indices))
            ]
        )


def with_choice(
    part: PooledShard,
    picks: np.ndarray,
    rewards: np.ndarray,
    conditions: Sequence[Condition],
    verdicts: Sequence[Verdicts] | None = None,
    costs: np.ndarray | None = None,
) -> tuple[Arrays, Arrays]:
    """Return a shard of the candidates that were chosen, and their features; ledgers are the run's own.

    Args:
        picks: rows of the candidates, int64 `[n, caps]`.
        rewards: of every candidate, `[m]` or `[m, members]`.
        conditions: of each problem.
        verdicts: on each problem's candidates; None for the run's own.
        costs: what judges were asked for the choice, int64 `[n, caps, columns]`; None for what the run's own were.
    """
    # Pack them as a run's own results.
    ledgers, results = shards.ledger_of(part.shard), list[Result]()
    if costs is not None:
        ledgers[: len(costs), :, -len(OF_JUDGES) :] = costs
    for k, (index, condition) in enumerate(zip(part.indices, conditions, strict=True)):
        outcomes = tuple(
            Outcome(
                part.pixels[row],
                candidates.reward_of(rewards, row),
                dict(zip(LEDGER, ledgers[k, cap].tolist(), strict=True)),
                notes=candidates.notes_of(part.candidates, row),
            )
            for cap, row in enumerate(picks[k].tolist())
        )
        results.append(Result(Problem(index, condition), outcomes, verdicts=verdicts[k] if verdicts else {}))
    arrays = shards.pack(results)
    if verdicts is None:
        n = len(part.indices)
        arrays |= {key: part.shard[key][:n] for key in ("verdicts", "nan_rewards") if key in part.shard}

    # Take their features from those of the candidates that they are.
    row_of_image = np.empty(len(arrays["images"]), dtype=np.int64)
    row_of_image[arrays["pick"].ravel()] = picks.ravel()
    return arrays, {name: array[row_of_image] for name, array in part.features.items()}
