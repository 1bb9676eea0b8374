"""Random aesthetic predictors: a CLIP of transformers, and the head on its features."""

from __future__ import annotations

from pathlib import Path

import torch

from its.classifier.reward_head import RewardHead
from its.twins.clip import write as write_clip
from its.twins.random_state import random_state
from its.weights import Weights


def write(weights: Weights, *, head: Weights, size: int = 32, width: int = 32) -> None:
    """Write a random CLIP to the folder `weights`, and a head of its features to the file `head`."""
    write_clip(weights, size=size, width=width)
    Path(head).parent.mkdir(parents=True, exist_ok=True)
    torch.save(random_state(RewardHead([width, 16, 8, 6, 4, 1])), head)
