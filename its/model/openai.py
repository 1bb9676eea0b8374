"""OpenAI's improved-diffusion checkpoints (Nichol and Dhariwal 2021, arXiv:2102.09672), and TFG's CIFAR-10 one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from torch import Tensor, nn

from its.model.checkpoint import fit, read
from its.model.denoiser import NetworkDenoiser
from its.model.openai_unet import OpenAIUNet
from its.model.run_as import run_as
from its.model.wrappers import StateDict
from its.sampler.noise_paths import betas_named
from its.weights import Device, Dtype, GuidanceInterval, GuidanceScale, Weights

COLOURS = 3


class ImprovedDiffusion(nn.Module):
    """An OpenAIUNet that predicts noise, and a variance if it has learned one, as a `Network`.

    Args:
        time_scale: training steps to the network's time input.
    """

    def __init__(self, unet: OpenAIUNet, time_scale: float = 1.0) -> None:
        super().__init__()
        self.unet = unet
        self.time_scale = time_scale

    def forward(self, x: Tensor, time: Tensor, label: Tensor | None) -> Tensor:
        return self.unet(x, self.time_scale * time, label)


def load(
    weights: Weights,
    *,
    weights_key: str | None = None,
    size: int,
    channels: int,
    blocks: int,
    multipliers: Sequence[int],
    attention: Sequence[int],
    heads: int,
    betas: Literal["cosine", "linear"],
    steps: int,
    learned_sigma: bool = True,
    rescale_time: bool = True,
    scale_shift: bool = True,
    classes: int | None = None,
    null_class: int | None = None,
    guidance_scale: GuidanceScale = 1.0,
    guidance_interval: GuidanceInterval | None = None,
    clip: float | None = 1.0,
    rederive_eps: bool = True,
    dtype: Dtype = "float32",
    channels_last: bool = False,
    compile: bool = False,
    device: Device = "cpu",
) -> NetworkDenoiser:
    """Load a `.pt` or safetensors state dict; see `OpenAIUNet` for the sizes.

    Args:
        weights_key: of a file with several state dicts, see `its.model.checkpoint.read`.
        betas: rule of the noise path that it was trained on, in `steps` steps.
        learned_sigma: the last three of six outputs are a variance. rescale_time: its clock has a thousand ticks.
        classes: class embeddings of a conditional network. null_class: the one that stands for no condition, if any.
        guidance_scale, guidance_interval: see `its.model.denoiser.NetworkDenoiser`; times are training steps.
        clip, rederive_eps: see `its.model.denoiser.Clipping`; the original's steps start from the clipped x0_hat.
        dtype, channels_last, compile: see `its.model.run_as.run_as`.

    Raises:
        ValueError: the checkpoint does not fit; the message names keys, and sizes that would.
    """
    path = betas_named(betas, steps)
    _check_null_class(null_class, classes)
    sizes = (size, channels, blocks, multipliers, attention, heads, COLOURS * (1 + learned_sigma))
    unet, state = OpenAIUNet(*sizes, scale_shift=scale_shift, classes=classes), read(weights, weights_key)
    fit(unet, state, weights, advice(state, size))
    network = ImprovedDiffusion(unet, 1000 / steps if rescale_time else 1.0)
    return NetworkDenoiser(
        run_as(network.to(device), dtype, channels_last=channels_last, compile=compile),
        path,
        "epsilon",
        (COLOURS, size, size),
        conditional=classes is not None,
        null_class=null_class,
        guidance_scale=guidance_scale,
        guidance_interval=guidance_interval,
        clip=clip,
        rederive_eps=rederive_eps,
        variance="learned" if learned_sigma else "fixed_small",
        device=device,
    )


def _check_null_class(null_class: int | None, classes: int | None) -> None:
    """Refuse a label of no condition that no class embedding has."""
    if null_class is not None and null_class not in range(classes or 0):
        raise ValueError(
            f"model.null_class is {null_class} and model.classes is {classes}; it is the number of a class embedding, "
            "from 0 on, or null"
        )


def advice(state: StateDict, size: int) -> str:
    """Say what to do with a checkpoint that does not fit: name the configuration that its names and shapes tell."""
    try:
        sizes = sizes_of(state, size)
    except KeyError as error:
        return f"it has no {error.args[0]}, so it is not a checkpoint of improved-diffusion: choose another model"
    words = " ".join(
        f"model.{name}={str(value).replace(' ', '').replace('None', 'null').lower()}" for name, value in sizes.items()
    )
    return f"its names and shapes tell {words} (heads, betas and steps they do not)"


def sizes_of(state: StateDict, size: int) -> dict[str, Any]:
    """Read the sizes of a network off its state dict's names and shapes, for images of `size` pixels.

    Raises:
        KeyError: a tensor that every checkpoint has is missing.
    """
    # Count the blocks of each level, and find those with attention.
    channels = len(state["input_blocks.0.0.weight"])
    levels: list[list[int]] = [[]]
    attention: set[int] = set()
    for index in range(1, 1 + max(int(name.split(".")[1]) for name in state if name.startswith("input_blocks."))):
        if f"input_blocks.{index}.0.op.weight" in state:
            levels.append([])
            continue
        levels[-1].append(len(state[f"input_blocks.{index}.0.out_layers.3.weight"]) // channels)
        if f"input_blocks.{index}.1.qkv.weight" in state:
            attention.add(size >> (len(levels) - 1))

    first = state["input_blocks.1.0.emb_layers.1.weight"]
    labels = state.get("label_emb.weight")
    return {
        "channels": channels,
        "blocks": len(levels[0]),
        "multipliers": [level[-1] for level in levels if level],
        "attention": sorted(attention, reverse=True),
        "learned_sigma": len(state["out.2.weight"]) == 2 * COLOURS,
        "scale_shift": len(first) == 2 * channels * levels[0][0],
        "classes": None if labels is None else len(labels),
    }
