"""A run of which an oracle chooses the images, as a set, among the candidates that its search has stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from its.config.checks import check_store
from its.config.identity import used
from its.config.instantiate import TARGET
from its.config.kinds import ImageRun, Kind, Work, kind_of
from its.config.names import recorded
from its.config.parts import Parts
from its.config.scorers import check_scorers
from its.config.sources import Sources, measuring, of_images
from its.search.more_steps import MoreSteps
from its.search.none import NoSearch
from its.search.random import Random
from its.search.search import Search

ORACLE = "verifier/oracle_fid"
"""Recorded name of the one verifier that chooses sets."""


BLIND = (NoSearch, MoreSteps, Random)
"""Searches whose candidates are the same under every verifier."""


class OracleRun(ImageRun):
    """A run that makes images, and chooses among all candidates once they are there."""

    def check(self, parts: Parts) -> None:
        name, pool = parts.choices["verifier"], parts.plain["verifier"].get("pool")
        if not isinstance(pool, Mapping) or TARGET not in pool:
            raise ValueError(
                f"verifier.pool is {pool!r}; it is the verifier that the search asks while {name} waits for its "
                "candidates, as verifier@verifier.pool=null_rewards"
            )
        if parts.storage != "all":
            check_store(parts.plain["store"], keep_candidates=True)
        pool_parts = _of_pool(parts)
        check_scorers(pool_parts.plain, parts.packages)
        super().check(pool_parts)

    def sections(self, parts: Parts) -> dict[str, Any]:
        """Return what measures images as well, for the oracle chooses by it."""
        return {**super().sections(parts), "dataset": used(parts.plain["dataset"])}

    def work(self, parts: Parts, folder: Path) -> Work:
        work = super().work(parts, folder)
        what = f"{parts.choices['verifier']}, an oracle over what a search by {pool_of(parts)} finds"
        return replace(work, method=work.method.replace(f"({parts.choices['verifier']}", f"({what}", 1))

    def sources(self, parts: Parts) -> Sources:
        """Return what makes the candidates, and what measures and chooses."""
        return of_images(super().sections(_of_pool(parts)), measuring(parts.plain))


def run_kind(parts: Parts) -> Kind:
    """Return the kind of run that parts are for.

    Raises:
        ValueError: an oracle of sets stands where images are scored one by one, or the search is for no run.
    """
    for path in _places(parts.plain, ""):
        if path != "verifier":
            raise ValueError(
                f"{path} is an oracle of sets, which scores no image by itself; it is a choice of verifier= alone"
            )
    kind = kind_of(parts.search)
    if not parts.has_oracle:
        return kind
    if not isinstance(kind, ImageRun):
        raise ValueError(
            f"verifier={parts.choices['verifier']} chooses among the candidates of a search that makes images, and "
            f"search={parts.choices['search']} judges sets itself; choose another verifier, which it does not ask"
        )
    return OracleRun()


def meaning(parts: Parts, selector: str) -> str:
    """Return what a curve under an oracle of sets means, in one sentence.

    Args:
        selector: the verifier that the search asked.
    """
    search, oracle = parts.choices["search"], parts.choices["verifier"]
    bound = f"{oracle} is an oracle, which chooses by what measures, so this is an upper bound and no method"
    if is_blind(parts.search):
        return f"{bound}; the candidates of {search} do not depend on rewards"
    return f"{bound}: the best of the pool of {search}, which chose its way by {selector}"


def is_blind(search: Search) -> bool:
    """Return whether a search's candidates are the same under every verifier."""
    return isinstance(search, BLIND)


def pool_of(parts: Parts) -> str:
    """Return the choice of the verifier that the search asks."""
    name = recorded(str(parts.plain["verifier"]["pool"][TARGET])).rpartition("/")[2]
    return parts.choices.get("verifier@verifier.pool", name)


def _of_pool(parts: Parts) -> Parts:
    """Return the parts of a run that the pool's verifier selects for."""
    plain = {**parts.plain, "verifier": parts.plain["verifier"]["pool"]}
    return replace(parts, plain=plain, choices={**parts.choices, "verifier": pool_of(parts)})


def _places(node: Any, path: str) -> list[str]:
    """Return where an oracle of sets stands, anywhere below a node."""
    if not isinstance(node, Mapping):
        return []
    here = [path] if recorded(str(node.get(TARGET))) == ORACLE else []
    return here + [place for key, value in node.items() for place in _places(value, f"{path}.{key}".lstrip("."))]
