"""SDXL (Podell et al. 2023, arXiv:2307.01952), and networks that were distilled of it, such as SDXL-Lightning's."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from its.model import latent_scheduler
from its.model.assembled import Guided, Running, TextPart, assembled
from its.model.pipeline import Family, Pipeline
from its.model.prompted import PromptDenoiser
from its.model.scheduler_entries import Prediction
from its.model.text_cache import Text
from its.model.vae import decoder
from its.types import SpeedOnly
from its.weights import Device, Dtype, GuidanceInterval, GuidanceScale, Variant, Weights

FAMILY = Family(
    "StableDiffusionXLPipeline",
    ("unet", "UNet2DConditionModel"),
    {
        "text_encoder": ("CLIPTextModel", "CLIPTokenizer"),
        "text_encoder_2": ("CLIPTextModelWithProjection", "CLIPTokenizer"),
    },
    {
        "addition_embed_type": Literal["text_time"],
        "addition_time_embed_dim": int,
        **dict.fromkeys(
            ("class_embed_type", "encoder_hid_dim_type", "num_class_embeds", "time_cond_proj_dim"), type(None)
        ),
    },
    entries={"force_zeros_for_empty_prompt": bool},
)


class SizedUNet(nn.Module):
    """A UNet2DConditionModel that is told the size of an image, uncropped, as a `TextNetwork`."""

    sizes: Tensor

    def __init__(self, unet: Any, size: int) -> None:
        super().__init__()
        self.unet = unet
        sizes = torch.tensor([size, size, 0, 0, size, size], dtype=torch.float32)
        self.register_buffer("sizes", sizes, persistent=False)

    def forward(self, x: Tensor, time: Tensor, text: Text) -> Tensor:
        added = {"text_embeds": text["pooled"].to(x.dtype), "time_ids": self.sizes.to(x.dtype).expand(len(x), -1)}
        return self.unet(x, time, encoder_hidden_states=text["states"].to(x.dtype), added_cond_kwargs=added).sample


def encode(pipeline: Any, prompt: str) -> Text:
    """Encode a prompt by both encoders: `states [77, width]`, `pooled [width]`."""
    states, _, pooled, _ = pipeline.encode_prompt(
        prompt, device=pipeline.text_encoder.device, do_classifier_free_guidance=False
    )
    return {"states": states[0], "pooled": pooled[0]}


def load(
    weights: Weights,
    *,
    unet: Weights | None = None,
    weights_key: Variant | None = None,
    size: int = 1024,
    negative_prompt: str | None = None,
    guidance_scale: GuidanceScale = 5.0,
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
    """Load a folder or hub name of a StableDiffusionXLPipeline.

    Args:
        unet: a state dict of another network of the same sizes, which predicts what the pipeline's own does.
        weights_key: variant of the network's weights (`fp16`); see `its.model.checkpoint.stored`.
        size: side of the images, in pixels, which the network is told too.
        negative_prompt: None is zeros where the pipeline's force_zeros_for_empty_prompt says so, else the empty text.
        guidance_scale, guidance_interval: see `its.model.prompted.PromptDenoiser`.
        timestep_spacing: in place of the scheduler's own; see `its.model.latent_scheduler.read`.
        dtype, and what follows: see `its.model.assembled.Running`.

    Raises:
        ValueError: an entry of a configuration is not known, or tensors do not fit.
    """
    # Read the configurations.
    pipeline = Pipeline.of(weights, FAMILY, weights_key)
    scheduler = latent_scheduler.read(pipeline.scheduler, timestep_spacing)
    check_network(pipeline, unet, scheduler.prediction)
    side = pipeline.side(size)
    if negative_prompt is None and not pipeline.index.get("force_zeros_for_empty_prompt", True):
        negative_prompt = ""

    # Load the networks.
    running = Running(
        dtype, text_dtype, vae_dtype, vae_slicing, vae_tiling, attention, offload, channels_last, compile, device
    )
    network = pipeline.network(weights_key, dtype, attention, unet)
    decode = decoder(str(pipeline.folder), side, **running.vae)
    return assembled(
        pipeline,
        SizedUNet(network, size),
        scheduler.path,
        scheduler.prediction,
        (decode.channels, side, side),
        TextPart(encode),
        decode,
        Guided(guidance_scale, guidance_interval, negative_prompt),
        running,
    )


def check_network(pipeline: Pipeline, unet: str | None, prediction: Prediction) -> None:
    """Refuse a network without a width for sizes, and one that by its name predicts x0 where the scheduler's does not.

    Raises:
        ValueError: naming the entry, or both files.
    """
    pipeline.network_config().needed("addition_time_embed_dim")
    if unet is not None and Path(unet).stem.endswith("_x0") and prediction != "sample":
        raise ValueError(
            f"model.unet is {unet}, which predicts x0 by its name, and by {pipeline.scheduler} a network of this "
            f"pipeline predicts {prediction}; take a file of two, four or eight steps"
        )
