"""A judge that sees pictures, rounded to bytes, and scores each for its prompt: HPSv3, Soft-TIFA, UnifiedReward."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Protocol

from its.types import Condition
from its.verifier.prompt_score import prompts_of

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


class PictureJudge(Protocol):
    """A judge of pictures."""

    def scores(self, pictures: Sequence[np.ndarray], prompts: Sequence[str]) -> Sequence[float]:
        """Score pictures, uint8 `[H, W, 3]` each, by their prompts, each by itself."""
        ...


class PictureScore:
    """The score that a judge gives to an image for its prompt.

    Args:
        judge: whom it asks.
    """

    absolute: bool = True
    reads: ClassVar[type] = str

    def __init__(self, judge: PictureJudge) -> None:
        self.judge = judge

    def check_conditions(self, conditions: Sequence[Condition]) -> None:
        """Refuse prompts that the judge cannot score, where it knows.

        Raises:
            ValueError: naming the first.
        """
        check = getattr(self.judge, "check_prompts", None)
        if check is not None:
            check(prompts_of(conditions))

    def reward(self, images: Tensor, conditions: Sequence[Condition]) -> Tensor:
        """Score images `[n, 1 or 3, H, W]`, rounded to bytes: `[n]`, float64.

        Raises:
            ValueError: a gradient is asked for, or an image has no prompt.
        """
        import torch

        scores = self.judge.scores(pictures_of(images), prompts_of(conditions))
        return torch.tensor(list(scores), dtype=torch.float64)


def pictures_of(images: Tensor) -> list[np.ndarray]:
    """Return images `[n, 1 or 3, H, W]` as a judge sees them, uint8 `[H, W, 3]` each.

    Raises:
        ValueError: a gradient is asked for, which no judge gives.
    """
    from its.pixels import to_uint8

    if images.requires_grad:
        raise ValueError("a judge of rounded pictures has no gradient; choose another verifier@guide")
    colours = images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images
    return list(to_uint8(colours).cpu().numpy())
