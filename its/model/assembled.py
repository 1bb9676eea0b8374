"""A pipeline's parts put together as a model of ours: what every family does alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from torch import nn

from its.model.attention import try_attention
from its.model.classifier_free import Rescale
from its.model.denoiser import Prediction
from its.model.pipeline import Pipeline
from its.model.prompted import PlacedDecoder, Places, PromptDenoiser
from its.model.run_as import run_as
from its.model.text_cache import Text
from its.parameters import check_values
from its.sampler.noise_paths import NoisePath
from its.weights import Dtype


@dataclass(frozen=True)
class Running:
    """How the networks of a pipeline are run.

    Attributes:
        dtype, text_dtype, vae_dtype: types of network, text encoders and decoder; state, time and steps are float32.
        vae_slicing, vae_tiling: see `its.model.vae.decoder`.
        attention: diffusers' attention backend of the network; None is torch's own.
        offload: network and decoder lie on the device by turns, as they are called.
        channels_last, compile: of the network; see `its.model.run_as.run_as`.
    """

    dtype: Dtype = "float32"
    text_dtype: Dtype = "float32"
    vae_dtype: Dtype = "float32"
    vae_slicing: bool = False
    vae_tiling: bool = False
    attention: str | None = None
    offload: bool = False
    channels_last: bool = False
    compile: bool = False
    device: str = "cpu"

    def __post_init__(self) -> None:
        for name in ("dtype", "text_dtype", "vae_dtype"):
            check_values({name: getattr(self, name)}, {name: Dtype}, "model.", {})

    @property
    def vae(self) -> dict[str, Any]:
        """Return the decoder's part, for its loader; `Places` brings it to the device."""
        return {"dtype": self.vae_dtype, "slicing": self.vae_slicing, "tiling": self.vae_tiling}


@dataclass(frozen=True)
class Guided:
    """What guidance takes: a scale, where it is on, and the prompt that it leads away from; see `PromptDenoiser`."""

    scale: float = 1.0
    interval: Sequence[float] | None = None
    negative_prompt: str | None = ""
    rescale: Rescale | None = None
    skip_scale: float = 0.0
    skip_interval: Sequence[float] | None = None


@dataclass(frozen=True)
class TextPart:
    """What a family makes of a text.

    Attributes:
        encode: makes the tensors of a prompt, by a pipeline of diffusers that has the encoders alone.
        options: keyword arguments of `encode`, which decide them too.
        packages: whose versions decide them, beside those that every family uses.
        negative: of the options, those that differ for the negative prompt.
    """

    encode: Callable[..., Text]
    options: Mapping[str, Any] = field(default_factory=dict)
    packages: Sequence[str] = ()
    negative: Mapping[str, Any] = field(default_factory=dict)


def check_options(guidance_scale: float, max_sequence_length: int, longest: int) -> None:
    """Refuse a scale below 1, where a pipeline of diffusers guides nothing, and more tokens of a prompt than it takes.

    Raises:
        ValueError: naming the rule.
    """
    if not 1 <= max_sequence_length <= longest:
        raise ValueError(f"model.max_sequence_length is {max_sequence_length}; it is from 1 to {longest}")
    if guidance_scale < 1.0:
        raise ValueError(
            f"model.guidance_scale is {guidance_scale}; here 1 is no guidance, and guidance is above it: set "
            "model.guidance_scale=1"
        )


def assembled(
    pipeline: Pipeline,
    module: nn.Module,
    path: NoisePath,
    prediction: Prediction,
    shape: tuple[int, int, int],
    text: TextPart,
    decoder: Any,
    guided: Guided,
    running: Running,
    kind: Callable[..., PromptDenoiser] = PromptDenoiser,
) -> PromptDenoiser:
    """Return the model that a family's parts make.

    Args:
        module: the network, called as `its.model.prompted.TextNetwork` states.
        shape: event shape of the state.
        decoder: on the CPU.
        kind: makes it, as `PromptDenoiser` does.

    Raises:
        ValueError: guidance breaks a rule, or the attention backend does not run here.
    """
    pipeline.check_vae(running.vae_dtype)
    try_attention(running.attention, running.dtype, running.device)
    places = Places(running.device, by_turns=running.offload)
    texts = partial(pipeline.texts, text.encode, running.text_dtype, places)
    return kind(
        run_as(module, running.dtype, channels_last=running.channels_last, compile=running.compile),
        module,
        path,
        prediction,
        shape,
        texts(text.options, text.packages),
        places,
        negative_prompt=guided.negative_prompt,
        negative_texts=texts({**text.options, **text.negative}, text.packages) if text.negative else None,
        guidance_scale=guided.scale,
        guidance_interval=guided.interval,
        rescale=guided.rescale,
        skip_scale=guided.skip_scale,
        skip_interval=guided.skip_interval,
        decoder=PlacedDecoder(decoder, places),
    )
