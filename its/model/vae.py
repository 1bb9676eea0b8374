"""Decoders of latents: diffusers' AutoencoderKL, such as Stable Diffusion's (`stabilityai/sd-vae-ft-ema`, `-mse`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from its.model.config_file import METADATA, ConfigFile
from its.model.diffusers_network import pretrained
from its.model.wrappers import StateDict
from its.parameters import check_values
from its.weights import Dtype, Weights, locate

OTHER = "choose a folder of Stable Diffusion's AutoencoderKL, such as stabilityai/sd-vae-ft-ema"

SCALING = 0.18215
"""Of Stable Diffusion's latents, and of files from before diffusers wrote it, by its documentation."""

COLOURS = 3
"""Channels of an image."""

LEAST_TILE = 2
"""Latents along a side of a tile: a quarter of it, rounded down, overlaps with the next, and the rest is above 0."""

KNOWN: Mapping[str, Any] = {
    **METADATA,
    "_class_name": Literal["AutoencoderKL"],
    "act_fn": Literal["silu"],
    "block_out_channels": Sequence[int],
    "down_block_types": Sequence[Literal["DownEncoderBlock2D"]],
    "force_upcast": bool,
    "in_channels": Literal[3],
    "latent_channels": int,
    "latents_mean": type(None),
    "latents_std": type(None),
    "layers_per_block": int,
    "mid_block_add_attention": bool,
    "norm_num_groups": int,
    "out_channels": Literal[3],
    "sample_size": Any,
    "scaling_factor": float,
    "shift_factor": float | None,
    "up_block_types": Sequence[Literal["UpDecoderBlock2D"]],
    "use_post_quant_conv": bool,
    "use_quant_conv": bool,
}
"""The allow-list of entries; `sample_size` is of training, and `force_upcast` of pipelines in float16."""


class VAEDecoder(nn.Module):
    """The decoding half of an AutoencoderKL as `its.Decoder`: latents over the scaling factor, decoded, in [-1, 1].

    Args:
        vae: the whole, of whose other half nothing is kept; where it is to decode in slices or tiles, it does.
        latents: event shape (C, H, W) of the latents.
        scaling: factor that the latents of the model were multiplied by.
        shift: added after the division; 0 for Stable Diffusion's.
        blocks: channels of the VAE's blocks, of which all but one double a side.
    """

    def __init__(
        self, vae: Any, latents: tuple[int, int, int], scaling: float, shift: float, blocks: Sequence[int]
    ) -> None:
        super().__init__()
        channels, height, width = latents
        factor = 2 ** (len(blocks) - 1)
        vae.encoder = vae.quant_conv = None
        self.vae = vae
        self.shape: tuple[int, ...] = (COLOURS, factor * height, factor * width)
        self.channels = channels
        self.scaling = scaling
        self.shift = shift

    def forward(self, latents: Tensor) -> Tensor:
        """Decode latents `[n, C, H, W]` into images; gradients pass where a value lies inside of [-1, 1]."""
        return self.vae.decode(self.unscaled(latents.float()).to(self.vae.dtype)).sample.float().clamp(-1.0, 1.0)

    def unscaled(self, latents: Tensor) -> Tensor:
        """Return what the VAE itself calls latents."""
        return latents / self.scaling + self.shift


def decoder(
    vae: Weights,
    size: int,
    *,
    key: str | None = None,
    dtype: Dtype = "float32",
    slicing: bool = False,
    tiling: bool = False,
    device: torch.device | str = "cpu",
) -> VAEDecoder:
    """Load the decoder of a folder, or of the `vae` in a pipeline's.

    Args:
        size: side of the latents.
        key: variant of its weights; see `its.model.checkpoint.stored`.
        dtype: of its weights and activations. float16 overflows in Stable Diffusion's at some latents.
        slicing: decode one image at a time. tiling: decode a large image in overlapping tiles, whose seams are blended.

    Raises:
        ValueError: an entry of its configuration is not known, its tensors do not fit, or there is no such type.
    """
    # Read the configuration.
    check_values({"vae_dtype": dtype}, {"vae_dtype": Dtype}, "model.", {})
    folder = folder_of(vae)
    file = ConfigFile.read(folder / "config.json", OTHER)
    file.require(KNOWN)
    scaling, shift = file.get("scaling_factor", SCALING), file.get("shift_factor", None) or 0.0
    if not 0 < scaling < inf or abs(shift) == inf:
        raise file.refusal("scaling_factor", "it is above 0, and finite, and so is shift_factor")

    network = pretrained("AutoencoderKL", folder, vae, key, advice)
    network.use_slicing, network.use_tiling = slicing, tiling
    check_tiles(network)
    latents = (network.config.latent_channels, size, size)
    half = VAEDecoder(network, latents, scaling, shift, network.config.block_out_channels)
    return half.eval().requires_grad_(False).to(device, getattr(torch, dtype))


def check_tiles(vae: Any) -> None:
    """Refuse to decode in tiles whose size is none: they are of the size that the VAE was trained at.

    Raises:
        ValueError: naming the entry.
    """
    size = vae.config.sample_size
    if vae.use_tiling and not (isinstance(size, int) and vae.tile_latent_min_size >= LEAST_TILE):
        raise ValueError(
            f"sample_size of {vae.config._name_or_path}/config.json is {size}, of which no tiles can be made; set "
            "model.vae_tiling=false"
        )


def folder_of(vae: str) -> Path:
    """Return the folder with a VAE's configuration.

    Raises:
        ValueError: a file is named.
    """
    folder = locate(vae)
    if not folder.is_dir():
        raise ValueError(
            f"model.vae is {vae}, a file; give the folder that diffusers saved, with config.json beside its weights, "
            "such as stabilityai/sd-vae-ft-ema"
        )
    return folder / "vae" if (folder / "model_index.json").is_file() else folder


def advice(state: StateDict) -> str:
    """Say what to do with tensors that do not fit."""
    return "its config.json and its tensors disagree: fetch both again"
