"""Sizes of a search: from one place, its own parameters or a cap."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import yaml

from its.budget import UNITS, Budget, Ledger
from its.config.instantiate import CHOICES, TARGET, defined
from its.config.searchpath import CONF
from its.parameters import fits, place_of
from its.particles.image import Image
from its.particles.prices import Prices
from its.search.search import Search, sized_to
from its.types import Problem


def sized(search: Search, budget: Budget, prices: Prices, *, exact: bool = True) -> tuple[Search, tuple[float, ...]]:
    """Return the search with its sizes, and the caps, in their currency.

    Args:
        exact: whether these are the prices, and no bound: a cap that is too low for that may be high enough.

    Raises:
        ValueError: a size beside a cap, a cap that buys no image, or a kind of cap that the search cannot plan for.
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
            f"{budget.key}; a cap sizes the search itself: "
            f"set search.{fixed[0]}=null, or run with budget=natural"
        )
    if not exact and budget.currency == "nfe":
        return search, caps
    image = Image(Problem(0), 0, prices, Ledger(caps[-1], budget.currency), anytime=search.anytime, shape=())
    check_least(search, caps[0], image)
    for cap in () if search.anytime else caps:
        image.ledger.cap = cap
        sized_to(search, int(cap), image)
    return search, caps


def check_least(search: Search, cap: float, image: Image) -> None:
    """Refuse a cap that buys no image.

    Args:
        cap: the least one.
        image: with a ledger in the cap's currency.

    Raises:
        ValueError: the message names the least cap that does, or that there is none of this kind.
    """
    # Ask the search.
    name, currency = type(search).__name__, image.ledger.currency
    by_calls = currency == "verifier_calls"
    unit, sampling = UNITS[currency], image.cost()
    least = search.minimum_calls(image) if by_calls else search.minimum(sampling)
    if least is None and by_calls:
        raise ValueError(
            f"{name} cannot plan for a cap in verifier calls; these can: {', '.join(_of_calls())}; give budget.nfe or "
            "budget.samplings to the others"
        )
    if not fits(least, float) or least is None:
        raise ValueError(
            f"{place_of(type(search))}: {'minimum_calls' if by_calls else 'minimum'} of {name} returned {least!r}; it "
            f"returns the least cap, in {unit}, at which the search makes an image"
        )

    # Hold the cap against that.
    if cap < least:
        plain = "" if by_calls else f" (one plain sampling costs {sampling})"
        raise ValueError(
            f"the cap of {cap} {unit} is below the {least} {unit} that {name} needs for one image{plain}; raise "
            f"budget.{currency}"
        )


def _of_calls() -> list[str]:
    """Return the names of the searches of `its` that serve caps in verifier calls, without presets of them."""
    nodes = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in (CONF / "search").glob("*.yaml")}
    searches = {name: defined(node[TARGET], CHOICES) for name, node in sorted(nodes.items()) if TARGET in node}
    return [
        name for name, search in searches.items() if search.anytime or search.minimum_calls is not Search.minimum_calls
    ]
