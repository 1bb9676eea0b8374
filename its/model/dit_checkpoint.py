"""Checkpoints of DiT, SiT, REPA and LightningDiT: read, fitted, and the sizes that names and shapes tell."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch

from its.model.checkpoint import fit, read
from its.model.dit_block import DIT, Kind
from its.model.dit_names import in_original_names, is_of_diffusers
from its.model.dit_network import DiT, Sizes
from its.model.dit_pipeline import transformer_file
from its.model.wrappers import StateDict
from its.weights import locate

PROJECTOR = re.compile(r"projectors\.\d+\.[024]\.(weight|bias)")
"""Tensors by which REPA aligns features in training, and which no sampling takes."""

LATER = re.compile(r"decoder_blocks\.(\d+)\.")
"""Blocks behind REPA's aligned one, as its early checkpoints count them, from 0 again."""

PUBLISHED: Mapping[tuple[int, int], tuple[str, int]] = {
    (28, 1792): ("1p6B", 28),
    (24, 1536): ("1p0B", 24),
    (28, 1152): ("XL", 16),
    (24, 1024): ("L", 16),
    (12, 768): ("B", 12),
    (12, 384): ("S", 6),
}
"""Names and heads of the published networks by depth and width (Peebles and Xie 2022, Table 1; LightningDiT's code)."""


def fitted(sizes: Sizes, state: StateDict, weights: str, other: str = "", kind: Kind = DIT) -> DiT:
    """Return the network of these sizes with exactly the tensors of a state dict.

    Args:
        other: what else to say of a checkpoint that does not fit: the model that would take it.
        kind: of its blocks.

    Raises:
        ValueError: they do not fit; the message tells the sizes that would. Or the heads are not those of the published
            network of this depth and width, which no shape tells.
    """
    with torch.device("meta"):
        network = DiT(sizes, kind)
    fit(network.to_empty(device="cpu"), state, weights, advice(state, sizes) + other)
    name, heads = PUBLISHED.get((sizes.depth, sizes.width), ("", sizes.heads))
    if heads != sizes.heads:
        raise ValueError(
            f"model.heads is {sizes.heads}, and a network of {sizes.depth} blocks of width {sizes.width} is {name}, of "
            f"{heads} heads; set model.heads={heads}"
        )
    return network


def state_of(weights: str, key: str | None, sizes: Sizes) -> StateDict:
    """Read a file, or a folder that diffusers saved, under the names of the original.

    Raises:
        ValueError: it is none of them, or a pipeline of another network or other sizes.
    """
    folder = locate(weights)
    file = str(transformer_file(folder, key, sizes)) if folder.is_dir() else weights
    state = read(file, None if folder.is_dir() else key)
    return in_original_names(state, sizes, file) if is_of_diffusers(state) else state


def has_variance(network: DiT) -> bool:
    """Return whether outputs behind those of the latents' channels were ever trained: they begin at zero."""
    sizes = network.sizes
    rows = network.final_layer.linear.weight.unflatten(0, (-1, sizes.outputs))
    return bool(rows[:, sizes.channels :].any())


def without_projectors(state: StateDict) -> StateDict:
    """Leave out what REPA trains by alone, and count all blocks from the first, as its later checkpoints do."""
    first = len({name.split(".")[1] for name in state if name.startswith("blocks.")})
    return {
        LATER.sub(lambda match: f"blocks.{first + int(match[1])}.", name): value
        for name, value in state.items()
        if not PROJECTOR.fullmatch(name)
    }


def advice(state: StateDict, sizes: Sizes) -> str:
    """Say what to do with a checkpoint that does not fit: name the configuration that its names and shapes tell."""
    try:
        theirs = sizes_of(state)
    except KeyError as error:
        return (
            f"it has no {error.args[0]}, so it is no checkpoint of DiT, SiT, REPA or LightningDiT: choose another model"
        )
    name, heads = PUBLISHED.get((theirs["depth"], theirs["width"]), ("", 0))
    words = " ".join(f"model.{key}={theirs[key]}" for key in ("size", "patch", "width", "depth", "classes"))
    rest = f" model.heads={heads}: it is {name}/{theirs['patch']}" if name else " (heads they do not)"
    return (
        f"its names and shapes tell {words}{rest}, from {theirs['channels']} channels of latents to "
        f"{theirs['outputs']}; this model takes {sizes.channels}, those of model.vae, to {sizes.outputs}"
    )


def sizes_of(state: StateDict) -> dict[str, int]:
    """Read the sizes of a network off its state dict's names and shapes, which do not tell the heads.

    Raises:
        KeyError: a tensor that every checkpoint has is missing.
    """
    width, channels, patch, _ = _shape(state, "x_embedder.proj.weight", 4)
    tokens = _shape(state, "pos_embed", 3)[1]
    return {
        "size": patch * round(tokens**0.5),
        "patch": patch,
        "width": width,
        "depth": len({name.split(".")[1] for name in state if name.startswith("blocks.")}),
        "classes": len(state["y_embedder.embedding_table.weight"]) - 1,
        "channels": channels,
        "outputs": len(state["final_layer.linear.weight"]) // patch**2,
    }


def _shape(state: StateDict, name: str, dimensions: int) -> torch.Size:
    """Return a tensor's shape, of so many dimensions."""
    if name not in state or state[name].ndim != dimensions:
        raise KeyError(f"{name} of {dimensions} dimensions")
    return state[name].shape
