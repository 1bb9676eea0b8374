"""Random checkpoints of guided-diffusion's noise-aware classifiers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from its.classifier.adm import NoisyImageClassifier
from its.sampler.noise_paths import betas_named
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
    head_channels: int,
    classes: int,
) -> None:
    """Write a random checkpoint of these sizes to `weights`, in OpenAI's format."""
    path = betas_named("linear", 1000)
    network = NoisyImageClassifier(path, size, channels, blocks, multipliers, attention, head_channels, classes)
    torch.save(random_state(network), Path(weights))
