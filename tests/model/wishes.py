"""A dataset of prompts, as a plugin."""

from collections.abc import Sequence
from dataclasses import dataclass

WORDS = (
    *("dataset=imagenet64", f"plugins=[{__file__}]", "dataset.images._target_=wishes.Wishes"),
    *("~dataset.images.num_classes", "~dataset.images.class_order", "verifier=null_rewards", "model.size=64"),
    *("smoke=true", "metric=inception", "batch=4"),
)
"""Words of a run of prompts at 64 pixels."""


@dataclass(frozen=True)
class Wishes:
    """A list of prompts, taken in turn."""

    shape: Sequence[int]
    prompts: Sequence[str] = ("a cat", "a red ball on a table", "night")

    def condition(self, index: int) -> str:
        return self.prompts[index % len(self.prompts)]
