"""Random tensors for every name of a network."""

from __future__ import annotations

import torch
from torch import nn

from its.model.wrappers import StateDict


def random_state(network: nn.Module, seed: int = 0) -> StateDict:
    """Draw every tensor of `network` at random, those that training begins at zero too."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, value in network.state_dict().items():
        if not value.is_floating_point():
            state[name] = value.clone()
        elif value.ndim > 1:
            state[name] = torch.randn(value.shape, generator=generator) / value[0].numel() ** 0.5
        elif name.endswith("running_var"):
            state[name] = 1 + torch.rand(value.shape, generator=generator)
        else:
            shift = 1.0 if name.endswith("weight") else 0.0
            state[name] = shift + 0.1 * torch.randn(value.shape, generator=generator)
    return state
