"""Names of DiT's tensors in diffusers' class, and the table of positions that its files leave out.

The weights are those of the original, and the network that they are loaded into is `its.model.dit_network`.
"""

from __future__ import annotations

import re

import torch
from torch import Tensor

from its.model.dit_network import Sizes
from its.model.wrappers import StateDict

BLOCK = r"transformer_blocks\.(\d+)\."

RULES = [
    (re.compile(pattern), name)
    for pattern, name in (
        (r"pos_embed\.pos_embed", "pos_embed"),
        (r"pos_embed\.proj\.", "x_embedder.proj."),
        (r"proj_out_1\.", "final_layer.adaLN_modulation.1."),
        (r"proj_out_2\.", "final_layer.linear."),
        (BLOCK + r"norm1\.emb\.timestep_embedder\.linear_1\.", "t_embedder.mlp.0."),
        (BLOCK + r"norm1\.emb\.timestep_embedder\.linear_2\.", "t_embedder.mlp.2."),
        (BLOCK + r"norm1\.emb\.class_embedder\.", "y_embedder."),
        (BLOCK + r"norm1\.linear\.", r"blocks.\1.adaLN_modulation.1."),
        (BLOCK + r"attn1\.to_(q|k|v)\.", r"blocks.\1.attn.qkv.\2."),
        (BLOCK + r"attn1\.to_out\.0\.", r"blocks.\1.attn.proj."),
        (BLOCK + r"ff\.net\.0\.proj\.", r"blocks.\1.mlp.fc1."),
        (BLOCK + r"ff\.net\.2\.", r"blocks.\1.mlp.fc2."),
    )
]
"""Beginnings of diffusers' names, and the original's for them; others stay, and fit nothing."""

QUERIES = re.compile(r"(blocks\.\d+\.attn\.qkv)\.q\.(weight|bias)")


def is_of_diffusers(state: StateDict) -> bool:
    """Return whether a state dict has diffusers' names."""
    return any(re.match(BLOCK, name) for name in state)


def in_original_names(state: StateDict, sizes: Sizes, source: str) -> StateDict:
    """Return a state dict of diffusers' class under the names of the original.

    Args:
        sizes: of the network; they say how many positions there are.
        source: name of the file, for messages.

    Raises:
        ValueError: blocks embed times or classes in different ways, which the original does once for all.
    """
    # Rename; what every block has and the original once is the same everywhere.
    original_state: StateDict = {}
    for name, value in state.items():
        original = renamed(name)
        if original in original_state and not torch.equal(original_state[original], value):
            raise ValueError(
                f"{name} of {source} is another than that of a block before, and DiT embeds times and classes once for "
                "all blocks: these weights are of another network; choose another model"
            )
        original_state[original] = value

    # Join queries, keys and values, and add the positions.
    for name in [*original_state]:
        if match := QUERIES.fullmatch(name):
            parts = [f"{match[1]}.{part}.{match[2]}" for part in "qkv"]
            values = [original_state.pop(part) for part in parts if part in original_state]
            original_state[f"{match[1]}.{match[2]}"] = torch.cat(values)
    if "x_embedder.proj.weight" in original_state:
        width = len(original_state["x_embedder.proj.weight"])
        original_state.setdefault("pos_embed", positions(sizes.size // sizes.patch, width))
    return original_state


def renamed(name: str) -> str:
    """Return the original's name of a tensor, queries, keys and values apart."""
    for pattern, original in RULES:
        if match := pattern.match(name):
            return match.expand(original) + name[match.end() :]
    return name


def positions(side: int, width: int) -> Tensor:
    """Compute the table of positions `[1, side * side, width]` of a square of tokens, row by row.

    Half of a token's numbers embed its column, half its row; of each half, sines and cosines at frequencies from 1 down
    to 1e-4, as in MAE (He et al. 2021, arXiv:2111.06377).
    """
    quarter = width // 4
    frequency = 10_000.0 ** -(torch.arange(quarter, dtype=torch.float64) / quarter)
    angle = torch.arange(side, dtype=torch.float64)[:, None] * frequency
    line = torch.cat([angle.sin(), angle.cos()], dim=1)
    column, row = line[None].expand(side, -1, -1), line[:, None].expand(-1, side, -1)
    return torch.cat([column, row], dim=-1).reshape(1, side * side, width).float()
