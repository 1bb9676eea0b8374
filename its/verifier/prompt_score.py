"""A network that scores an image by its prompt: CLIPScore, PickScore, ImageReward, HPS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Protocol

from its.types import Condition

if TYPE_CHECKING:
    from torch import Tensor


class PromptNetwork(Protocol):
    """A network of images and texts."""

    def scores(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        """Score images `[n, C, H, W]` in about [-1, 1] by their prompts, each row by itself: `[n]`."""
        ...


class PromptScore:
    """The score that a network gives to an image for its prompt; differentiable in the image.

    Args:
        network: with its own preparation of images.
    """

    absolute: bool = True
    reads: ClassVar[type] = str

    def __init__(self, network: PromptNetwork) -> None:
        self.network = network

    def reward(self, images: Tensor, conditions: Sequence[Condition]) -> Tensor:
        """Score images `[n, C, H, W]` by the prompts that they were asked for: `[n]`, float64."""
        return self.network.scores(images, prompts_of(conditions)).double()


def prompts_of(conditions: Sequence[Condition]) -> list[str]:
    """Return conditions, if all of them are prompts.

    Raises:
        ValueError: one is a class or nothing.
    """
    prompts = [condition for condition in conditions if isinstance(condition, str)]
    if len(prompts) < len(conditions):
        other = next(condition for condition in conditions if not isinstance(condition, str))
        raise ValueError(
            f"an image is asked for {other!r}, and this verifier scores images by their prompts; choose a dataset of "
            "prompts"
        )
    return prompts
