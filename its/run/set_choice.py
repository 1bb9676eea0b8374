"""The choice of a set among candidates: image after image, so that FID of those chosen so far is lowest.

This is the FID oracle of Ma et al. 2025 (arXiv:2501.09732, sec. 3.1), whose order and update the paper leaves open.
Here the order is fixed by the seed alone, the update is exact, and every cap has a set of its own. The set begins
empty: with one image the covariance is zero, so that the first is the candidate nearest the reference's mean, and
nothing but chosen images ever counts. Of equal candidates the earliest is taken.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from its.budget import Currency
from its.metric.features import Moments
from its.metric.fid import Fid
from its.metric.reference_source import refusal
from its.metric.running_fid import RunningFid
from its.particles.keys import fold
from its.run.chosen import PooledShard
from its.run.instruments import Instruments
from its.run.spool import Place, Spool

log = logging.getLogger(__name__)


def check_reference(verifier: str, instruments: Instruments) -> None:
    """Refuse a reference, or a network, by which there is no FID.

    Args:
        verifier: the oracle's name.

    Raises:
        ValueError: naming what is lacking.
    """
    if reason := refusal(Fid(), instruments.reference):
        raise ValueError(f"verifier={verifier} {reason}, or choose another verifier")


def order_of(seed: int, problems: int) -> list[int]:
    """Return the problems in the order in which they are chosen for, which the seed alone decides.

    Two problems come one after the other in the same way, however many there are.
    """
    keys = fold(np.zeros(problems, dtype=np.uint64), seed, np.arange(problems, dtype=np.uint64))
    return np.argsort(keys, kind="stable").tolist()


class Pool(NamedTuple):
    """The candidates of one problem: where their features lie, and at each cap the rows of those that count."""

    first: int
    features: Place
    counting: list[np.ndarray]


@dataclass(frozen=True)
class SetChoice:
    """The reference that a set is chosen by, and the caps and the order in which it is.

    Attributes:
        caps: ascending. currency: that they are in.
        search: that found the candidates, for messages.
        seed: of the order.
        device: of the arithmetic.
        folder: in which features lie while they are chosen by; nothing is left there.
    """

    reference: Moments
    caps: Sequence[float]
    currency: Currency
    search: str
    seed: int
    device: str
    folder: Path

    def picks(self, parts: Iterable[PooledShard]) -> dict[range, np.ndarray]:
        """Return the rows of the candidates that are chosen of each shard, int64 `[n, caps]`.

        Args:
            parts: shards in order, each looked at once.
        """
        # Put the features aside.
        spool, pools, ranges = Spool(self.folder), list[Pool](), list[range]()
        for part in parts:
            ranges.append(part.indices)
            place = spool.put(part.features["features"])
            for k in range(len(part.indices)):
                first, last = part.candidates["offset"][k : k + 2].tolist()
                counting = [
                    part.counting(k, cap, self.caps, self.currency, self.search) for cap in range(len(self.caps))
                ]
                pools.append(Pool(first, place.rows(first, last - first), counting))

        # Choose at every cap; the same candidates at a further cap give the same set.
        columns, earlier = list[np.ndarray](), dict[bytes, np.ndarray]()
        for cap in range(len(self.caps)):
            key = b"|".join(pool.counting[cap].tobytes() for pool in pools)
            if key not in earlier:
                earlier[key] = self._chosen(spool, pools, cap)
            columns.append(earlier[key])
        rows = np.stack(columns, axis=1)
        starts = np.cumsum([0, *map(len, ranges)])
        return {indices: rows[start : start + len(indices)] for indices, start in zip(ranges, starts, strict=False)}

    def _chosen(self, spool: Spool, pools: Sequence[Pool], cap: int) -> np.ndarray:
        """Return the row of the candidate of each problem, int64 `[n]`."""
        rows = [pool.counting[cap] for pool in pools]
        chosen = np.array([of_problem[0] for of_problem in rows])
        if max(map(len, rows)) == 1:
            return chosen

        # One problem after the other, in the seed's order.
        began, fid, running = time.perf_counter(), np.inf, RunningFid(self.reference, self.device)
        for problem in order_of(self.seed, len(pools)):
            pool = pools[problem]
            features = spool.read(pool.features)[rows[problem] - pool.first]
            fids = running.with_each(features)
            best = int(np.argmax(fids <= fids.min() + running.tie))
            running.add(features[best])
            chosen[problem], fid = rows[problem][best], fids[best]
        log.info(
            "oracle: %d images chosen among %d candidates at cap %g, FID %.4f, in %.1f s that are not in NFE",
            len(pools),
            sum(map(len, rows)),
            self.caps[cap],
            fid,
            time.perf_counter() - began,
        )
        return chosen
