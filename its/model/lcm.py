"""Latent consistency models (Luo et al. 2023, arXiv:2310.04378), of Stable Diffusion 1.5's size."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from its.levels import Columns, Guess
from its.model.assembled import Guided, Running, TextPart, assembled
from its.model.latent_scheduler import read_consistency
from its.model.pipeline import Family, Pipeline
from its.model.prompted import PromptDenoiser
from its.model.sd15 import FAMILY as SD15
from its.model.sd15 import encode
from its.model.text_cache import Text
from its.model.vae import decoder
from its.types import Condition, SpeedOnly
from its.weights import Device, Dtype, Variant, Weights

FAMILY = Family("LatentConsistencyModelPipeline", SD15.network, SD15.encoders, {**SD15.call, "time_cond_proj_dim": int})

SIGMA_DATA = 0.5
"""Of the boundary condition, in diffusers' LCMScheduler."""

LEAST_WIDTH = 4
"""Of the embedding of guidance, whose frequencies go from one to another."""


class GuidedUNet(nn.Module):
    """A UNet2DConditionModel that is told a guidance, as a `TextNetwork`.

    Args:
        guidance: of which less one is embedded, by the pipeline's own code: angles are large, and rounding is felt.
    """

    embedding: Tensor

    def __init__(self, unet: Any, guidance: float) -> None:
        from diffusers import LatentConsistencyModelPipeline

        super().__init__()
        self.unet = unet
        embed: Any = LatentConsistencyModelPipeline.get_guidance_scale_embedding
        embedding = embed(None, torch.tensor([guidance - 1.0]), unet.config.time_cond_proj_dim)
        self.register_buffer("embedding", embedding, persistent=False)

    def forward(self, x: Tensor, time: Tensor, text: Text) -> Tensor:
        guidance = self.embedding.to(x.dtype).expand(len(x), -1)
        return self.unet(x, time, timestep_cond=guidance, encoder_hidden_states=text["states"].to(x.dtype)).sample


class ConsistencyDenoiser(PromptDenoiser):
    """A `PromptDenoiser` whose guess is the consistency function: x_t itself where there is no noise.

    Args:
        timestep_scaling: of times in the boundary condition.
    """

    def __init__(self, *parts: Any, timestep_scaling: float, **options: Any) -> None:
        super().__init__(*parts, **options)
        self._scaling = timestep_scaling

    def __call__(self, x: Tensor, levels: Columns, conditions: Sequence[Condition]) -> Guess:
        guess, time = super().__call__(x, levels, conditions), self._scaling * levels.time
        total = time**2 + SIGMA_DATA**2
        x0 = (time / total.sqrt()).to(x) * guess.x0 + (SIGMA_DATA**2 / total).to(x) * x
        return guess._replace(x0=x0, eps=(x - levels.alpha.to(x) * x0) / levels.sigma.to(x))


def load(
    weights: Weights,
    *,
    weights_key: Variant | None = None,
    size: int = 512,
    distilled_guidance: float = 8.5,
    dtype: Dtype = "float32",
    text_dtype: Dtype = "float32",
    vae_dtype: Dtype = "float32",
    vae_slicing: bool = False,
    vae_tiling: bool = False,
    attention: str | None = None,
    offload: SpeedOnly[bool] = False,
    channels_last: bool = False,
    compile: bool = False,
    device: Device = "cpu",
) -> PromptDenoiser:
    """Load a folder or hub name of a LatentConsistencyModelPipeline.

    Args:
        weights_key: variant of the network's weights; see `its.model.checkpoint.stored`.
        size: side of the images, in pixels.
        distilled_guidance: what the network is told of guidance, in one evaluation; 1 is none.
        dtype, and what follows: see `its.model.assembled.Running`.

    Raises:
        ValueError: an entry of a configuration is not known, or tensors do not fit.
    """
    # Read the configurations.
    pipeline = Pipeline.of(weights, FAMILY, weights_key)
    scheduler = read_consistency(pipeline.scheduler)
    config = pipeline.network_config()
    if config.needed("time_cond_proj_dim") < LEAST_WIDTH:
        raise config.refusal("time_cond_proj_dim", f"guidance is embedded in at least {LEAST_WIDTH} numbers")
    side = pipeline.side(size)

    # Load the networks.
    running = Running(
        dtype, text_dtype, vae_dtype, vae_slicing, vae_tiling, attention, offload, channels_last, compile, device
    )
    unet = pipeline.network(weights_key, dtype, attention)
    decode = decoder(str(pipeline.folder), side, **running.vae)
    return assembled(
        pipeline,
        GuidedUNet(unet, distilled_guidance),
        scheduler.path,
        scheduler.prediction,
        (decode.channels, side, side),
        TextPart(encode),
        decode,
        Guided(),
        running,
        partial(ConsistencyDenoiser, timestep_scaling=scheduler.timestep_scaling),
    )
