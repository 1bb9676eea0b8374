"""FLUX.2 klein (Black Forest Labs 2026), distilled, which has no guidance, and base."""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor, nn

from its.model.assembled import Guided, Running, TextPart, assembled
from its.model.flow_scheduler import flux2_path
from its.model.flux2_vae import decoder
from its.model.flux_parts import check_axes, positions, with_exact_time
from its.model.pipeline import Family, Pipeline
from its.model.prompted import PromptDenoiser
from its.model.text_cache import Text
from its.types import SpeedOnly
from its.weights import Device, Dtype, GuidanceInterval, GuidanceScale, Variant, Weights

FAMILY = Family(
    "Flux2KleinPipeline",
    ("transformer", "Flux2Transformer2DModel"),
    {"text_encoder": ("Qwen3ForCausalLM", "Qwen2Tokenizer")},
    {"guidance_embeds": Literal[False]},
    vae="AutoencoderKLFlux2",
    entries={"is_distilled": bool},
)


class TokenTransformer(nn.Module):
    """A Flux2Transformer2DModel as a `TextNetwork`, of latents whose places are tokens.

    Args:
        side: of the latents.
        length: tokens of a prompt.
    """

    image_places: Tensor
    text_places: Tensor

    def __init__(self, transformer: Any, side: int, length: int) -> None:
        super().__init__()
        self.transformer = transformer
        self.exact_time = with_exact_time(transformer.time_guidance_embed)
        self.register_buffer("image_places", positions(1, side, side, 1), persistent=False)
        self.register_buffer("text_places", positions(1, 1, 1, length), persistent=False)

    def forward(self, x: Tensor, time: Tensor, text: Text) -> Tensor:
        self.exact_time.say(time)
        tokens = self.transformer(
            hidden_states=x.flatten(2).transpose(1, 2),
            encoder_hidden_states=text["states"].to(x.dtype),
            timestep=time,
            img_ids=self.image_places,
            txt_ids=self.text_places,
            guidance=None,
        ).sample
        return tokens.transpose(1, 2).reshape(x.shape)


def encode(pipeline: Any, prompt: str, *, max_sequence_length: int) -> Text:
    """Encode a prompt: `states [length, width]`."""
    states, _ = pipeline.encode_prompt(
        prompt, device=pipeline.text_encoder.device, max_sequence_length=max_sequence_length
    )
    return {"states": states[0]}


def load(
    weights: Weights,
    *,
    weights_key: Variant | None = None,
    size: int = 1024,
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
    """Load a folder or hub name of a Flux2KleinPipeline.

    Args:
        weights_key: variant of the network's weights; see `its.model.checkpoint.stored`.
        size: side of the images, in pixels, by which the shift of times goes, beside the number of steps.
        max_sequence_length: tokens of a prompt, which is cut or filled up to it: the transformer is given no mask.
        guidance_scale, guidance_interval: of guidance away from the empty prompt, of base alone; see
            `its.model.prompted.PromptDenoiser`. Times go from 1 at noise to 0.
        dtype, and what follows: see `its.model.assembled.Running`.

    Raises:
        ValueError: an entry of a configuration is not known, tensors do not fit, or distilled ones are to be guided.
    """
    # Read the configurations.
    pipeline = Pipeline.of(weights, FAMILY, weights_key)
    if pipeline.index.get("is_distilled", False) and guidance_scale != 1.0:
        raise ValueError(
            f"model.guidance_scale is {guidance_scale}, and {weights} is distilled: its pipeline guides nothing; set "
            "model.guidance_scale=1, or take a base model"
        )
    side = pipeline.side(size, patch=2) // 2
    path = flux2_path(pipeline.scheduler, side**2)
    check_axes(pipeline.network_config(), (32, 32, 32, 32), 128)

    # Load the networks.
    running = Running(
        dtype, text_dtype, vae_dtype, vae_slicing, vae_tiling, attention, offload, channels_last, compile, device
    )
    transformer = pipeline.network(weights_key, dtype, attention)
    decode = decoder(str(pipeline.folder), side, **running.vae)
    return assembled(
        pipeline,
        TokenTransformer(transformer, side, max_sequence_length),
        path,
        "flow",
        (decode.channels, side, side),
        TextPart(encode, {"max_sequence_length": max_sequence_length}),
        decode,
        Guided(guidance_scale, guidance_interval),
        running,
    )
