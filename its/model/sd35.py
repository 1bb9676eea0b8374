"""Stable Diffusion 3.5 (Esser et al. 2024, arXiv:2403.03206), and other checkpoints of StableDiffusion3Pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from its.model.assembled import Guided, Running, TextPart, assembled, check_options
from its.model.config_file import ConfigFile
from its.model.flow_scheduler import sd3_path
from its.model.pipeline import Family, Pipeline
from its.model.prompted import SKIPPED, PromptDenoiser
from its.model.text_cache import Text
from its.model.vae import decoder
from its.types import SpeedOnly
from its.weights import Device, Dtype, GuidanceInterval, GuidanceScale, SkipInterval, Variant, Weights

FAMILY = Family(
    "StableDiffusion3Pipeline",
    ("transformer", "SD3Transformer2DModel"),
    {
        "text_encoder": ("CLIPTextModelWithProjection", "CLIPTokenizer"),
        "text_encoder_2": ("CLIPTextModelWithProjection", "CLIPTokenizer"),
        "text_encoder_3": ("T5EncoderModel", "T5Tokenizer"),
    },
    {"patch_size": Literal[2], "num_layers": int, "pos_embed_max_size": int},
    shifted=True,
)

TRAINED = 1000.0
"""The network is told t times the steps of its training."""

LONGEST = 512
"""The most tokens of T5 that the pipeline takes."""


class SkippableBlock(nn.Module):
    """A block of the network that leaves some rows as they are.

    Attributes:
        skipped: of the next call, bool `[n]`; None is no row.
    """

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block
        self.skipped: Tensor | None = None

    def forward(self, hidden_states: Tensor, encoder_hidden_states: Tensor, **others: Any) -> tuple[Any, Tensor]:
        text, image = self.block(hidden_states=hidden_states, encoder_hidden_states=encoder_hidden_states, **others)
        if self.skipped is None:
            return text, image
        rows = self.skipped[:, None, None]
        return (
            None if text is None else torch.where(rows, encoder_hidden_states, text),
            torch.where(rows, hidden_states, image),
        )


class JointTransformer(nn.Module):
    """An SD3Transformer2DModel as a `TextNetwork`.

    Args:
        skip_layers: blocks that rows may skip.
    """

    def __init__(self, transformer: Any, skip_layers: Sequence[int]) -> None:
        super().__init__()
        self.transformer = transformer
        self._skippable = [SkippableBlock(transformer.transformer_blocks[layer]) for layer in skip_layers]
        for layer, block in zip(skip_layers, self._skippable, strict=True):
            transformer.transformer_blocks[layer] = block

    def forward(self, x: Tensor, time: Tensor, text: Text) -> Tensor:
        for block in self._skippable:
            block.skipped = text[SKIPPED]
        return self.transformer(
            hidden_states=x,
            encoder_hidden_states=text["states"].to(x.dtype),
            pooled_projections=text["pooled"].to(x.dtype),
            timestep=TRAINED * time,
        ).sample


def encode(pipeline: Any, prompt: str, *, max_sequence_length: int) -> Text:
    """Encode a prompt by the three encoders: `states [77 + length, width]`, CLIP's and T5's, `pooled [width]`."""
    states, _, pooled, _ = pipeline.encode_prompt(
        prompt,
        None,
        None,
        device=pipeline.text_encoder.device,
        do_classifier_free_guidance=False,
        max_sequence_length=max_sequence_length,
    )
    return {"states": states[0], "pooled": pooled[0]}


def load(
    weights: Weights,
    *,
    weights_key: Variant | None = None,
    size: int = 1024,
    negative_prompt: str | None = "",
    max_sequence_length: int = 256,
    guidance_scale: GuidanceScale = 4.5,
    guidance_interval: GuidanceInterval | None = None,
    skip_layers: Sequence[int] = (7, 8, 9),
    skip_scale: float = 2.8,
    skip_interval: SkipInterval | None = None,
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
    """Load a folder or hub name of a StableDiffusion3Pipeline.

    Args:
        weights_key: variant of the network's weights; see `its.model.checkpoint.stored`.
        size: side of the images, in pixels. negative_prompt: None is the empty text.
        max_sequence_length: T5's tokens of a prompt, which is cut or filled up to it.
        guidance_scale, guidance_interval: see `its.model.prompted.PromptDenoiser`. Times go from 1 at noise to 0.
        skip_layers, skip_scale: the network without these blocks, which guidance leads away from too, and by how much.
        skip_interval: times between which it does, both included, in a third evaluation; None is nowhere.
        dtype, and what follows: see `its.model.assembled.Running`.

    Raises:
        ValueError: an entry of a configuration is not known, tensors do not fit, or there are no such layers.
    """
    # Read the configurations.
    check_options(guidance_scale, max_sequence_length, LONGEST)
    pipeline = Pipeline.of(weights, FAMILY, weights_key)
    side = pipeline.side(size, patch=2)
    path = sd3_path(pipeline.scheduler, (side // 2) ** 2)
    check_network(pipeline.network_config(), None if skip_interval is None else skip_layers, side // 2, size)

    # Load the networks.
    running = Running(
        dtype, text_dtype, vae_dtype, vae_slicing, vae_tiling, attention, offload, channels_last, compile, device
    )
    decode = decoder(str(pipeline.folder), side, **running.vae)
    return assembled(
        pipeline,
        JointTransformer(pipeline.network(weights_key, dtype, attention), skip_layers if skip_interval else ()),
        path,
        "flow",
        (decode.channels, side, side),
        TextPart(encode, {"max_sequence_length": max_sequence_length}),
        decode,
        Guided(guidance_scale, guidance_interval, negative_prompt or "", None, skip_scale, skip_interval),
        running,
    )


def check_network(config: ConfigFile, skip_layers: Sequence[int] | None, side: int, size: int) -> None:
    """Refuse images that are larger than the network's table of positions, and layers that it does not have.

    Args:
        skip_layers: None is not asked for.
        side: tokens along a side of an image of `size` pixels.

    Raises:
        ValueError: naming the largest, or the layers.
    """
    most, count = config.needed("pos_embed_max_size"), config.needed("num_layers")
    if side > most:
        raise ValueError(
            f"model.size is {size}, and this network has positions for {most} tokens along a side of {side}; set "
            f"model.size={size * most // side} or less"
        )
    if skip_layers is None:
        return
    if not skip_layers or len({*skip_layers}) < len(skip_layers) or not {*skip_layers} <= {*range(count)}:
        raise ValueError(
            f"model.skip_layers is {[*skip_layers]}; it lists different blocks of this network, from 0 to {count - 1}"
        )
