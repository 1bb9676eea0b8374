"""Stable Diffusion 1.5 (Rombach et al. 2022, arXiv:2112.10752), and other checkpoints of StableDiffusionPipeline."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from its.model import latent_scheduler
from its.model.assembled import Guided, Running, TextPart, assembled
from its.model.pipeline import Family, Pipeline
from its.model.prompted import PromptDenoiser
from its.model.text_cache import Text
from its.model.vae import decoder
from its.types import SpeedOnly
from its.weights import Device, Dtype, GuidanceInterval, GuidanceScale, Variant, Weights

FAMILY = Family(
    "StableDiffusionPipeline",
    ("unet", "UNet2DConditionModel"),
    {"text_encoder": ("CLIPTextModel", "CLIPTokenizer")},
    dict.fromkeys(
        ("addition_embed_type", "class_embed_type", "encoder_hid_dim_type", "num_class_embeds", "time_cond_proj_dim"),
        type(None),
    ),
)


class TextUNet(nn.Module):
    """A UNet2DConditionModel as a `TextNetwork`."""

    def __init__(self, unet: Any) -> None:
        super().__init__()
        self.unet = unet

    def forward(self, x: Tensor, time: Tensor, text: Text) -> Tensor:
        return self.unet(x, time, encoder_hidden_states=text["states"].to(x.dtype)).sample


def encode(pipeline: Any, prompt: str) -> Text:
    """Encode a prompt: `states [77, width]`."""
    states, _ = pipeline.encode_prompt(prompt, pipeline.text_encoder.device, 1, False)
    return {"states": states[0]}


def load(
    weights: Weights,
    *,
    weights_key: Variant | None = None,
    size: int = 512,
    negative_prompt: str = "",
    guidance_scale: GuidanceScale = 7.5,
    guidance_interval: GuidanceInterval | None = None,
    timestep_spacing: str | None = None,
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
    """Load a folder or hub name of a StableDiffusionPipeline.

    Args:
        weights_key: variant of the network's weights (`fp16`); see `its.model.checkpoint.stored`.
        size: side of the images, in pixels.
        negative_prompt, guidance_scale, guidance_interval: see `its.model.prompted.PromptDenoiser`.
        timestep_spacing: in place of the scheduler's own; see `its.model.latent_scheduler.read`.
        dtype, and what follows: see `its.model.assembled.Running`.

    Raises:
        ValueError: an entry of a configuration is not known, or tensors do not fit.
    """
    # Read the configurations.
    pipeline = Pipeline.of(weights, FAMILY, weights_key)
    scheduler = latent_scheduler.read(pipeline.scheduler, timestep_spacing)
    if scheduler.offset != 1:
        raise ValueError(
            f"steps_offset of {pipeline.scheduler} is {scheduler.offset}, and diffusers' pipeline takes 1 in its "
            'place; write "steps_offset": 1'
        )
    side = pipeline.side(size)

    # Load the networks.
    running = Running(
        dtype, text_dtype, vae_dtype, vae_slicing, vae_tiling, attention, offload, channels_last, compile, device
    )
    unet = pipeline.network(weights_key, dtype, attention)
    decode = decoder(str(pipeline.folder), side, **running.vae)
    return assembled(
        pipeline,
        TextUNet(unet),
        scheduler.path,
        scheduler.prediction,
        (decode.channels, side, side),
        TextPart(encode),
        decode,
        Guided(guidance_scale, guidance_interval, negative_prompt),
        running,
    )
