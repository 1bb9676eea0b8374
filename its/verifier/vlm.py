"""A model that reads pictures and texts as the judge of an image, by a rubric (Ma et al. 2025, arXiv:2501.09732)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Protocol

from its.types import Condition
from its.verifier.picture_score import pictures_of
from its.verifier.prompt_score import prompts_of
from its.verifier.rubric import OVERALL, Rubric

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


class Judge(Protocol):
    """A model here or elsewhere."""

    def scores(
        self, pictures: Sequence[np.ndarray], prompts: Sequence[str], rubric: Rubric, name: str
    ) -> Sequence[float]:
        """Return the score called `name` of each picture, uint8 `[H, W, 3]`; NaN where its answer was nonsense."""
        ...


class Vlm:
    """A judge's score of an image for its prompt, from 0 to 9.

    Args:
        judge: whom it asks.
        aspects: the rubric's questions by name; None are its own.
        score: the aspect that is the reward, or `overall`.

    Raises:
        ValueError: the rubric has no such score.
    """

    absolute: bool = True
    reads: ClassVar[type] = str

    def __init__(self, judge: Judge, aspects: Mapping[str, str] | None = None, score: str = OVERALL) -> None:
        self.judge = judge
        self.rubric = Rubric() if aspects is None else Rubric(aspects)
        if score not in self.rubric.names:
            raise ValueError(f"verifier.score is {score!r}; choose one of {', '.join(self.rubric.names)}")
        self.score = score

    def reward(self, images: Tensor, conditions: Sequence[Condition]) -> Tensor:
        """Score images `[n, 1 or 3, H, W]`, rounded to bytes: `[n]`, float64.

        Raises:
            ValueError: a gradient is asked for, which no judge gives; or an image has no prompt.
        """
        import torch

        scores = self.judge.scores(pictures_of(images), prompts_of(conditions), self.rubric, self.score)
        return torch.tensor(list(scores), dtype=torch.float64)

    def judge_costs(self, images: Tensor, conditions: Sequence[Condition]) -> Sequence[Mapping[str, int]]:
        """Return the requests and tokens that the score of each image cost; nothing of a judge on this machine."""
        costs = getattr(self.judge, "costs", None)
        if costs is None:
            return [{} for _ in conditions]
        return costs(pictures_of(images), prompts_of(conditions), self.rubric)
