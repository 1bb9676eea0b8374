"""The Diffusion Transformer (Peebles and Xie 2022, arXiv:2212.09748), under the names of its checkpoints.

SiT and REPA train the same network, LightningDiT one of other blocks. diffusers' DiTTransformer2DModel is another one:
it embeds times at frequencies of another spacing, and the norm before its MLP has an epsilon of 1e-5.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from its.model.dit_block import DIT, Block, Final, Kind, Rope
from its.model.openai_unet import sinusoids
from its.parameters import Rule, check

FREQUENCIES = 256
"""Numbers that a time is embedded by."""


@dataclass(frozen=True)
class Sizes:
    """The sizes of a network.

    Attributes:
        size: side of the latents.
        patch: side of the square of latents that is one token.
        width: of a token; depth: number of blocks; heads: of every attention.
        classes: without the label of no condition, which is the last.
        channels: of the latents.
        outputs: channels of the output.
    """

    size: int
    patch: int
    width: int
    depth: int
    heads: int
    classes: int
    channels: int
    outputs: int

    def __post_init__(self) -> None:
        whole = dict.fromkeys(("patch", "depth", "heads", "classes"), 1)
        tokens = Rule(f"it is a multiple of model.patch={self.patch}", lambda size: size > 0 and size % self.patch == 0)
        heads = Rule(
            f"it is a multiple of 4, and of model.heads={self.heads}",
            lambda width: width > 0 and width % 4 == 0 and width % self.heads == 0,
        )
        check(self, "model", **whole, size=tokens, width=heads)


class DiT(nn.Module):
    """The transformer: latents `[n, channels, size, size]`, times and labels `[n]` to `[n, outputs, size, size]`."""

    def __init__(self, sizes: Sizes, kind: Kind = DIT) -> None:
        super().__init__()
        width, patch = sizes.width, sizes.patch
        self.sizes = sizes
        side = sizes.size // patch
        self.x_embedder = nn.Sequential(OrderedDict(proj=nn.Conv2d(sizes.channels, width, patch, stride=patch)))
        clock = nn.Sequential(nn.Linear(FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width))
        self.t_embedder = nn.Sequential(OrderedDict(mlp=clock))
        self.y_embedder = nn.Sequential(OrderedDict(embedding_table=nn.Embedding(sizes.classes + 1, width)))
        self.pos_embed = nn.Parameter(torch.zeros(1, side * side, width))
        self.feat_rope = Rope(side * side, width // sizes.heads) if kind.rope else None
        self.blocks = nn.ModuleList([Block(width, sizes.heads, kind) for _ in range(sizes.depth)])
        self.final_layer = Final(width, patch * patch * sizes.outputs, kind)

    def forward(self, x: Tensor, time: Tensor, label: Tensor) -> Tensor:
        embedding = (self.t_embedder(sinusoids(time, FREQUENCIES).to(x)) + self.y_embedder(label))[:, None]
        tokens = self.x_embedder(x).flatten(2).transpose(1, 2) + self.pos_embed
        for block in self.blocks:
            tokens = block(tokens, embedding, self.feat_rope)
        return self._latents(self.final_layer(tokens, embedding))

    def _latents(self, tokens: Tensor) -> Tensor:
        """Lay out tokens `[n, side * side, patch * patch * outputs]` as latents."""
        side, patch = self.sizes.size // self.sizes.patch, self.sizes.patch
        squares = tokens.reshape(-1, side, side, patch, patch, self.sizes.outputs)
        return squares.permute(0, 5, 1, 3, 2, 4).reshape(-1, self.sizes.outputs, self.sizes.size, self.sizes.size)
