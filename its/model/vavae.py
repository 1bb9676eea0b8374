"""VA-VAE's decoder (Yao and Wang 2025, arXiv:2501.01423), from the file of its training: LDM's names.

The network is diffusers' decoder of AutoencoderKL, with attention behind every block at the latents' own resolution.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from its.model.checkpoint import fit, read
from its.model.latent_stats import Denormalised
from its.model.wrappers import StateDict
from its.parameters import check_values
from its.weights import Dtype, Weights

GROUPS = 32
"""Of every norm; a random twin that is narrower has as many as channels."""

UNUSED = re.compile(r"(encoder|quant_conv|loss|foundation_model|linear_proj)\.")
"""Beginnings of what its training keeps besides, and no decoding takes."""

NAMES = (
    (".mid.block_1.", ".mid_block.resnets.0."),
    (".mid.block_2.", ".mid_block.resnets.1."),
    (".mid.attn_1.", ".mid_block.attentions.0."),
    (".block.", ".resnets."),
    (".attn.", ".attentions."),
    (".upsample.", ".upsamplers.0."),
    (".nin_shortcut.", ".conv_shortcut."),
    (".norm_out.", ".conv_norm_out."),
    (".norm.", ".group_norm."),
    (".q.", ".to_q."),
    (".k.", ".to_k."),
    (".v.", ".to_v."),
    (".proj_out.", ".to_out.0."),
)
"""Parts of names, LDM's and diffusers'; the last five are an attention's."""

ADVICE = "model.vae is VA-VAE's file, vavae-imagenet256-f16d32-dinov2.pt of hustvl/vavae-imagenet256-f16d32-dinov2"


def decoder(
    vae: Weights, stats: Weights, size: int, *, dtype: Dtype = "float32", device: torch.device | str = "cpu"
) -> Denormalised:
    """Load the decoder of a `.pt` or safetensors file, whose names and shapes tell its sizes.

    Args:
        stats: file of the latents' mean and std; see `its.model.latent_stats.statistics`.
        size: side of the latents.
        dtype: of its weights and activations.

    Raises:
        ValueError: there is no such type, or a file holds something else.
    """
    check_values({"vae_dtype": dtype}, {"vae_dtype": Dtype}, "model.", {})
    state = {name: value for name, value in read(vae).items() if not UNUSED.match(name)}
    try:
        decoding = network_of(state)
    except KeyError as error:
        raise ValueError(f"{vae} has no {error.args[0]}; {ADVICE}") from error
    levels = len(decoding.decoder.up_blocks)
    fit(decoding, in_names_of_diffusers(state, levels), vae, ADVICE)
    channels, side = decoding.post_quant_conv.in_channels, 2 ** (levels - 1) * size
    decoding.to(getattr(torch, dtype))
    return Denormalised(decoding, (channels, size, size), (3, side, side), stats).to(device)


def network_of(state: StateDict) -> nn.Sequential:
    """Make the network of the sizes that a state dict tells.

    Raises:
        KeyError: the name of a tensor that tells them is missing.
    """
    levels = range(len({name.split(".")[2] for name in state if name.startswith("decoder.up.")}))
    deepest = f"decoder.up.{len(levels) - 1}.block."
    return network(
        _convolution(state, "post_quant_conv.weight").shape[1],
        [len(_convolution(state, f"decoder.up.{level}.block.0.conv2.weight")) for level in levels],
        [f"decoder.up.{level}.attn.0.q.weight" in state for level in levels],
        len({name.split(".")[4] for name in state if name.startswith(deepest)}),
    )


def _convolution(state: StateDict, name: str) -> Tensor:
    """Return the weight of a convolution."""
    if name not in state or state[name].ndim != 4:
        raise KeyError(name)
    return state[name]


def network(channels: int, widths: Sequence[int], attends: Sequence[bool], blocks: int) -> nn.Sequential:
    """Make the network.

    Args:
        channels: of the latents.
        widths: by level, from that of the images to that of the latents, each half the size of the one before.
        attends: whether a level has attention behind every block.
        blocks: of a level.
    """
    from diffusers.models.autoencoders.vae import Decoder

    decoder = Decoder(
        channels,
        up_block_types=tuple("AttnUpDecoderBlock2D" if each else "UpDecoderBlock2D" for each in reversed(attends)),
        block_out_channels=tuple(widths),
        layers_per_block=blocks - 1,
        norm_num_groups=min(GROUPS, *widths),
    )
    return nn.Sequential(OrderedDict(post_quant_conv=nn.Conv2d(channels, channels, 1), decoder=decoder))


def in_names_of_diffusers(state: StateDict, levels: int) -> StateDict:
    """Return a decoder of LDM under diffusers' names, whose attention has linear maps for 1x1 convolutions.

    Args:
        levels: how many, which diffusers counts from the deepest.
    """
    made = {}
    for name, value in state.items():
        new = name
        for old, of_diffusers in (*NAMES, *level_names(levels)):
            new = new.replace(old, of_diffusers)
        linear = ".attentions." in new and value.ndim == 4 and value.shape[2:] == (1, 1)
        made[new] = value[:, :, 0, 0] if linear else value
    return made


def level_names(levels: int) -> list[tuple[str, str]]:
    """Return the parts of names that number a level, LDM's and diffusers'."""
    return [(f".up.{level}.", f".up_blocks.{levels - 1 - level}.") for level in range(levels)]
