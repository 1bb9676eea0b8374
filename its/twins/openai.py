"""Random checkpoints of improved-diffusion and guided-diffusion (ADM)."""

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
    multipliers: Sequence[float],
    attention: Sequence[int],
    heads: int | None,
    head_channels: int | None = None,
    learned_sigma: bool = True,
    scale_shift: bool = True,
    resblock_updown: bool = False,
    classes: int | None = None,
) -> None:
    """Write a random checkpoint of these sizes to `weights`, in OpenAI's format."""
    network = OpenAIUNet(
        size,
        channels,
        blocks,
        multipliers,
        attention,
        heads,
        COLOURS * (1 + learned_sigma),
        head_channels=head_channels,
        scale_shift=scale_shift,
        resblock_updown=resblock_updown,
        classes=classes,
    )
    torch.save(random_state(network), Path(weights))
