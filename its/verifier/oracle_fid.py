"""The FID oracle: of stored candidates, those that give the set the lowest FID (Ma et al. 2025, arXiv:2501.09732)."""

from __future__ import annotations

from typing import ClassVar

from its.verifier.verifier import Verifier


class OracleFid:
    """A choice of whole sets by the judge's own features, which no search asks: an upper bound, not a method.

    The search asks `pool` and stores its candidates. Once the last shard is there, images are chosen one after the
    other, each so that FID of those chosen so far is lowest; see `its.run.set_choice`.

    Args:
        pool: the verifier that the search asks.
    """

    oracle: ClassVar[bool] = True
    of_sets: ClassVar[bool] = True

    def __init__(self, pool: Verifier) -> None:
        self.pool = pool
