"""Random checkpoints of improved-diffusion."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from its.model.openai import COLOURS
from its.model.openai_unet import OpenAIUNet
from its.twins.random_state import random_state
from its.weights import Weights


def write(
    weights: Weights,
    *,
    size: int,
    channels: int,
    blocks: int,
    multipliers: Sequence[int],
    attention: Sequence[int],
    heads: int,
    learned_sigma: bool = True,
    scale_shift: bool = True,
    classes: int | None = None,
) -> None:
    """Write a random checkpoint of these sizes to `weights`, in OpenAI's format."""
    outputs = COLOURS * (1 + learned_sigma)
    network = OpenAIUNet(
        size, channels, blocks, multipliers, attention, heads, outputs, scale_shift=scale_shift, classes=classes
    )
    torch.save(random_state(network), Path(weights))
