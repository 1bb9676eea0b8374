"""Random checkpoints of LightningDiT, each with a VA-VAE that decodes its latents and their statistics."""

from __future__ import annotations

from pathlib import Path

import torch

from its.model.dit_block import Kind
from its.model.dit_network import DiT, Sizes
from its.model.vavae import NAMES, level_names, network
from its.model.vavae import Sizes as DecoderSizes
from its.model.wrappers import StateDict
from its.twins.random_state import random_state
from its.weights import Weights

CHANNELS = 32
"""Of the latents."""

KIND = Kind(rope=True, rms_norm=True, swiglu=True)
"""Of the published network's blocks."""

WIDTHS, ATTENDS, BLOCKS = (8, 8, 8, 8, 16), (False, False, False, False, True), 3
"""Of a VA-VAE's decoder, a sixteenth as wide as the published one or less."""


def write(
    weights: Weights,
    *,
    vae: Weights,
    latents_stats: Weights,
    size: int,
    patch: int,
    width: int,
    depth: int,
    heads: int,
    classes: int,
) -> None:
    """Write a random state dict of these sizes as its training script does, a VA-VAE, and statistics of its latents."""
    sizes = Sizes(size, patch, width, depth, heads, classes, CHANNELS, CHANNELS)
    torch.save({"ema": random_state(DiT(sizes, KIND)), "opt": {}}, Path(weights))
    torch.save({"state_dict": vavae()}, Path(vae))
    write_stats(latents_stats, "std", (1, CHANNELS, 1, 1))


def vavae(widths: tuple[int, ...] = WIDTHS) -> StateDict:
    """Make a random VA-VAE's decoder under the names of its training, with something of its other half."""
    state = in_names_of_ldm(random_state(network(DecoderSizes(CHANNELS, widths, ATTENDS, BLOCKS))), len(widths))
    return state | {"quant_conv.weight": torch.zeros(2 * CHANNELS, 2 * CHANNELS, 1, 1)}


def in_names_of_ldm(state: StateDict, levels: int) -> StateDict:
    """Return a decoder of diffusers under LDM's names; the inverse of `its.model.vavae.in_names_of_diffusers`."""
    decoder = {}
    for name, value in state.items():
        linear = ".attentions." in name and value.ndim == 2
        for of_ldm, of_diffusers in (*level_names(levels), *NAMES):
            name = name.replace(of_diffusers, of_ldm)
        decoder[name] = value[:, :, None, None] if linear else value
    return decoder


def write_stats(file: Weights, spread: str, shape: tuple[int, ...]) -> None:
    """Write statistics of latents: a mean, and a deviation (`std`) or a variance (`var`)."""
    generator = torch.Generator().manual_seed(1)
    mean, spreads = torch.randn((2, *shape), generator=generator)
    torch.save({"mean": 0.1 * mean, spread: 0.5 + spreads.abs()}, Path(file))
