"""Sizes of a search: from one place, its own parameters or a cap."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from its.budget import Budget, Ledger
from its.parameters import fits, place_of
from its.particles.image import Image
from its.particles.prices import Prices
from its.search.search import Search, sized_to
from its.types import Problem


def sized(search: Search, budget: Budget, prices: Prices) -> tuple[Search, tuple[float, ...]]:
    """Return the search with its sizes, and the caps in NFE.

    Raises:
        ValueError: a size beside a cap, or a cap that buys no image.
    """
    caps = budget.caps(prices.sampling)
    sizes = {name: getattr(search, name) for name in search.natural}

    # Without a cap, sizes that are not given are the method's own.
    if budget.natural:
        missing = {name: search.natural[name] for name, size in sizes.items() if size is None}
        return replace(cast(Any, search), **missing), caps

    # Under caps, sizes follow from them.
    fixed = [name for name, size in sizes.items() if size is not None]
    if fixed:
        raise ValueError(
            f"search.{fixed[0]}={sizes[fixed[0]]} fixes a size beside the caps of "
            f"budget.{'nfe' if budget.nfe is not None else 'samplings'}; a cap sizes the search itself: "
            f"set search.{fixed[0]}=null, or run with budget=natural"
        )
    least = search.minimum(prices.sampling)
    if not fits(least, float):
        raise ValueError(
            f"{place_of(type(search))}: minimum of {type(search).__name__} returned {least!r}; it returns the least "
            "cap, in NFE, at which the search makes an image"
        )
    if caps[0] < least:
        raise ValueError(
            f"the cap of {caps[0]} NFE is below the {least} NFE that {type(search).__name__} needs for "
            f"one image (one plain sampling costs {prices.sampling}); raise budget.nfe"
        )
    if not search.anytime:
        for cap in caps:
            sized_to(search, int(cap), Image(Problem(0), 0, prices, Ledger(cap), anytime=False, shape=()))
    return search, caps
