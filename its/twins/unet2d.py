"""Random pipelines of diffusers' UNet2DModel."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from its.twins.random_state import random_state
from its.weights import Weights


def write(weights: Weights, *, size: int, channels: Sequence[int]) -> None:
    """Write a random pipeline to the folder `weights`, as google/ddpm-cifar10-32 was published.

    Flat, in torch's format, attention under the names of diffusers before 0.16, at `channels` by resolution.
    """
    from diffusers import DDPMScheduler, UNet2DModel

    # Make a network with the settings that the old pipelines have.
    folder = Path(weights)
    attends = [index == 1 for index in range(len(channels))]
    network = UNet2DModel(
        sample_size=size,
        block_out_channels=tuple(channels),
        layers_per_block=1,
        norm_num_groups=8,
        down_block_types=tuple("AttnDownBlock2D" if attend else "DownBlock2D" for attend in attends),
        up_block_types=tuple("AttnUpBlock2D" if attend else "UpBlock2D" for attend in reversed(attends)),
        attention_head_dim=None,
        downsample_padding=0,
        flip_sin_to_cos=False,
        freq_shift=1,
        norm_eps=1e-6,
    )

    # Write it under the old names.
    network.save_config(folder)
    state = {old_name(name): value for name, value in random_state(network).items()}
    torch.save(state, folder / "diffusion_pytorch_model.bin")
    DDPMScheduler(variance_type="fixed_large").save_pretrained(folder)


def old_name(name: str) -> str:
    """Return the name that an attention's tensor had in diffusers before 0.16."""
    for new, old in (("to_q", "query"), ("to_k", "key"), ("to_v", "value"), ("to_out.0", "proj_attn")):
        name = name.replace(f".{new}.", f".{old}.")
    return name
