"""PixArt-Sigma (Chen et al. 2024, arXiv:2403.04692)."""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor, nn

from its.model import latent_scheduler
from its.model.assembled import Guided, Running, TextPart, assembled
from its.model.captions import cleaners
from its.model.pipeline import Family, Pipeline
from its.model.prompted import PromptDenoiser
from its.model.text_cache import Text
from its.model.vae import decoder
from its.types import SpeedOnly
from its.weights import Device, Dtype, GuidanceInterval, GuidanceScale, Variant, Weights

FAMILY = Family(
    "PixArtSigmaPipeline",
    ("transformer", "PixArtTransformer2DModel", "Transformer2DModel"),
    {"text_encoder": ("T5EncoderModel", "T5Tokenizer")},
    {
        "use_additional_conditions": Literal[False],
        "caption_channels": int,
        "patch_size": Literal[2],
        "norm_type": Literal["ada_norm_single"],
        **dict.fromkeys(("double_self_attention", "only_cross_attention", "use_linear_projection"), Literal[False]),
        "num_vector_embeds": type(None),
    },
)
"""Published with the class, and entries, that diffusers had for it before 0.29."""


class MaskedTransformer(nn.Module):
    """A PixArtTransformer2DModel as a `TextNetwork`; the variance that it predicts too is left out."""

    def __init__(self, transformer: Any) -> None:
        super().__init__()
        self.transformer = transformer

    def forward(self, x: Tensor, time: Tensor, text: Text) -> Tensor:
        output = self.transformer(
            x,
            encoder_hidden_states=text["states"].to(x.dtype),
            encoder_attention_mask=text["mask"],
            timestep=time,
            added_cond_kwargs={"resolution": None, "aspect_ratio": None},
        ).sample
        return output[:, : x.shape[1]]


def encode(pipeline: Any, prompt: str, *, max_sequence_length: int, clean_caption: bool) -> Text:
    """Encode a prompt: `states [length, width]`, `mask [length]`."""
    states, mask, _, _ = pipeline.encode_prompt(
        prompt,
        do_classifier_free_guidance=False,
        device=pipeline.text_encoder.device,
        clean_caption=clean_caption,
        max_sequence_length=max_sequence_length,
    )
    return {"states": states[0], "mask": mask[0]}


def text_part(max_sequence_length: int, *, clean_caption: bool) -> TextPart:
    """Return the encoding of prompts, cleaned or not.

    Raises:
        ValueError: captions cannot be cleaned.
    """
    options = {"max_sequence_length": max_sequence_length, "clean_caption": clean_caption}
    return TextPart(encode, options, cleaners(clean_caption))


def load(
    weights: Weights,
    *,
    weights_key: Variant | None = None,
    size: int = 1024,
    negative_prompt: str = "",
    max_sequence_length: int = 300,
    clean_caption: bool = True,
    guidance_scale: GuidanceScale = 4.5,
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
    """Load a folder or hub name of a PixArtSigmaPipeline.

    Args:
        weights_key: variant of the network's weights (`fp16`); see `its.model.checkpoint.stored`.
        size: side of the images, in pixels, as it is given: sides are not moved to those of training.
        max_sequence_length: tokens of a prompt, which is cut or filled up to it.
        clean_caption: its pipeline's cleaning of captions, by two packages; else a prompt is put in lower case.
        negative_prompt, guidance_scale, guidance_interval: see `its.model.prompted.PromptDenoiser`.
        timestep_spacing: in place of the scheduler's own; see `its.model.latent_scheduler.read`.
        dtype, and what follows: see `its.model.assembled.Running`.

    Raises:
        ValueError: an entry of a configuration is not known, tensors do not fit, or captions cannot be cleaned.
    """
    # Read the configurations.
    text = text_part(max_sequence_length, clean_caption=clean_caption)
    pipeline = Pipeline.of(weights, FAMILY, weights_key)
    scheduler = latent_scheduler.read(pipeline.scheduler, timestep_spacing)
    pipeline.network_config().needed("use_additional_conditions")
    side = pipeline.side(size, patch=2)

    # Load the networks.
    running = Running(
        dtype, text_dtype, vae_dtype, vae_slicing, vae_tiling, attention, offload, channels_last, compile, device
    )
    decode = decoder(str(pipeline.folder), side, **running.vae)
    return assembled(
        pipeline,
        MaskedTransformer(pipeline.network(weights_key, dtype, attention)),
        scheduler.path,
        scheduler.prediction,
        (decode.channels, side, side),
        text,
        decode,
        Guided(guidance_scale, guidance_interval, negative_prompt),
        running,
    )
