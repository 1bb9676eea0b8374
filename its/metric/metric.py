"""The contract of metrics."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol


class Metric(Protocol):
    """A frozen dataclass of settings that compares features of generated images with a part of the reference.

    Attributes:
        reads: the array of the extractor that it needs: `features`, `logits`, `spatial`, or `classes` (logits over the
            dataset's own classes).
        against: the part of the reference that it is compared with: `moments` or `spatial` (statistics, which a file
            may hold alone), `images` (features image by image), or `nothing`.
    """

    reads: ClassVar[str]
    against: ClassVar[str]

    def __call__(self, sample: Any, reference: Any) -> dict[str, float]:
        """Compute the metric's columns: its numbers by name."""
        ...
