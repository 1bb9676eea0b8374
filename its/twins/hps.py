"""Random networks under open_clip's names, as HPS is published, with a tokenizer that knows single letters."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from its.twins.clip import letters_tokenizer
from its.twins.random_state import random_state
from its.weights import Settings, Weights


class _Block(nn.Module):
    """The tensors of a block."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(width, 1)
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = nn.ModuleDict({"c_fc": nn.Linear(width, 2 * width), "c_proj": nn.Linear(2 * width, width)})


class _Tower(nn.Module):
    """The tensors of a tower's blocks and positions."""

    def __init__(self, width: int, positions: int) -> None:
        super().__init__()
        self.transformer = nn.ModuleDict({"resblocks": nn.ModuleList([_Block(width) for _ in range(2)])})
        self.positional_embedding = nn.Parameter(torch.zeros(positions, width))


class _Visual(_Tower):
    """The tensors of the vision tower."""

    def __init__(self, width: int, size: int, patch: int, joint: int) -> None:
        super().__init__(width, (size // patch) ** 2 + 1)
        self.class_embedding = nn.Parameter(torch.zeros(width))
        self.conv1 = nn.Conv2d(3, width, patch, patch, bias=False)
        self.ln_pre, self.ln_post = nn.LayerNorm(width), nn.LayerNorm(width)
        self.proj = nn.Parameter(torch.zeros(width, joint))


class _Clip(_Tower):
    """The tensors of the whole."""

    def __init__(self, width: int, size: int, patch: int, joint: int, vocabulary: int, positions: int) -> None:
        super().__init__(width, positions)
        self.visual = _Visual(width, size, patch, joint)
        self.token_embedding = nn.Embedding(vocabulary, width)
        self.ln_final = nn.LayerNorm(width)
        self.text_projection = nn.Parameter(torch.zeros(width, joint))
        self.logit_scale = nn.Parameter(torch.zeros([]))


def write(
    weights: Weights,
    *,
    tokenizer: Weights | Settings,
    size: int = 28,
    patch: int = 14,
    width: int = 32,
    positions: int = 77,
) -> None:
    """Write a random network to the file `weights`, and a tokenizer to the folder `tokenizer`.

    Args:
        size: side of the images that it takes.
        positions: tokens of a prompt at most.
    """
    letters = letters_tokenizer()
    letters.save_pretrained(Path(tokenizer))
    network = _Clip(width, size, patch, 24, len(letters), positions)
    Path(weights).parent.mkdir(parents=True, exist_ok=True)
    torch.save({"state_dict": random_state(network)}, weights)
