"""VA-VAE's decoder (Yao and Wang 2025, arXiv:2501.01423), from the file of its training: LDM's names.

The network is diffusers' decoder of AutoencoderKL, with attention behind every block at the latents' own resolution.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass

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
        sizes = Sizes.of(state)
    except KeyError as error:
        raise ValueError(f"{vae} has no {error.args[0]}; {ADVICE}") from error
    levels = len(sizes.widths)
    decoding = fit(network(sizes), in_names_of_diffusers(state, levels), vae, ADVICE)
    decoding.to(getattr(torch, dtype))
    side = 2 ** (levels - 1) * size
    return Denormalised(decoding, (sizes.channels, size, size), (3, side, side), stats).to(device)


@dataclass(frozen=True)
class Sizes:
    """The sizes of a decoder.

    Attributes:
        channels: of the latents.
        widths: by level, from that of the images to that of the latents, each half the size of the one before.
        attends: whether a level has attention behind every block.
        blocks: of a level.
    """

    channels: int
    widths: tuple[int, ...]
    attends: tuple[bool, ...]
    blocks: int

    @classmethod
    def of(cls, state: StateDict) -> Sizes:
        """Read the sizes off the names and shapes of LDM's state dict.

        Raises:
            KeyError: the name of a tensor that tells them is missing.
        """
        count = len({name.split(".")[2] for name in state if name.startswith("decoder.up.")})
        levels, deepest = range(max(1, count)), f"decoder.up.{count - 1}.block."
        return cls(
            _convolution(state, "post_quant_conv.weight").shape[1],
            tuple(len(_convolution(state, f"decoder.up.{level}.block.0.conv2.weight")) for level in levels),
            tuple(f"decoder.up.{level}.attn.0.q.weight" in state for level in levels),
            len({name.split(".")[4] for name in state if name.startswith(deepest)}),
        )


def _convolution(state: StateDict, name: str) -> Tensor:
    """Return the weight of a convolution."""
    if name not in state or state[name].ndim != 4:
        raise KeyError(name)
    return state[name]


def network(sizes: Sizes) -> nn.Sequential:
    """Make the network."""
    from diffusers.models.autoencoders.vae import Decoder

    kinds = ("AttnUpDecoderBlock2D" if each else "UpDecoderBlock2D" for each in reversed(sizes.attends))
    decoder = Decoder(
        sizes.channels,
        up_block_types=tuple(kinds),
        block_out_channels=sizes.widths,
        layers_per_block=sizes.blocks - 1,
        norm_num_groups=min(GROUPS, *sizes.widths),
    )
    return nn.Sequential(OrderedDict(post_quant_conv=nn.Conv2d(sizes.channels, sizes.channels, 1), decoder=decoder))


def in_names_of_diffusers(state: StateDict, levels: int) -> StateDict:
    """Return a decoder of LDM under diffusers' names, whose attention has linear maps for 1x1 convolutions.

    Args:
        levels: how many, which diffusers counts from the deepest.
    """
    renamed = {}
    for name, value in state.items():
        new = name
        for old, of_diffusers in (*NAMES, *level_names(levels)):
            new = new.replace(old, of_diffusers)
        linear = ".attentions." in new and value.ndim == 4 and value.shape[2:] == (1, 1)
        renamed[new] = value[:, :, 0, 0] if linear else value
    return renamed


def level_names(levels: int) -> list[tuple[str, str]]:
    """Return the parts of names that number a level, LDM's and diffusers'."""
    return [(f".up.{level}.", f".up_blocks.{levels - 1 - level}.") for level in range(levels)]
