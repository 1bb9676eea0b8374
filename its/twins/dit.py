"""Random checkpoints of DiT, SiT and REPA, each with a VAE that decodes its latents."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from its.model.dit_network import DiT, Sizes
from its.twins.random_state import random_state
from its.weights import Weights

CHANNELS = 4
"""Of the latents."""


def write(
    weights: Weights,
    *,
    vae: Weights,
    size: int,
    patch: int,
    width: int,
    depth: int,
    heads: int,
    classes: int,
    learned_sigma: bool = True,
    direction: str | None = None,
) -> None:
    """Write a random state dict of these sizes to `weights`, as the originals publish theirs, and a VAE to `vae`.

    Args:
        direction: None is DiT's; `up` leaves the variance untrained, as SiT's code does; `down` adds REPA's projectors.
    """
    sizes = Sizes(size, patch, width, depth, heads, classes, CHANNELS, (1 + learned_sigma) * CHANNELS)
    network = DiT(sizes)
    if direction == "down":
        network.projectors = nn.ModuleList([projector(width)])
    state = random_state(network)
    if direction == "up":
        state["final_layer.linear.weight"].unflatten(0, (-1, sizes.outputs))[:, CHANNELS:] = 0.0
    torch.save(state, Path(weights))
    write_vae(vae)


def projector(width: int) -> nn.Module:
    """Make one of REPA's projectors."""
    return nn.Sequential(nn.Linear(width, 8), nn.SiLU(), nn.Linear(8, 8), nn.SiLU(), nn.Linear(8, 8))


def write_vae(folder: str, halvings: int = 3) -> None:
    """Write a random AutoencoderKL to a folder, as Stable Diffusion's early ones were published, one of 8 channels."""
    from diffusers import AutoencoderKL

    blocks = halvings + 1
    vae = AutoencoderKL(
        block_out_channels=(8,) * blocks,
        down_block_types=("DownEncoderBlock2D",) * blocks,
        up_block_types=("UpDecoderBlock2D",) * blocks,
        latent_channels=CHANNELS,
        norm_num_groups=4,
    )
    vae.load_state_dict(random_state(vae))
    vae.save_pretrained(folder)
