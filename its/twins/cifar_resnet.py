"""Random checkpoints of residual networks for 32x32 images."""

from __future__ import annotations

from pathlib import Path

import torch

from its.classifier.cifar_resnet import CifarResNet
from its.twins.random_state import random_state
from its.weights import Weights


def write(weights: Weights, *, architecture: str, classes: int = 10) -> None:
    """Write a random checkpoint to `weights`, as the published ones are saved."""
    state = random_state(CifarResNet(architecture, classes))
    torch.save({"state_dict": {f"module.{name}": value for name, value in state.items()}}, Path(weights))
