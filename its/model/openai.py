"""OpenAI's improved-diffusion checkpoints (Nichol and Dhariwal 2021, arXiv:2102.09672), and TFG's CIFAR-10 one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from its.levels import VP, Columns, Guess, cosine_vp, linear_vp
from its.model.checkpoint import StateDict, fit, random_state, read
from its.model.denoiser import guess_from
from its.model.openai_unet import OpenAIUNet
from its.types import Condition
from its.weights import Device, Weights

COLOURS = 3


class OpenAI:
    """An OpenAIUNet that predicts noise, as a `Denoiser`.

    x0_hat is clipped, and eps_hat is what is left of x_t: the original's posterior mean and DDIM step both start from
    the clipped guess.

    Args:
        network: its outputs after the first three channels, a learned variance, are not used.
        time_scale: training steps to the network's time input.
        conditional: whether it is told the class.
        clip: x0_hat is clamped to [-clip, clip]; None leaves it.
    """

    dtype = torch.float32
    decoder = None
    slots = 1

    def __init__(
        self,
        network: OpenAIUNet,
        schedule: VP,
        size: int,
        *,
        time_scale: float = 1.0,
        conditional: bool = False,
        clip: float | None = 1.0,
        device: torch.device | str = "cpu",
    ) -> None:
        self.device = torch.device(device)
        self.network = network.to(self.device)
        self.schedule = schedule
        self.shape = (COLOURS, size, size)
        self.time_scale = time_scale
        self.conditional = conditional
        self.clip = clip

    def __call__(self, x: Tensor, levels: Columns, conditions: Sequence[Condition]) -> Guess:
        labels = torch.tensor(conditions, dtype=torch.int64).to(x.device) if self.conditional else None
        output = self.network(x, (self.time_scale * levels.time).flatten(), labels)[:, :COLOURS]
        guess = guess_from("epsilon", output, x, levels)
        if self.clip is None:
            return guess
        clipped = guess.x0.clamp(-self.clip, self.clip)
        return Guess(clipped, guess.eps + (levels.alpha / levels.sigma).to(x) * (guess.x0 - clipped))


def load(
    weights: Weights,
    *,
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
    clip: float | None = 1.0,
    device: Device = "cpu",
) -> OpenAI:
    """Load a `.pt` or safetensors state dict; see `OpenAIUNet` for the sizes.

    Args:
        betas: of the path that it was trained on, in `steps` steps.
        learned_sigma: whether it has six outputs, the last three a variance.
        rescale_time: whether times are scaled to a thousand steps before they enter the network.

    Raises:
        ValueError: the checkpoint does not fit; the message names keys, and sizes that would.
    """
    if betas not in ("cosine", "linear"):
        raise ValueError(f"model.betas is {betas!r}; it is cosine or linear")
    network = OpenAIUNet(
        size,
        channels,
        blocks,
        multipliers,
        attention,
        heads,
        COLOURS * (1 + learned_sigma),
        scale_shift=scale_shift,
        classes=classes,
    )
    state = read(weights)
    fit(network, state, weights, fitting(state, size))
    return OpenAI(
        network,
        cosine_vp(steps) if betas == "cosine" else linear_vp(steps),
        size,
        time_scale=1000 / steps if rescale_time else 1.0,
        conditional=classes is not None,
        clip=clip,
        device=device,
    )


def twin(
    weights: str,
    *,
    size: int,
    channels: int,
    blocks: int,
    multipliers: Sequence[int],
    attention: Sequence[int],
    heads: int,
    learned_sigma: bool = True,
    scale_shift: bool = True,
    classes: int | None = None,
) -> None:
    """Write a random checkpoint of these sizes to `weights`, in OpenAI's format."""
    network = OpenAIUNet(
        size,
        channels,
        blocks,
        multipliers,
        attention,
        heads,
        COLOURS * (1 + learned_sigma),
        scale_shift=scale_shift,
        classes=classes,
    )
    torch.save(random_state(network), Path(weights))


def fitting(state: StateDict, size: int) -> str:
    """What to do with a checkpoint that does not fit: the configuration that its names and shapes tell."""
    try:
        sizes = sizes_of(state, size)
    except KeyError as error:
        return f"it has no {error.args[0]}, so it is not a checkpoint of improved-diffusion: choose another model"
    told = " ".join(
        f"model.{name}={str(value).replace(' ', '').replace('None', 'null').lower()}" for name, value in sizes.items()
    )
    return f"its names and shapes tell {told} (heads, betas and steps they do not)"


def sizes_of(state: StateDict, size: int) -> dict[str, Any]:
    """The sizes that a state dict's names and shapes tell, for images of `size` pixels."""
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
