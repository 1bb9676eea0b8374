"""An oracle: the judge itself selects, by the probability of the class (Ma et al. 2025, arXiv:2501.09732)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from its.types import Condition
from its.verifier.classifier import Output, checked_output, rewards

if TYPE_CHECKING:
    from torch import Tensor

IMAGENET = "imagenet"


class OracleIS:
    """The judge's own probability of the class that an image was asked for: an upper bound, no verifier.

    On ImageNet with Inception it is the softmax over its 1,008 logits, those that the inception score reads; else over
    the logits of the dataset's classes that the judge makes.

    Args:
        judge: an extractor, the one that measures.
        classes: the dataset's class names, `imagenet` for its thousand.
        output: see `its.verifier.classifier.Output`.

    Raises:
        ValueError: the judge has no probabilities of the dataset's classes.
    """

    absolute: bool = True
    reads: ClassVar[type] = int
    oracle: bool = True

    def __init__(self, judge: Any, classes: str | Sequence[str] | None = None, output: Output = "probability") -> None:
        self._judge, self.output = judge, checked_output(output)
        self._columns = getattr(judge, "imagenet", None) if classes == IMAGENET else None
        if self._columns is None and "classes" not in judge.offers:
            raise ValueError(
                f"verifier oracle_is asks the judge for the probability of a class, and dataset.report ({judge.name}, "
                f"{type(judge).__name__}) has none for these classes; give it a classifier of them "
                "(dataset.report.classifier), or choose another verifier"
            )

    def reward(self, images: Tensor, conditions: Sequence[Condition]) -> Tensor:
        """Score images `[n, C, H, W]`, rounded to bytes as the judge sees them: `[n]`, float64.

        Raises:
            ValueError: a gradient is asked for, which rounding has not.
        """
        import torch

        from its.pixels import to_uint8

        if images.requires_grad:
            raise ValueError("oracle_is has no gradient, for the judge sees rounded images")
        if getattr(self._judge, "rows", None) is not None:
            self._judge.rows = len(images)  # a batch of the engine has one shape already
        arrays = self._judge(to_uint8(images).cpu().numpy())
        name = "classes" if self._columns is None and "classes" in arrays else "logits"
        logits = torch.from_numpy(arrays[name]).double().to(images.device)
        columns = self._columns
        classes = conditions if columns is None else [columns[each] for each in conditions if isinstance(each, int)]
        return rewards(logits, classes, self.output)
