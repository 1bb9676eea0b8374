"""OpenAI's improved-diffusion and guided-diffusion (ADM) checkpoints, and TFG's CIFAR-10 one.

Nichol and Dhariwal 2021 (arXiv:2102.09672), Dhariwal and Nichol 2021 (arXiv:2105.05233).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from its.model.checkpoint import fit, read
from its.model.denoiser import NetworkDenoiser
from its.model.openai_unet import OpenAIUNet
from its.model.published import mark_of
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
    multipliers: Sequence[float],
    attention: Sequence[int],
    heads: int | None,
    head_channels: int | None = None,
    attention_order: Literal["legacy", "new"] = "legacy",
    resblock_updown: bool = False,
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
        weights_key: see `its.model.checkpoint.read`. betas: rule of its noise path, in `steps` steps.
        learned_sigma: the last three of six outputs are a variance. rescale_time: its clock has a thousand ticks.
        heads, head_channels, attention_order, scale_shift, resblock_updown: see `its.model.openai_unet.Layers`.
        classes: class embeddings of a conditional network. null_class: the one that stands for no condition, if any.
        guidance_scale, guidance_interval: see `its.model.denoiser.NetworkDenoiser`; times are training steps.
        clip, rederive_eps: see `its.model.clipping.Clipping`. dtype, channels_last, compile: see `its.model.run_as`.

    Raises:
        ValueError: the checkpoint does not fit; the message names keys, and sizes that would.
    """
    space: Any = (betas_named(betas, steps), "epsilon", (COLOURS, size, size))
    _check_null_class(null_class, classes)
    sizes = (size, channels, blocks, multipliers, attention, heads, COLOURS * (1 + learned_sigma))
    adm: Any = {"head_channels": head_channels, "attention_order": attention_order, "resblock_updown": resblock_updown}
    unet = _fitted(OpenAIUNet(*sizes, scale_shift=scale_shift, classes=classes, **adm), weights, weights_key, size)
    network = ImprovedDiffusion(unet, 1000 / steps if rescale_time else 1.0)
    guided: Any = {"null_class": null_class, "guidance_scale": guidance_scale, "guidance_interval": guidance_interval}
    return NetworkDenoiser(
        run_as(network.to(device), dtype, channels_last=channels_last, compile=compile),
        *space,
        conditional=classes is not None,
        clip=clip,
        rederive_eps=rederive_eps,
        variance="learned" if learned_sigma else "fixed_small",
        device=device,
        **guided,
    )


def _fitted(unet: OpenAIUNet, weights: str, key: str | None, size: int) -> OpenAIUNet:
    """Return a network with the weights of a checkpoint."""
    state = read(weights, key)
    fit(unet, state, weights, advice(state, size))
    return unet


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
        return (
            f"it has no {error.args[0]}, so it is not a checkpoint of improved-diffusion or ADM: choose another model"
        )
    if not _fit(state, size, **sizes):
        return "no sizes of improved-diffusion's and ADM's networks have its names and shapes: choose another model"
    words = " ".join(
        f"model.{name}={str(value).replace(' ', '').replace('None', 'null').lower()}" for name, value in sizes.items()
    )
    return f"its names and shapes tell {words} (heads, attention_order, betas and steps they do not)"


def _fit(state: StateDict, size: int, *, learned_sigma: bool, **sizes: Any) -> bool:
    """Return whether a network of these sizes has the names and shapes of a state dict."""
    try:
        with torch.device("meta"):
            candidate = OpenAIUNet(size, heads=1, outputs=COLOURS * (1 + learned_sigma), **sizes).state_dict()
    except ValueError:  # a width that no group norm divides
        return False
    return mark_of(candidate) == mark_of(state)


def sizes_of(state: StateDict, size: int) -> dict[str, Any]:
    """Read the sizes of a network off its state dict's names and shapes, for images of `size` pixels.

    Raises:
        KeyError: a tensor that every checkpoint has is missing.
    """
    # Count the stages of a level: its blocks, and one that halves; on the way up the last of each has a layer more.
    channels, last = state["time_embed.0.weight"].shape[1], state["out.2.weight"]
    stages = len({name.split(".")[1] for name in state if name.startswith("output_blocks.")})
    doubling = (".1.conv.weight", ".2.conv.weight", ".1.in_layers.0.weight", ".2.in_layers.0.weight")
    ups = [index for index in range(stages) if any(f"output_blocks.{index}{end}" in state for end in doubling)]
    row = 1 + ups[0] if ups else stages

    # Read each level's first block.
    firsts = range(1, 1 + max(stages, 1), max(row, 1))
    widths = [len(state[f"input_blocks.{index}.0.out_layers.3.weight"]) / channels for index in firsts]
    attends = [f"input_blocks.{index}.1.qkv.weight" in state for index in firsts]
    labels = state.get("label_emb.weight")
    return {
        "channels": channels,
        "blocks": row - 1,
        "multipliers": [int(width) if width.is_integer() else width for width in widths],
        "attention": [size >> level for level, attend in enumerate(attends) if attend],
        "learned_sigma": len(last) == 2 * COLOURS,
        "scale_shift": len(state["input_blocks.1.0.emb_layers.1.weight"]) == 2 * channels * widths[0],
        "resblock_updown": f"input_blocks.{row}.0.in_layers.0.weight" in state and len(widths) > 1,
        "classes": None if labels is None else len(labels),
    }
