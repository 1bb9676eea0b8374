"""The block of Diffusion Transformers under the names of their checkpoints: DiT's, and LightningDiT's parts.

DiT: Peebles and Xie 2022 (arXiv:2212.09748). LightningDiT: Yao and Wang 2025 (arXiv:2501.01423).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

EPSILON = 1e-6
"""Of every norm of tokens."""

HIDDEN = 4
"""Width of an MLP by that of the network."""


@dataclass(frozen=True)
class Kind:
    """The parts of a block; all false are DiT's.

    Attributes:
        rope: queries and keys are turned by their place (Su et al. 2021, arXiv:2104.09864).
        rms_norm: norms divide by the root mean square and have weights; else layer norms without.
        swiglu: the MLP is gated (Shazeer 2020, arXiv:2002.05202).
        qk_norm: queries and keys are normalised, each head alone.
    """

    rope: bool = False
    rms_norm: bool = False
    swiglu: bool = False
    qk_norm: bool = False

    @classmethod
    def of(cls, names: Collection[str]) -> Self:
        """Read the parts off the names of a state dict, which tell all of them."""
        return cls(
            rope=any(name.endswith("feat_rope.freqs_cos") for name in names),
            rms_norm="blocks.0.norm1.weight" in names,
            swiglu="blocks.0.mlp.w12.weight" in names,
            qk_norm="blocks.0.attn.q_norm.weight" in names,
        )


DIT = Kind()


class Block(nn.Module):
    """Self-attention and an MLP, each after a norm that the embedding shifts and scales, and gated by it (adaLN)."""

    def __init__(self, width: int, heads: int, kind: Kind = DIT) -> None:
        super().__init__()
        self.norm1 = norm(width, kind)
        self.norm2 = norm(width, kind)
        self.attn = Attention(width, heads, kind)
        self.mlp = SwiGLU(width) if kind.swiglu else mlp(width)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))

    def forward(self, x: Tensor, embedding: Tensor, rope: nn.Module | None = None) -> Tensor:
        """Take tokens `[n, tokens, width]` by an embedding of the row `[n, 1, width]`, or of each token."""
        shift, scale, gate, mlp_shift, mlp_scale, mlp_gate = self.adaLN_modulation(embedding).chunk(6, dim=-1)
        x = x + gate * self.attn(modulated(self.norm1(x), shift, scale), rope)
        return x + mlp_gate * self.mlp(modulated(self.norm2(x), mlp_shift, mlp_scale))


class Attention(nn.Module):
    """Self-attention over tokens; the outputs of `qkv` are q, k, v, each by head."""

    def __init__(self, width: int, heads: int, kind: Kind) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.q_norm, self.k_norm = (head_norm(width // heads, kind) for _ in "qk")
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, rope: nn.Module | None) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        q, k = self.q_norm(q), self.k_norm(k)
        if rope is not None:
            q, k = rope(q).to(v.dtype), rope(k).to(v.dtype)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class Rope(nn.Module):
    """Turns of queries and keys by place: of pairs of numbers, by cosines and sines `[places, width]` of the file."""

    freqs_cos: Tensor
    freqs_sin: Tensor

    def __init__(self, places: int, width: int) -> None:
        super().__init__()
        self.register_buffer("freqs_cos", torch.ones(places, width))
        self.register_buffer("freqs_sin", torch.zeros(places, width))

    def forward(self, x: Tensor) -> Tensor:
        first, second = x.unflatten(-1, (-1, 2)).unbind(-1)
        return x * self.freqs_cos + torch.stack([-second, first], dim=-1).flatten(-2) * self.freqs_sin


class SwiGLU(nn.Module):
    """A gated MLP, two thirds as wide inside as the other one."""

    def __init__(self, width: int) -> None:
        super().__init__()
        hidden = int(2 / 3 * HIDDEN * width)
        self.w12 = nn.Linear(width, 2 * hidden)
        self.w3 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.w12(x).chunk(2, dim=-1)
        return self.w3(F.silu(gate) * value)


class Final(nn.Module):
    """A norm that the embedding shifts and scales, and the map from tokens to their squares of latents."""

    def __init__(self, width: int, outputs: int, kind: Kind = DIT) -> None:
        super().__init__()
        self.norm_final = norm(width, kind)
        self.linear = nn.Linear(width, outputs)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width))

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        return self.linear(modulated(self.norm_final(x), *self.adaLN_modulation(embedding).chunk(2, dim=-1)))


def modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Scale and shift normalised tokens."""
    return x * (1 + scale) + shift


def norm(width: int, kind: Kind) -> nn.Module:
    """Make the norm of tokens."""
    return nn.RMSNorm(width, EPSILON) if kind.rms_norm else nn.LayerNorm(width, EPSILON, elementwise_affine=False)


def head_norm(width: int, kind: Kind) -> nn.Module:
    """Make the norm of a head's queries or keys."""
    if not kind.qk_norm:
        return nn.Identity()
    return nn.RMSNorm(width, EPSILON) if kind.rms_norm else nn.LayerNorm(width)


def mlp(width: int) -> nn.Module:
    """Make DiT's MLP."""
    return nn.Sequential(
        OrderedDict(
            fc1=nn.Linear(width, HIDDEN * width),
            act=nn.GELU(approximate="tanh"),
            fc2=nn.Linear(HIDDEN * width, width),
        )
    )
