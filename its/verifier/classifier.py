"""A classifier as a verifier: the supervised one of Ma et al. 2025 (arXiv:2501.09732)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

from its.types import Condition

if TYPE_CHECKING:
    from torch import Tensor

Output = Literal["log_probability", "probability", "logit", "correct"]
"""What is said of the class that an image was asked for; `correct` is 1 where it is the likeliest, else 0."""


class Classifier:
    """The log-probability `log p(condition | image)`, or another output; differentiable in the images.

    Args:
        network: images in [-1, 1] `[n, C, H, W]` to logits `[n, classes]`.
        output: `log_probability`, `probability`, `logit`, which does not saturate where the classifier is sure, or
            `correct`, which has no gradient.
    """

    absolute: bool = True
    reads: ClassVar[type] = int

    def __init__(self, network: Callable[[Tensor], Tensor], output: Output = "log_probability") -> None:
        self.network = network
        self.output = checked_output(output)

    def reward(self, images: Tensor, conditions: Sequence[Condition]) -> Tensor:
        """Score images `[n, C, H, W]` by the class ids that they were asked for: `[n]`, float64."""
        return rewards(self.network(images).double(), conditions, self.output)


def checked_output(output: Output) -> Output:
    """Return an output, if there is one of that name.

    Raises:
        ValueError: naming those there are.
    """
    if output not in get_args(Output):
        raise ValueError(f"verifier.output is {output!r}; choose one of {', '.join(get_args(Output))}")
    return output


def rewards(logits: Tensor, conditions: Sequence[Condition], output: Output) -> Tensor:
    """Return what logits `[n, classes]`, float64, say of the classes that images were asked for: `[n]`."""
    if output == "correct":
        best = logits.max(dim=1).values
        return (of_classes(logits, conditions) == best).to(logits.dtype)
    scores = {"log_probability": logits.log_softmax, "probability": logits.softmax}
    return of_classes(scores[output](dim=1) if output in scores else logits, conditions)


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
