"""Qwen-Image (Wu et al. 2025, arXiv:2508.02324)."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from its.model.assembled import Guided, Running, TextPart, assembled, check_options
from its.model.flow_scheduler import qwen_path
from its.model.flux_parts import packed, unpacked, with_exact_time
from its.model.pipeline import Family, Pipeline
from its.model.prompted import PromptDenoiser
from its.model.qwen_vae import decoder
from its.model.text_cache import Text
from its.types import SpeedOnly
from its.weights import Device, Dtype, GuidanceInterval, GuidanceScale, Variant, Weights

FAMILY = Family(
    "QwenImagePipeline",
    ("transformer", "QwenImageTransformer2DModel"),
    {"text_encoder": ("Qwen2_5_VLForConditionalGeneration", "Qwen2Tokenizer")},
    {
        "patch_size": Literal[2],
        **dict.fromkeys(
            ("guidance_embeds", "use_additional_t_cond", "use_layer3d_rope", "zero_cond_t"), Literal[False]
        ),
        "pooled_projection_dim": Any,
    },
    vae="AutoencoderKLQwenImage",
    resolutions="dim_mult",
)
"""`pooled_projection_dim` was a parameter of the class without a use, before diffusers 0.35."""

LONGEST = 1024
"""The most tokens of a prompt that the pipeline takes."""


class MaskedTokenTransformer(nn.Module):
    """A QwenImageTransformer2DModel as a `TextNetwork`, of latents that are not packed."""

    def __init__(self, transformer: Any) -> None:
        super().__init__()
        self.transformer = transformer
        self.exact_time = with_exact_time(transformer.time_text_embed, scale=1.0)

    def forward(self, x: Tensor, time: Tensor, text: Text) -> Tensor:
        height, width = x.shape[2:]
        self.exact_time.say(time)
        tokens = self.transformer(
            hidden_states=packed(x),
            encoder_hidden_states=text["states"].to(x.dtype),
            encoder_hidden_states_mask=text["mask"],
            timestep=time,
            img_shapes=[[(1, height // 2, width // 2)]] * len(x),
            guidance=None,
        ).sample
        return unpacked(tokens, height, width)


def rescaled(guided: Tensor, conditional: Tensor) -> Tensor:
    """Return a guided prediction whose tokens have the norms of the conditional one's."""
    tokens = packed(guided)
    norms = packed(conditional).norm(dim=-1, keepdim=True) / tokens.norm(dim=-1, keepdim=True)
    return unpacked(tokens * norms, *guided.shape[2:])


def encode(pipeline: Any, prompt: str, *, max_sequence_length: int) -> Text:
    """Encode a prompt: `states [length, width]`, filled up with zeros, and `mask [length]` of what is not."""
    states, _ = pipeline.encode_prompt(
        prompt, device=pipeline.text_encoder.device, max_sequence_length=max_sequence_length
    )
    length = states.shape[1]
    mask = torch.arange(max_sequence_length, device=states.device) < length
    return {"states": functional.pad(states[0], (0, 0, 0, max_sequence_length - length)), "mask": mask}


def load(
    weights: Weights,
    *,
    weights_key: Variant | None = None,
    size: int = 1328,
    negative_prompt: str | None = " ",
    max_sequence_length: int = 512,
    guidance_scale: GuidanceScale = 4.0,
    guidance_interval: GuidanceInterval | None = None,
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
    """Load a folder or hub name of a QwenImagePipeline.

    Args:
        weights_key: variant of the network's weights; see `its.model.checkpoint.stored`.
        size: side of the images, in pixels, by which the times are shifted.
        negative_prompt: what guidance leads away from; with None there is none, as in the pipeline.
        max_sequence_length: tokens of a prompt, which is cut or filled up to it. The network is given a mask, so that
            what is filled up decides nothing but time and memory.
        guidance_scale, guidance_interval: the pipeline's true_cfg_scale, see `its.model.prompted.PromptDenoiser`. Times
            go from 1 at noise to 0.
        dtype, and what follows: see `its.model.assembled.Running`.

    Raises:
        ValueError: an entry of a configuration is not known, tensors do not fit, or there is nothing to guide by.
    """
    # Read the configurations.
    check_options(guidance_scale, max_sequence_length, LONGEST)
    check_negative(negative_prompt, guidance_scale)
    pipeline = Pipeline.of(weights, FAMILY, weights_key)
    side = pipeline.side(size, patch=2)
    path = qwen_path(pipeline.scheduler, (side // 2) ** 2)

    # Load the networks.
    running = Running(
        dtype, text_dtype, vae_dtype, vae_slicing, vae_tiling, attention, offload, channels_last, compile, device
    )
    decode = decoder(str(pipeline.folder), side, **running.vae)
    return assembled(
        pipeline,
        MaskedTokenTransformer(pipeline.network(weights_key, dtype, attention)),
        path,
        "flow",
        (decode.channels, side, side),
        TextPart(encode, {"max_sequence_length": max_sequence_length}),
        decode,
        Guided(guidance_scale, guidance_interval, negative_prompt, rescaled),
        running,
    )


def check_negative(negative_prompt: str | None, guidance_scale: float) -> None:
    """Refuse guidance without a negative prompt, which the pipeline leaves out.

    Raises:
        ValueError: naming the remedy.
    """
    if negative_prompt is None and guidance_scale != 1.0:
        raise ValueError(
            f"model.negative_prompt is null and model.guidance_scale {guidance_scale}; without a negative prompt "
            "Qwen-Image guides nothing: set model.guidance_scale=1, or \"model.negative_prompt=' '\""
        )
