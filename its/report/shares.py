"""Shares of images that a judge outside found correct, with their standard errors, as columns beside a run's own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from its.budget import cap_of
from its.disk.columns import BY_TAG, VERDICT
from its.disk.verdicts import Verdicts

if TYPE_CHECKING:
    import numpy as np

Share = tuple[float, float]
"""A share of images that are correct, and its standard error over images; NaN of a single image."""


def shares_of(verdicts: Sequence[Verdicts]) -> tuple[Share, Share | None, dict[str, tuple[Share, int]]]:
    """Return the share of all images, the mean of the tags' shares if there are tags, and each tag's with its images.

    Args:
        verdicts: of one judge, on the images of one or several runs.
    """
    import numpy as np

    correct = np.concatenate([np.asarray(each.correct, dtype=np.float64) for each in verdicts])
    tags = np.array([tag for each in verdicts for tag in each.tags])
    places = {tag: tags == tag for tag in dict.fromkeys(tags.tolist())}
    by_tag = {tag: (_share(correct[place]), int(place.sum())) for tag, place in places.items()}
    shares = [share for share, _ in by_tag.values()]
    if not shares:
        return _share(correct), None, {}
    error = math.sqrt(sum(each**2 for _, each in shares)) / len(shares)
    return _share(correct), (sum(value for value, _ in shares) / len(shares), error), by_tag


def _share(correct: np.ndarray) -> Share:
    error = float(correct.std(ddof=1)) / math.sqrt(len(correct)) if len(correct) > 1 else math.nan
    return float(correct.mean()), error


def is_of(row: Mapping[str, Any], verdicts: Verdicts) -> bool:
    """Return whether verdicts are on just the images of a row of a curve."""
    return verdicts.cap == cap_of(row).value and len(verdicts.correct) == row["images"]


def with_verdicts(row: Mapping[str, Any], verdicts: Sequence[Verdicts]) -> dict[str, Any]:
    """Return a row of a curve with the columns of those verdicts that are on just its images."""
    row = dict(row)
    for each in verdicts:
        if is_of(row, each):
            whole, by_tag, _ = shares_of([each])
            row |= _columns(f"{VERDICT}{each.name}", whole)
            row |= {} if by_tag is None else _columns(f"{VERDICT}{each.name}{BY_TAG}", by_tag)
    return row


def _columns(name: str, share: Share) -> dict[str, Any]:
    value, error = share
    return {name: value, f"{name}_se": None if math.isnan(error) else error}
