"""The decoder of SANA's latents, diffusers' AutoencoderDC (Chen et al. 2024, arXiv:2410.10733)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from pathlib import Path
from typing import Any, Literal

import torch

from its.model.config_file import METADATA, ConfigFile
from its.model.diffusers_network import pretrained
from its.model.vae import VAEDecoder, advice
from its.weights import Dtype

OTHER = "choose a pipeline of SANA, or correct the entry if it is wrong"

KNOWN: Mapping[str, Any] = {
    **METADATA,
    "_class_name": Literal["AutoencoderDC"],
    "attention_head_dim": int,
    "decoder_act_fns": str | Sequence[str],
    "decoder_block_out_channels": Sequence[int],
    "decoder_block_types": str | Sequence[str],
    "decoder_conv_act_fn": str,
    "decoder_in_shortcut": bool,
    "decoder_layers_per_block": Sequence[int],
    "decoder_norm_types": str | Sequence[str],
    "decoder_qkv_multiscales": Sequence[Sequence[int]],
    "downsample_block_type": Any,
    "encoder_block_out_channels": Sequence[int],
    "encoder_block_types": Any,
    "encoder_layers_per_block": Any,
    "encoder_out_shortcut": Any,
    "encoder_qkv_multiscales": Any,
    "in_channels": Literal[3],
    "latent_channels": int,
    "scaling_factor": float,
    "upsample_block_type": Literal["pixel_shuffle", "interpolate"],
}
"""The allow-list of entries; those of the encoder make no images."""


def decoder(folder: str, side: int, *, dtype: Dtype, slicing: bool, tiling: bool) -> VAEDecoder:
    """Load the decoder of a pipeline's folder; see `its.model.vae.decoder`.

    Args:
        side: of the latents.

    Raises:
        ValueError: an entry of its configuration is not known, or its tensors do not fit.
    """
    # Read the configuration.
    place = Path(folder) / "vae"
    file = ConfigFile.read(place / "config.json", OTHER)
    file.require(KNOWN)
    scaling = file.needed("scaling_factor")
    if not 0 < scaling < inf:
        raise file.refusal("scaling_factor", "it is above 0, and finite")
    blocks = file.needed("decoder_block_out_channels")
    if len(blocks) != len(file.needed("encoder_block_out_channels")):
        raise file.refusal("decoder_block_out_channels", "there are as many blocks as of the encoder")

    network = pretrained("AutoencoderDC", place, folder, None, advice)
    network.use_slicing, network.use_tiling = slicing, tiling
    half = VAEDecoder(network, (network.config.latent_channels, side, side), scaling, 0.0, blocks)
    return half.eval().requires_grad_(False).to(getattr(torch, dtype))
