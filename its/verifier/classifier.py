"""A classifier as a verifier: the supervised one of Ma et al. 2025 (arXiv:2501.09732)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, get_args

from its.types import Condition

if TYPE_CHECKING:
    from torch import Tensor

Output = Literal["log_probability", "logit"]


class Classifier:
    """The log-probability `log p(condition | image)`, or the logit; differentiable in the images.

    Args:
        network: images in [-1, 1] `[n, C, H, W]` to logits `[n, classes]`.
        output: `log_probability`, or `logit`, which does not saturate where the classifier is sure.
    """

    absolute: bool = True

    def __init__(self, network: Callable[[Tensor], Tensor], output: Output = "log_probability") -> None:
        if output not in get_args(Output):
            raise ValueError(f"verifier.output is {output!r}; choose one of {', '.join(get_args(Output))}")
        self.network = network
        self.output = output

    def reward(self, images: Tensor, conditions: Sequence[Condition]) -> Tensor:
        """Score images `[n, C, H, W]` by the class ids that they were asked for: `[n]`, float64."""
        logits = self.network(images).double()
        return of_classes(logits if self.output == "logit" else logits.log_softmax(dim=1), conditions)


def of_classes(scores: Tensor, conditions: Sequence[Condition]) -> Tensor:
    """Return of each row of `scores` `[n, classes]` that of the class that it was asked for: `[n]`.

    Raises:
        ValueError: there are fewer classes.
    """
    import torch

    highest = max((condition for condition in conditions if isinstance(condition, int)), default=-1)
    if highest >= scores.shape[1]:
        raise ValueError(
            f"an image is asked for class {highest}, and the verifier's network tells {scores.shape[1]} "
            "classes apart, counted from 0; choose a classifier of this dataset"
        )
    classes = torch.tensor(conditions, dtype=torch.int64).to(scores.device, non_blocking=True)
    return scores.gather(1, classes[:, None]).squeeze(1)
