"""DiT^DH, the transformer with a wide head of RAE (Zheng et al. 2025, arXiv:2510.11690), under its checkpoints' names.

A deep, narrow transformer makes an embedding of every token; a shallow, wide one predicts by it.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from its.model.dit_block import Block, Final, Kind, Rope
from its.model.wrappers import StateDict
from its.parameters import Rule, check

FREQUENCIES = 256
"""Random frequencies that a time is embedded by."""


@dataclass(frozen=True)
class Sizes:
    """The sizes of a network; pairs are of the body and of the head.

    Attributes:
        size: side of the latents, whose every place is a token.
        channels: of the latents.
        widths: of a token; depths: numbers of blocks; heads: of every attention.
        classes: without the label of no condition, which is the last.
    """

    size: int
    channels: int
    widths: Sequence[int]
    depths: Sequence[int]
    heads: Sequence[int]
    classes: int

    def __post_init__(self) -> None:
        pair = Rule("it is two whole numbers of at least 1, of the body and of the head", _is_pair)
        check(self, "model", **dict.fromkeys(("widths", "depths", "heads"), pair), size=1, channels=1, classes=1)
        for width, heads in zip(self.widths, self.heads, strict=True):
            if width % (4 * heads):
                raise ValueError(
                    f"model.widths is {[*self.widths]}; each is a multiple of 4 times its model.heads={[*self.heads]}"
                )

    @classmethod
    def of(cls, state: StateDict) -> Sizes:
        """Read the sizes of a network off its state dict's names and shapes, which tell all of them.

        Raises:
            KeyError: a tensor that every checkpoint has is missing, or body and head are equally wide, so that nothing
                tells where the head begins.
        """
        body, head = (len(_tensor(state, f"{part}_embedder.proj.weight", 4)) for part in "sx")
        blocks = len({name.split(".")[1] for name in state if name.startswith("blocks.")})
        of_body = sum(len(_tensor(state, f"blocks.{k}.attn.proj.weight", 2)) == body for k in range(blocks))
        if "s_projector.weight" not in state:
            raise KeyError("s_projector.weight")
        turned = [_tensor(state, f"{part}_feat_rope.freqs_cos", 2).shape[1] for part in ("enc", "dec")]
        return cls(
            size=math.isqrt(_tensor(state, "pos_embed", 3).shape[1]),
            channels=state["x_embedder.proj.weight"].shape[1],
            widths=[body, head],
            depths=[of_body, blocks - of_body],
            heads=[body // turned[0], head // turned[1]],
            classes=len(_tensor(state, "y_embedder.embedding_table.weight", 2)) - 1,
        )


def _is_pair(values: Sequence[int]) -> bool:
    return len(values) == 2 and min(values) >= 1


def _tensor(state: StateDict, name: str, dimensions: int) -> Tensor:
    """Return a tensor of so many dimensions, none of them empty."""
    if name not in state or state[name].ndim != dimensions or not state[name].numel():
        raise KeyError(name)
    return state[name]


class DiTDH(nn.Module):
    """The transformer: latents `[n, channels, size, size]`, times and labels `[n]` to as many latents."""

    def __init__(self, sizes: Sizes, kind: Kind) -> None:
        super().__init__()
        (body, head), places = sizes.widths, sizes.size**2
        self.sizes = sizes
        self.pos_embed = nn.Parameter(torch.zeros(1, places, body))
        self.x_embedder = nn.Sequential(OrderedDict(proj=nn.Conv2d(sizes.channels, head, 1)))
        self.s_embedder = nn.Sequential(OrderedDict(proj=nn.Conv2d(sizes.channels, body, 1)))
        self.s_projector = nn.Linear(body, head) if body != head else nn.Identity()
        self.t_embedder = RandomClock(body)
        self.y_embedder = nn.Sequential(OrderedDict(embedding_table=nn.Embedding(sizes.classes + 1, body)))
        self.final_layer = Final(head, sizes.channels, kind)
        self.enc_feat_rope = Rope(places, body // sizes.heads[0])
        self.dec_feat_rope = Rope(places, head // sizes.heads[1])
        parts = zip(sizes.widths, sizes.heads, sizes.depths, strict=True)
        self.blocks = nn.ModuleList(Block(width, heads, kind) for width, heads, depth in parts for _ in range(depth))

    def forward(self, x: Tensor, time: Tensor, label: Tensor) -> Tensor:
        """Evaluate rows at times from 1 at noise to 0."""
        depth, clock = self.sizes.depths[0], self.t_embedder(time).to(x)
        embedding = F.silu(clock + self.y_embedder(label))[:, None]
        body = _tokens(self.s_embedder(x)) + self.pos_embed
        for block in self.blocks[:depth]:
            body = block(body, embedding, self.enc_feat_rope)
        embedding = self.s_projector(F.silu(clock[:, None] + body))
        head = _tokens(self.x_embedder(x))
        for block in self.blocks[depth:]:
            head = block(head, embedding, self.dec_feat_rope)
        return self.final_layer(head, embedding).transpose(1, 2).reshape(x.shape)


def _tokens(rows: Tensor) -> Tensor:
    """Lay out `[n, width, size, size]` as tokens `[n, size * size, width]`."""
    return rows.flatten(2).transpose(1, 2)


class RandomClock(nn.Module):
    """An embedding of times by random frequencies `W`, which stand in the checkpoint alone (Tancik et al. 2020)."""

    W: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("W", torch.zeros(FREQUENCIES))
        self.mlp = nn.Sequential(nn.Linear(2 * FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, time: Tensor) -> Tensor:
        angles = time.float()[:, None] * self.W * 2 * math.pi
        return self.mlp(torch.cat([angles.sin(), angles.cos()], dim=-1).to(next(self.mlp.parameters()).dtype))
