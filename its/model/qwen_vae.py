"""The decoder of Qwen-Image's latents, diffusers' AutoencoderKLQwenImage: a VAE of videos, of which this is a frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from its.model.config_file import METADATA, ConfigFile
from its.model.diffusers_network import pretrained
from its.model.vae import advice
from its.weights import Dtype

OTHER = "choose a pipeline of Qwen-Image, or correct the entry if it is wrong"

KNOWN: Mapping[str, Any] = {
    **METADATA,
    "_class_name": Literal["AutoencoderKLQwenImage"],
    "attn_scales": Sequence[float],
    "base_dim": int,
    "dim_mult": Sequence[int],
    "dropout": float,
    "input_channels": Literal[3],
    "latents_mean": Sequence[float],
    "latents_std": Sequence[float],
    "num_res_blocks": int,
    "temperal_downsample": Sequence[bool],
    "z_dim": int,
}
"""The allow-list of entries; dropout is of training."""


class QwenDecoder(nn.Module):
    """The decoding half of an AutoencoderKLQwenImage as `its.Decoder`, of latents of mean 0 and variance 1.

    Args:
        vae: the whole, of whose other half nothing is kept.
        side: of the latents.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, vae: Any, side: int) -> None:
        super().__init__()
        vae.encoder, vae.quant_conv = nn.Identity(), None
        self.vae = vae
        factor = int(vae.spatial_compression_ratio)
        self.shape: tuple[int, ...] = (3, factor * side, factor * side)
        self.channels = int(vae.config.z_dim)
        for name in ("mean", "std"):
            values = torch.tensor(vae.config[f"latents_{name}"]).reshape(1, -1, 1, 1)
            self.register_buffer(name, values, persistent=False)

    def forward(self, latents: Tensor) -> Tensor:
        """Decode latents `[n, C, H, W]` into images in [-1, 1]; gradients pass where a value lies inside."""
        frames = (latents.float() * self.std + self.mean).to(self.vae.dtype).unsqueeze(2)
        return self.vae.decode(frames).sample[:, :, 0].float().clamp(-1.0, 1.0)


def decoder(folder: str, side: int, *, dtype: Dtype, slicing: bool, tiling: bool) -> QwenDecoder:
    """Load the decoder of a pipeline's folder; see `its.model.vae.decoder`.

    Args:
        side: of the latents.

    Raises:
        ValueError: an entry of its configuration is not known, or its tensors do not fit.
    """
    place = Path(folder) / "vae"
    file = ConfigFile.read(place / "config.json", OTHER)
    file.require(KNOWN)
    channels, halvings = file.needed("z_dim"), len(file.needed("dim_mult")) - 1
    for key, count in (("latents_mean", channels), ("latents_std", channels), ("temperal_downsample", halvings)):
        if len(file.needed(key)) != count:
            raise file.refusal(key, f"by z_dim and dim_mult it has {count} values")
    network = pretrained("AutoencoderKLQwenImage", place, folder, None, advice)
    network.use_slicing, network.use_tiling = slicing, tiling
    half = QwenDecoder(network, side).eval().requires_grad_(False)
    for weight in half.vae.parameters():
        weight.data = weight.data.to(getattr(torch, dtype))
    return half
