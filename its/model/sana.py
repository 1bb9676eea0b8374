"""SANA (Xie et al. 2024, arXiv:2410.10629), and SANA 1.5 (Xie et al. 2025, arXiv:2501.18427)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from inspect import signature
from typing import Any, Literal

from torch import Tensor, nn

from its.model.assembled import Guided, Running, TextPart, assembled
from its.model.captions import cleaners
from its.model.config_file import ConfigFile
from its.model.dc_ae import decoder
from its.model.flow_scheduler import sana_scheduler
from its.model.pipeline import Family, Pipeline
from its.model.prompted import PromptDenoiser
from its.model.text_cache import Text
from its.model.vae import VAEDecoder
from its.types import SpeedOnly
from its.weights import Device, Dtype, GuidanceInterval, GuidanceScale, Variant, Weights

FAMILY = Family(
    "SanaPipeline",
    ("transformer", "SanaTransformer2DModel"),
    {"text_encoder": ("Gemma2Model", "GemmaTokenizer")},
    {"guidance_embeds": Literal[False], "patch_size": int, "timestep_scale": float},
    vae="AutoencoderDC",
    resolutions="encoder_block_out_channels",
)

INSTRUCTION = "complex_human_instruction"
"""diffusers' name of the text that stands before a prompt."""


class LinearTransformer(nn.Module):
    """A SanaTransformer2DModel as a `TextNetwork`; a variance that it predicts too is left out.

    Args:
        whole: it is told whole times, those cut off.
    """

    def __init__(self, transformer: Any, *, whole: bool) -> None:
        super().__init__()
        self.transformer = transformer
        self._whole = whole
        self._scale = float(transformer.config.timestep_scale)

    def forward(self, x: Tensor, time: Tensor, text: Text) -> Tensor:
        output = self.transformer(
            x,
            encoder_hidden_states=text["states"].to(x.dtype),
            encoder_attention_mask=text["mask"],
            timestep=(time.trunc() if self._whole else time) * self._scale,
        ).sample
        return output[:, : x.shape[1]]


def encode(pipeline: Any, prompt: str, **options: Any) -> Text:
    """Encode a prompt: `states [length, width]`, `mask [length]`.

    Args:
        options: of the pipeline's `encode_prompt`.
    """
    states, mask, _, _ = pipeline.encode_prompt(
        prompt, do_classifier_free_guidance=False, device=pipeline.text_encoder.device, **options
    )
    return {"states": states[0], "mask": mask[0]}


def text_part(
    family: Family,
    encode: Callable[..., Text],
    max_sequence_length: int,
    clean_caption: bool,
    complex_human_instruction: bool,
) -> TextPart:
    """Return what a family makes of a text; its instruction is a default of its pipeline's own call.

    Raises:
        ValueError: captions cannot be cleaned, or there is no room for a token.
    """
    import diffusers

    if max_sequence_length < 2:
        raise ValueError(f"model.max_sequence_length is {max_sequence_length}; it is at least 2")
    parameters = signature(getattr(diffusers, family.pipeline).__call__).parameters
    options = {
        "max_sequence_length": max_sequence_length,
        "clean_caption": clean_caption,
        INSTRUCTION: parameters[INSTRUCTION].default if complex_human_instruction else None,
    }
    return TextPart(encode, options, cleaners(clean_caption))


def patch_of(config: ConfigFile) -> int:
    """Return the latents along a side that a transformer takes as one.

    Raises:
        ValueError: there are none.
    """
    patch = config.get("patch_size", 1)
    if patch < 1:
        raise config.refusal("patch_size", "it is at least 1")
    return int(patch)


def networks(
    pipeline: Pipeline, key: str | None, side: int, running: Running, *, variance: bool
) -> tuple[Any, VAEDecoder]:
    """Load a transformer, and the decoder of latents of a side.

    Args:
        key: variant of the transformer's weights.
        variance: it may predict one too.

    Raises:
        ValueError: tensors do not fit, or the transformer is not of the decoder's latents.
    """
    transformer = pipeline.network(key, running.dtype, running.attention)
    decode = decoder(str(pipeline.folder), side, **running.vae)
    rule, config = f"the decoder's latents have {decode.channels}", pipeline.network_config()
    if transformer.config.in_channels != decode.channels:
        raise config.refusal("in_channels", rule)
    if transformer.config.out_channels not in (None, decode.channels, *([2 * decode.channels] if variance else [])):
        raise config.refusal("out_channels", rule)
    return transformer, decode


def load(
    weights: Weights,
    *,
    weights_key: Variant | None = None,
    size: int = 1024,
    negative_prompt: str = "",
    max_sequence_length: int = 300,
    complex_human_instruction: bool = True,
    clean_caption: bool = False,
    guidance_scale: GuidanceScale = 4.5,
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
    """Load a folder or hub name of a SanaPipeline.

    Args:
        weights_key: variant of the network's weights (`fp16`, `bf16`); see `its.model.checkpoint.stored`.
        size: side of the images, in pixels, as it is given: sides are not moved to those of training.
        max_sequence_length: tokens of a prompt that the network is given: the first of all, and the last.
        complex_human_instruction: diffusers' own text stands before a prompt, and before the negative one none.
        clean_caption: diffusers' cleaning of captions, which needs two packages; else a prompt is put in lower case.
        negative_prompt, guidance_scale, guidance_interval: see `its.model.prompted.PromptDenoiser`. Times go from 1000
            at noise to 0.
        dtype, and what follows: see `its.model.assembled.Running`.

    Raises:
        ValueError: an entry of a configuration is not known, tensors do not fit, or captions cannot be cleaned.
    """
    # Read the configurations.
    text = text_part(FAMILY, encode, max_sequence_length, clean_caption, complex_human_instruction)
    pipeline = Pipeline.of(weights, FAMILY, weights_key)
    scheduler = sana_scheduler(pipeline.scheduler)
    side = pipeline.side(size, patch=patch_of(pipeline.network_config()))

    # Load the networks.
    running = Running(
        dtype, text_dtype, vae_dtype, vae_slicing, vae_tiling, attention, offload, channels_last, compile, device
    )
    transformer, decode = networks(pipeline, weights_key, side, running, variance=True)
    return assembled(
        pipeline,
        LinearTransformer(transformer, whole=scheduler.whole),
        scheduler.path,
        "flow",
        (decode.channels, side, side),
        replace(text, negative={INSTRUCTION: None}),
        decode,
        Guided(guidance_scale, guidance_interval, negative_prompt),
        running,
    )
