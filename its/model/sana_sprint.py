"""SANA-Sprint (Chen et al. 2025, arXiv:2503.09641), a consistency model of one to four steps."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from its.model.assembled import Guided, Running, assembled
from its.model.flow_scheduler import sprint_path
from its.model.pipeline import Family, Pipeline
from its.model.prompted import PromptDenoiser
from its.model.sana import FAMILY as SANA
from its.model.sana import networks, patch_of, text_part
from its.model.text_cache import Text
from its.types import SpeedOnly
from its.weights import Device, Dtype, Variant, Weights

FAMILY = Family(
    "SanaSprintPipeline",
    SANA.network,
    SANA.encoders,
    {"guidance_embeds": Literal[True], "guidance_embeds_scale": float, "patch_size": int},
    vae=SANA.vae,
    resolutions=SANA.resolutions,
)


class GuidedTransformer(nn.Module):
    """A SanaTransformer2DModel that is told a guidance, as a `TextNetwork` of angles.

    It is one of linear flow: of a row `cos(t) x_0 + sin(t) eps` over `cos t + sin t` it predicts `eps - x_0`, and its
    time is `sin t / (cos t + sin t)`; see `its.sampler.published_paths.TrigFlow`.
    """

    def __init__(self, transformer: Any, guidance: float) -> None:
        super().__init__()
        self.transformer = transformer
        self._guidance = guidance * float(transformer.config.guidance_embeds_scale)

    def forward(self, x: Tensor, time: Tensor, text: Text) -> Tensor:
        cos, sin = time.double().cos().clamp(min=0.0), time.double().sin()
        return self.transformer(
            x,
            encoder_hidden_states=text["states"].to(x.dtype),
            encoder_attention_mask=text["mask"],
            timestep=sin / (cos + sin),
            guidance=torch.full_like(time, self._guidance),
        ).sample


def encode(pipeline: Any, prompt: str, **options: Any) -> Text:
    """Encode a prompt: `states [length, width]`, `mask [length]`.

    Args:
        options: of the pipeline's `encode_prompt`.
    """
    states, mask = pipeline.encode_prompt(prompt, device=pipeline.text_encoder.device, **options)
    return {"states": states[0], "mask": mask[0]}


def load(
    weights: Weights,
    *,
    weights_key: Variant | None = None,
    size: int = 1024,
    distilled_guidance: float = 4.5,
    max_sequence_length: int = 300,
    complex_human_instruction: bool = True,
    clean_caption: bool = False,
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
    """Load a folder or hub name of a SanaSprintPipeline.

    Args:
        weights_key: variant of the network's weights; see `its.model.checkpoint.stored`.
        distilled_guidance: what the network is told of guidance, in one evaluation.
        size, and what follows it: see `its.model.sana.load`. Times are angles, from 1.5708 at noise to 0.
        dtype, and what follows: see `its.model.assembled.Running`.

    Raises:
        ValueError: an entry of a configuration is not known, tensors do not fit, or captions cannot be cleaned.
    """
    # Read the configurations.
    text = text_part(FAMILY, encode, max_sequence_length, clean_caption, complex_human_instruction)
    pipeline = Pipeline.of(weights, FAMILY, weights_key)
    path = sprint_path(pipeline.scheduler)
    config = pipeline.network_config()
    config.needed("guidance_embeds")
    side = pipeline.side(size, patch=patch_of(config))

    # Load the networks.
    running = Running(
        dtype, text_dtype, vae_dtype, vae_slicing, vae_tiling, attention, offload, channels_last, compile, device
    )
    transformer, decode = networks(pipeline, weights_key, side, running, variance=False)
    return assembled(
        pipeline,
        GuidedTransformer(transformer, distilled_guidance),
        path,
        "flow",
        (decode.channels, side, side),
        text,
        decode,
        Guided(),
        running,
    )
