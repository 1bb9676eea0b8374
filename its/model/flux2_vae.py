"""The decoder of FLUX.2's latents, diffusers' AutoencoderKLFlux2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from its.model.config_file import ConfigFile
from its.model.diffusers_network import pretrained
from its.model.vae import KNOWN, VAEDecoder, advice, check_tiles
from its.weights import Dtype

OTHER = "choose a pipeline of FLUX.2, or correct the entry if it is wrong"

PATCH = 2
"""Side of the latents of the VAE that are one of the network's."""

NOT_READ = ("latents_mean", "latents_std", "scaling_factor", "shift_factor")
"""Entries of other VAEs: statistics of FLUX.2's latents are in its batch norm."""

KNOWN_FLUX2: Mapping[str, Any] = {
    **{key: value for key, value in KNOWN.items() if key not in NOT_READ},
    "_class_name": Literal["AutoencoderKLFlux2"],
    "batch_norm_eps": float,
    "batch_norm_momentum": Any,
    "decoder_block_out_channels": Any,
    "patch_size": Sequence[int],
}
"""The allow-list of entries; the momentum is of training."""


class Flux2Decoder(VAEDecoder):
    """The decoding half of an AutoencoderKLFlux2, of latents `[n, 4 C, H/2, W/2]` of mean 0 and variance 1."""

    mean: Tensor
    std: Tensor

    def __init__(self, vae: Any, side: int) -> None:
        channels = int(vae.config.latent_channels) * PATCH**2
        latents = (channels, PATCH * side, PATCH * side)
        super().__init__(vae, latents, 1.0, 0.0, vae.config.block_out_channels)
        variance = vae.bn.running_var.detach().float() + vae.config.batch_norm_eps
        self.register_buffer("mean", vae.bn.running_mean.detach().float().reshape(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", variance.sqrt().reshape(1, -1, 1, 1), persistent=False)

    def unscaled(self, latents: Tensor) -> Tensor:
        values = latents * self.std + self.mean
        n, channels, height, width = values.shape
        tiles = values.reshape(n, channels // PATCH**2, PATCH, PATCH, height, width).permute(0, 1, 4, 2, 5, 3)
        return tiles.reshape(n, channels // PATCH**2, PATCH * height, PATCH * width)


def decoder(folder: str, side: int, *, dtype: Dtype, slicing: bool, tiling: bool) -> Flux2Decoder:
    """Load the decoder of a pipeline's folder; see `its.model.vae.decoder`.

    Args:
        side: of the network's latents.

    Raises:
        ValueError: an entry of its configuration is not known, or its tensors do not fit.
    """
    place = Path(folder) / "vae"
    file = ConfigFile.read(place / "config.json", OTHER)
    file.require(KNOWN_FLUX2)
    if [*file.get("patch_size", [PATCH, PATCH])] != [PATCH, PATCH]:
        raise file.refusal("patch_size", f"here it is [{PATCH}, {PATCH}]")
    network = pretrained("AutoencoderKLFlux2", place, folder, None, advice)
    network.use_slicing, network.use_tiling = slicing, tiling
    check_tiles(network)
    half = Flux2Decoder(network, side).eval().requires_grad_(False)
    for weight in half.vae.parameters():
        weight.data = weight.data.to(getattr(torch, dtype))
    return half
