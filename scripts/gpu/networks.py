"""Networks of published sizes with random weights, as diffusers has them: what they cost, and not what they make."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from its.model.denoiser import NetworkDenoiser, Prediction
from its.model.run_as import run_as
from its.model.unet2d import UNet2D
from its.sampler.noise_paths import Flow, NoisePath, linear_vp
from its.types import Condition
from its.verifier.verifier import Verifier
from its.weights import Dtype

GUIDANCE, TEXT_TOKENS = 3.5, 512
"""Of FLUX.1-dev: the guidance that its network is told, and the tokens of a prompt."""


@dataclass(frozen=True)
class Size:
    """A network of a size, how it predicts, and a tiny one of the same class.

    Attributes:
        kind: class of diffusers. config, tiny: arguments of it.
        adapter: makes a `Network` of one.
        shape, tiny_shape: of the state.
        batch: rows to try; half as many where they do not fit.
        learned: whether the network predicts the variance of its steps too.
        conditional: whether it is given a class.
    """

    name: str
    kind: str
    config: Mapping[str, Any]
    tiny: Mapping[str, Any]
    shape: tuple[int, ...]
    tiny_shape: tuple[int, ...]
    batch: int
    adapter: Callable[[Any], nn.Module]
    path: NoisePath
    prediction: Prediction = "epsilon"
    clip: float | None = None
    learned: bool = False
    conditional: bool = False

    def denoiser(self, dtype: Dtype, device: torch.device, *, tiny: bool) -> NetworkDenoiser:
        """Make the network on the device, in its dtype from the first number on, as a model of the engine."""
        import diffusers

        before = torch.get_default_dtype()
        torch.set_default_dtype(getattr(torch, dtype))
        try:
            with device:
                network = getattr(diffusers, self.kind)(**(self.tiny if tiny else self.config))
        finally:
            torch.set_default_dtype(before)
        return NetworkDenoiser(
            run_as(self.adapter(network.eval().requires_grad_(False)), dtype),
            self.path,
            self.prediction,
            self.tiny_shape if tiny else self.shape,
            conditional=self.conditional,
            clip=self.clip,
            variance="learned" if self.learned else "fixed_small",
            device=device,
        )


class DiT(nn.Module):
    """A DiTTransformer2DModel as a `Network`."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, time: Tensor, label: Tensor | None) -> Tensor:
        return self.network(x, timestep=time, class_labels=label).sample


class Flux(nn.Module):
    """A FluxTransformer2DModel as a `Network` of latents, under one random prompt."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        config, weights = network.config, network.x_embedder.weight
        self._network = network
        self._prompt = torch.randn(1, TEXT_TOKENS, config.joint_attention_dim).to(weights)
        self._pooled = torch.randn(1, config.pooled_projection_dim).to(weights)

    def forward(self, x: Tensor, time: Tensor, label: Tensor | None) -> Tensor:
        # Four latent pixels are a token, which knows its row and column.
        n, tokens = len(x), pixel_unshuffle(x, 2)
        height, width = tokens.shape[-2:]
        places = torch.cartesian_prod(*(torch.arange(k, device=x.device) for k in (1, height, width)))
        output = self._network(
            hidden_states=tokens.flatten(2).transpose(1, 2),
            encoder_hidden_states=self._prompt.expand(n, -1, -1),
            pooled_projections=self._pooled.expand(n, -1),
            timestep=time,
            img_ids=places.to(x),
            txt_ids=x.new_zeros(TEXT_TOKENS, 3),
            guidance=x.new_full((n,), GUIDANCE),
            return_dict=False,
        )[0]
        return pixel_shuffle(output.transpose(1, 2).reshape(tokens.shape), 2)


class Projection(Verifier):
    """A verifier that costs next to nothing: a fixed random direction."""

    def __init__(self, shape: tuple[int, ...], device: torch.device) -> None:
        self._direction = torch.randn(shape, device=device)

    def reward(self, images: Tensor, conditions: Sequence[Condition]) -> Tensor:
        return (images * self._direction).flatten(1).mean(1)


def _unet(plain: str, attention: str, ways: Sequence[int]) -> dict[str, tuple[str, ...]]:
    """Return the types of a UNet2DModel's blocks; a 1 is one with attention."""
    down = tuple((plain, attention)[way].format("Down") for way in ways)
    return {"down_block_types": down, "up_block_types": tuple(block.replace("Down", "Up") for block in down[::-1])}


CIFAR = Size(
    "UNet2DModel, ddpm-cifar10-32",
    "UNet2DModel",
    {
        "sample_size": 32,
        "block_out_channels": (128, 256, 256, 256),
        "attention_head_dim": None,
        "downsample_padding": 0,
        "flip_sin_to_cos": False,
        "freq_shift": 1,
        "norm_eps": 1e-6,
        **_unet("{}Block2D", "Attn{}Block2D", (0, 1, 0, 0)),
    },
    {"sample_size": 8, "block_out_channels": (32, 32), **_unet("{}Block2D", "Attn{}Block2D", (0, 1))},
    (3, 32, 32),
    (3, 8, 8),
    512,
    UNet2D,
    linear_vp(),
    clip=1.0,
)
"""The configuration of google/ddpm-cifar10-32 (Ho et al. 2020): 35.7 M parameters."""

ADM = Size(
    "UNet2DModel, ADM-256",
    "UNet2DModel",
    {
        "sample_size": 256,
        "out_channels": 6,
        "block_out_channels": (256, 256, 512, 512, 1024, 1024),
        "attention_head_dim": 64,
        "resnet_time_scale_shift": "scale_shift",
        "downsample_type": "resnet",
        "upsample_type": "resnet",
        "num_class_embeds": 1000,
        **_unet("Resnet{}sampleBlock2D", "Attn{}Block2D", (0, 0, 0, 1, 1, 1)),
    },
    {
        "sample_size": 8,
        "out_channels": 6,
        "block_out_channels": (32, 32),
        "attention_head_dim": 32,
        "resnet_time_scale_shift": "scale_shift",
        "downsample_type": "resnet",
        "upsample_type": "resnet",
        "num_class_embeds": 1000,
        **_unet("Resnet{}sampleBlock2D", "Attn{}Block2D", (0, 1)),
    },
    (3, 256, 256),
    (3, 8, 8),
    32,
    UNet2D,
    linear_vp(),
    clip=1.0,
    learned=True,
    conditional=True,
)
"""ADM's 256x256 network (Dhariwal and Nichol 2021) as UNet2DModel can be configured, 553.8 M parameters: 256 channels
times 1, 1, 2, 2, 4, 4, two residual blocks, attention of 64 channels a head at 32, 16 and 8, scale-shift norms,
resampling in residual blocks, classes, a learned variance."""

DIT = Size(
    "DiTTransformer2DModel, XL/2 at 256",
    "DiTTransformer2DModel",
    {"out_channels": 8, "attention_bias": True},
    {
        "out_channels": 8,
        "attention_bias": True,
        "num_layers": 1,
        "num_attention_heads": 2,
        "attention_head_dim": 8,
        "sample_size": 8,
    },
    (4, 32, 32),
    (4, 8, 8),
    128,
    DiT,
    linear_vp(),
    learned=True,
    conditional=True,
)
"""DiT-XL/2 at 256x256 (Peebles and Xie 2022), the configuration of facebook/DiT-XL-2-256: 28 layers, 16 heads of 72
channels, latents of 4 x 32 x 32."""

FLUX = Size(
    "FluxTransformer2DModel, FLUX.1-dev at 1024",
    "FluxTransformer2DModel",
    {"guidance_embeds": True},
    {
        "guidance_embeds": True,
        "num_layers": 1,
        "num_single_layers": 1,
        "attention_head_dim": 16,
        "num_attention_heads": 2,
        "joint_attention_dim": 32,
        "pooled_projection_dim": 16,
        "axes_dims_rope": (4, 6, 6),
    },
    (16, 128, 128),
    (16, 4, 4),
    4,
    Flux,
    Flow(),
    prediction="flow",
)
"""FLUX.1-dev's (Black Forest Labs 2024), 11.9 G parameters: 19 and 38 layers, latents of 16 x 128 x 128, 512 tokens of
text."""
