"""The contract of metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

import numpy as np

PARTS = ("moments", "images", "spatial", "second", "nothing")
"""Parts of a reference that a metric may be compared with."""


class Metric(Protocol):
    """A frozen dataclass of settings that compares features of generated images with a part of the reference.

    One of one's own inherits it.

    Attributes:
        reads: the array of the extractor that it needs: `features`, `logits`, `spatial`, `classes` (logits over the
            dataset's own classes), or `second` (features of a second network).
        against: the part of the reference that it is compared with: `moments`, `spatial` or `second` (statistics,
            which a file may hold alone), `images` (features image by image), or `nothing`.

    One that sorts images by prompt says `of_prompts = True`: where there are prompts, its shortage is told of their
    numbers in place of class ids.
    """

    reads: ClassVar[str]
    against: ClassVar[str]

    def shortage(self, labels: np.ndarray, classes: Sequence[int]) -> str:
        """Say, after "metric.x", which images of one side are lacking for it to be defined; empty if none are.

        Args:
            labels: class ids of that side's images, int64 `[n]`.
            classes: that generated images are asked for.
        """
        return ""

    def __call__(self, sample: Any, reference: Any) -> dict[str, float]:
        """Compute the metric's columns: its numbers by name."""
        ...


def shortage_of(metric: Metric, labels: np.ndarray, classes: Sequence[int]) -> str:
    """Return what a metric says is lacking; one that says nothing of it is defined for any number of images."""
    return metric.shortage(labels, classes) if hasattr(metric, "shortage") else ""


def shortages(metrics: Mapping[str, Metric], labels: np.ndarray, prompts: np.ndarray | None = None) -> dict[str, str]:
    """Return what each metric says that generated images lack, by key, if it says anything.

    Args:
        labels: their class ids, int64 `[n]`.
        prompts: numbers of their prompts, int64 `[n]`; None without prompts.
    """
    reasons = {}
    for key, metric in metrics.items():
        asked = prompts if prompts is not None and getattr(metric, "of_prompts", False) else labels
        reasons[key] = shortage_of(metric, asked, np.unique(asked).tolist())
    return {key: reason for key, reason in reasons.items() if reason}
