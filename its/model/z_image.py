"""Z-Image (Alibaba's Tongyi Lab 2025, arXiv:2511.22699): the base model, and Turbo, which is distilled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from its.model.assembled import Guided, Running, TextPart, assembled, check_options
from its.model.classifier_free import Rescale
from its.model.config_file import ConfigFile
from its.model.flow_scheduler import flux_path
from its.model.pipeline import Family, Pipeline
from its.model.prompted import PromptDenoiser
from its.model.text_cache import Text
from its.model.vae import decoder
from its.types import SpeedOnly
from its.weights import Device, Dtype, GuidanceInterval, GuidanceScale, Variant, Weights

FAMILY = Family(
    "ZImagePipeline",
    ("transformer", "ZImageTransformer2DModel"),
    {"text_encoder": ("Qwen3Model", "Qwen2Tokenizer")},
    {
        "all_patch_size": Sequence[Literal[2]],
        "all_f_patch_size": Sequence[Literal[1]],
        "axes_lens": Sequence[int],
        "siglip_feat_dim": type(None),
    },
    shifted=True,
)

MULTIPLE = 32
"""The network fills a prompt up to a multiple of so many tokens, and places the image behind them."""


class ListTransformer(nn.Module):
    """A ZImageTransformer2DModel, of lists of rows of any length, as a `TextNetwork`; its output is negated."""

    def __init__(self, transformer: Any) -> None:
        super().__init__()
        self.transformer = transformer

    def forward(self, x: Tensor, time: Tensor, text: Text) -> Tensor:
        states = text["states"].to(x.dtype)
        captions = [row[:length] for row, length in zip(states, text["length"].tolist(), strict=True)]
        rows = self.transformer([*x.unsqueeze(2)], 1.0 - time, captions).sample
        return -torch.stack(rows).squeeze(2)


def encode(pipeline: Any, prompt: str, *, max_sequence_length: int) -> Text:
    """Encode a prompt: `states [most, width]`, filled up with zeros that are left out, and their `length`."""
    [states], _ = pipeline.encode_prompt(
        prompt,
        device=pipeline.text_encoder.device,
        do_classifier_free_guidance=False,
        max_sequence_length=max_sequence_length,
    )
    length = len(states)
    return {
        "states": functional.pad(states, (0, 0, 0, max_sequence_length - length)),
        "length": torch.tensor(length),
    }


def clamp_to(limit: float) -> Rescale:
    """Return the rule by which a row of a guided prediction has at most `limit` times the conditional's norm.

    Raises:
        ValueError: the limit is not above 0.
    """

    if not limit > 0:
        raise ValueError(f"model.norm_limit is {limit}; it is above 0, or null to limit nothing")

    def clamped(guided: Tensor, conditional: Tensor) -> Tensor:
        ours, theirs = (each.flatten(1).norm(dim=1).reshape(-1, 1, 1, 1) for each in (guided, conditional))
        return guided * (limit * theirs / ours).clamp(max=1.0)

    return clamped


def load(
    weights: Weights,
    *,
    weights_key: Variant | None = None,
    size: int = 1024,
    negative_prompt: str = "",
    max_sequence_length: int = 512,
    guidance_scale: GuidanceScale = 5.0,
    guidance_interval: GuidanceInterval | None = None,
    norm_limit: float | None = None,
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
    """Load a folder or hub name of a ZImagePipeline.

    Args:
        weights_key: variant of the network's weights; see `its.model.checkpoint.stored`.
        size: side of the images, in pixels, by which the times are shifted where the scheduler's shift is dynamic.
        max_sequence_length: the most tokens of a prompt, with those of the chat around it; what is longer is cut.
        guidance_scale: 1 is none; the pipeline's own g is 1 + g here.
        negative_prompt, guidance_interval: see `its.model.prompted.PromptDenoiser`. Times go from 1 at noise to 0: the
            pipeline's cfg_truncation c is [1 - c, 1].
        norm_limit: the norm of a guided prediction is at most so many times the conditional's, of a whole row, as by
            the pipeline's cfg_normalization; None leaves it.
        dtype, and what follows: see `its.model.assembled.Running`.

    Raises:
        ValueError: an entry of a configuration is not known, tensors do not fit, or a limit breaks its rule.
    """
    # Read the configurations.
    rescale = None if norm_limit is None else clamp_to(norm_limit)
    pipeline = Pipeline.of(weights, FAMILY, weights_key)
    side = pipeline.side(size, patch=2)
    path = flux_path(pipeline.scheduler, (side // 2) ** 2)
    check_options(guidance_scale, max_sequence_length, longest_prompt(pipeline.network_config(), side // 2))

    # Load the networks.
    running = Running(
        dtype, text_dtype, vae_dtype, vae_slicing, vae_tiling, attention, offload, channels_last, compile, device
    )
    decode = decoder(str(pipeline.folder), side, **running.vae)
    return assembled(
        pipeline,
        ListTransformer(pipeline.network(weights_key, dtype, attention)),
        path,
        "flow",
        (decode.channels, side, side),
        TextPart(encode, {"max_sequence_length": max_sequence_length}),
        decode,
        Guided(guidance_scale, guidance_interval, negative_prompt, rescale),
        running,
    )


def longest_prompt(config: ConfigFile, side: int) -> int:
    """Return the most tokens of a prompt that the network has positions for, with the image behind them.

    Args:
        side: tokens along a side of an image.

    Raises:
        ValueError: it has none for so large an image.
    """
    text, *sides = config.needed("axes_lens")
    if side > min(sides):
        raise ValueError(
            f"model.size makes {side} tokens along a side, and by axes_lens of {config.path} there are {min(sides)} at "
            "most; lower model.size"
        )
    return (text - 2) // MULTIPLE * MULTIPLE
