"""FLUX.1 (Black Forest Labs 2024): dev, whose guidance is distilled, and schnell, which has none."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from its.model.assembled import Guided, Running, TextPart, assembled
from its.model.config_file import ConfigFile
from its.model.flow_scheduler import flux_path
from its.model.flux_parts import check_axes, packed, positions, unpacked, with_exact_time
from its.model.pipeline import Family, Pipeline
from its.model.prompted import PromptDenoiser
from its.model.text_cache import Text
from its.model.vae import decoder
from its.types import SpeedOnly
from its.weights import Device, Dtype, GuidanceInterval, GuidanceScale, Variant, Weights

FAMILY = Family(
    "FluxPipeline",
    ("transformer", "FluxTransformer2DModel"),
    {"text_encoder": ("CLIPTextModel", "CLIPTokenizer"), "text_encoder_2": ("T5EncoderModel", "T5Tokenizer")},
    {"guidance_embeds": bool, "patch_size": Literal[1]},
    shifted=True,
)


class PackedTransformer(nn.Module):
    """A FluxTransformer2DModel as a `TextNetwork`, of latents that are not packed.

    Args:
        side: of the latents.
        length: tokens of a prompt.
        guidance: what the network is told of guidance; None where it takes none.
    """

    image_places: Tensor
    text_places: Tensor

    def __init__(self, transformer: Any, side: int, length: int, guidance: float | None) -> None:
        super().__init__()
        self.transformer = transformer
        self.exact_time = with_exact_time(transformer.time_text_embed)
        self.register_buffer("image_places", positions(1, side // 2, side // 2), persistent=False)
        self.register_buffer("text_places", torch.zeros(length, 3), persistent=False)
        self._guidance = guidance

    def forward(self, x: Tensor, time: Tensor, text: Text) -> Tensor:
        guidance = None if self._guidance is None else torch.full_like(time, self._guidance)
        self.exact_time.say(time, guidance)
        tokens = self.transformer(
            hidden_states=packed(x),
            encoder_hidden_states=text["states"].to(x.dtype),
            pooled_projections=text["pooled"].to(x.dtype),
            timestep=time,
            guidance=guidance,
            img_ids=self.image_places,
            txt_ids=self.text_places,
        ).sample
        return unpacked(tokens, *x.shape[2:])


def encode(pipeline: Any, prompt: str, *, max_sequence_length: int) -> Text:
    """Encode a prompt by both encoders: `states [length, width]` of T5, `pooled [width]` of CLIP."""
    states, pooled, _ = pipeline.encode_prompt(
        prompt, device=pipeline.text_encoder.device, max_sequence_length=max_sequence_length
    )
    return {"states": states[0], "pooled": pooled[0]}


def load(
    weights: Weights,
    *,
    weights_key: Variant | None = None,
    size: int = 1024,
    distilled_guidance: float | None = 3.5,
    negative_prompt: str = "",
    max_sequence_length: int = 512,
    guidance_scale: GuidanceScale = 1.0,
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
    """Load a folder or hub name of a FluxPipeline.

    Args:
        weights_key: variant of the network's weights; see `its.model.checkpoint.stored`.
        size: side of the images, in pixels, by which the shift of times goes where the scheduler's is dynamic.
        distilled_guidance: what dev's network is told of guidance, in one evaluation; None for schnell's.
        max_sequence_length: T5's tokens of a prompt, which is cut or filled up to it.
        negative_prompt, guidance_scale, guidance_interval: of guidance by a second evaluation (diffusers'
            true_cfg_scale); see `its.model.prompted.PromptDenoiser`. Times go from 1 at noise to 0.
        dtype, and what follows: see `its.model.assembled.Running`.

    Raises:
        ValueError: an entry of a configuration is not known, tensors do not fit, or the network's guidance is not as
            `distilled_guidance` says.
    """
    # Read the configurations.
    pipeline = Pipeline.of(weights, FAMILY, weights_key)
    side = pipeline.side(size, patch=2)
    path = flux_path(pipeline.scheduler, (side // 2) ** 2)
    check_network(pipeline.network_config(), distilled_guidance)

    # Load the networks.
    running = Running(
        dtype, text_dtype, vae_dtype, vae_slicing, vae_tiling, attention, offload, channels_last, compile, device
    )
    transformer = pipeline.network(weights_key, dtype, attention)
    decode = decoder(str(pipeline.folder), side, **running.vae)
    return assembled(
        pipeline,
        PackedTransformer(transformer, side, max_sequence_length, distilled_guidance),
        path,
        "flow",
        (decode.channels, side, side),
        TextPart(encode, {"max_sequence_length": max_sequence_length}),
        decode,
        Guided(guidance_scale, guidance_interval, negative_prompt),
        running,
    )


def check_network(config: ConfigFile, distilled_guidance: float | None) -> None:
    """Refuse guidance that a network is not told, or none that it must be, and other axes of positions.

    Raises:
        ValueError: naming the remedy.
    """
    check_axes(config, (16, 56, 56), 128)
    embeds = config.needed("guidance_embeds")
    if embeds and distilled_guidance is None:
        raise ValueError(
            f"model.distilled_guidance is null, and by {config.path} this network is told a guidance; set "
            "model.distilled_guidance=3.5, as FLUX.1-dev was published with"
        )
    if not embeds and distilled_guidance is not None:
        raise ValueError(
            f"model.distilled_guidance is {distilled_guidance}, and by {config.path} this network is told none; set "
            "model.distilled_guidance=null, or choose model=flux_schnell"
        )
