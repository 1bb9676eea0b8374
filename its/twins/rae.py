"""Random checkpoints of RAE's DiT^DH, each with the network of its autoguidance, a decoder and statistics."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from its.model import rae_decoder
from its.model.dit_block import Kind
from its.model.ditdh_network import DiTDH, Sizes
from its.twins.lightningdit import write_stats
from its.twins.random_state import random_state
from its.weights import Autoguidance, Weights

KIND = Kind(rope=True, rms_norm=True, swiglu=True)
"""Of the published networks' blocks."""

PATCH, WIDTH = 16, 32
"""Of the decoder."""


def write(
    weights: Weights,
    *,
    autoguidance: Weights | Autoguidance,
    decoder: Weights,
    latents_stats: Weights,
    size: int,
    channels: int,
    widths: Sequence[int],
    depths: Sequence[int],
    heads: Sequence[int],
    decoder_heads: int,
    classes: int,
) -> None:
    """Write random state dicts: of these sizes, one block shallower and half as wide in the body, and a decoder's."""
    torch.save(random_state(DiTDH(Sizes(size, channels, widths, depths, heads, classes), KIND)), Path(weights))
    less = Sizes(size, channels, [widths[0] // 2, widths[1]], [1, depths[1]], [1, heads[1]], classes)
    torch.save(random_state(DiTDH(less, KIND), seed=1), Path(autoguidance))
    sizes = rae_decoder.Sizes(channels, size**2, WIDTH, 2 * WIDTH, 2, decoder_heads, PATCH)
    torch.save(random_state(rae_decoder.Decoder(sizes)), Path(decoder))
    write_stats(latents_stats, "var", (channels, size, size))
