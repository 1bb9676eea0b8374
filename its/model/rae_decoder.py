"""RAE's decoder (Zheng et al. 2025, arXiv:2510.11690): a ViT as in MAE, from tokens of a representation to images."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from its.model.checkpoint import fit, read
from its.model.latent_stats import Denormalised
from its.model.wrappers import StateDict
from its.parameters import check_values
from its.weights import Dtype, Weights

EPSILON = 1e-12
"""Of every layer norm."""

PUBLISHED: Mapping[tuple[int, int], int] = {(28, 1152): 16, (24, 1024): 16, (12, 768): 12}
"""Heads of RAE's ViT-XL, -L and -B by depth and width (configs/decoder of its code); no shape tells them."""

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's colours, by which DINOv2's encoder takes images, and the decoder gives them."""

FIRST = "trainable_cls_token"
"""The token before those of the latents."""

log = logging.getLogger(__name__)

ADVICE = (
    "model.decoder is a decoder of RAE's collection, as decoders/dinov2/wReg_base/ViTXL_n08/model.pt of "
    "nyu-visionx/RAE-collections"
)


@dataclass(frozen=True)
class Sizes:
    """The sizes of a decoder.

    Attributes:
        channels: of the latents; places: their number, each a token.
        width: of a token; hidden: inside an MLP; depth: number of layers; heads: of every attention.
        patch: side of the square of pixels that a token becomes.
    """

    channels: int
    places: int
    width: int
    hidden: int
    depth: int
    heads: int
    patch: int

    @classmethod
    def of(cls, state: StateDict, heads: int) -> Sizes:
        """Read the sizes off a state dict's names and shapes, which do not tell the heads.

        Raises:
            KeyError: the name of a tensor that tells them is missing.
        """
        width, channels = state["decoder_embed.weight"].shape
        return cls(
            channels,
            state["decoder_pos_embed"].shape[1] - 1,
            width,
            len(state["decoder_layers.0.intermediate.dense.weight"]),
            len({name.split(".")[1] for name in state if name.startswith("decoder_layers.")}),
            heads,
            math.isqrt(len(state["decoder_pred.weight"]) // 3),
        )


class Decoder(nn.Module):
    """The network: latents `[n, channels, side, side]` to images in [-1, 1]."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.decoder_pos_embed = nn.Parameter(torch.zeros(1, sizes.places + 1, sizes.width))
        self.trainable_cls_token = nn.Parameter(torch.zeros(1, 1, sizes.width))
        self.decoder_embed = nn.Linear(sizes.channels, sizes.width)
        self.decoder_layers = nn.ModuleList(Layer(sizes) for _ in range(sizes.depth))
        self.decoder_norm = nn.LayerNorm(sizes.width, EPSILON)
        self.decoder_pred = nn.Linear(sizes.width, 3 * sizes.patch**2)
        self.register_buffer("mean", torch.tensor(MEAN).reshape(3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION).reshape(3, 1, 1), persistent=False)

    def forward(self, latents: Tensor) -> Tensor:
        tokens = self.decoder_embed(latents.flatten(2).transpose(1, 2))
        first = self.trainable_cls_token.expand(len(tokens), -1, -1)
        tokens = torch.cat([first, tokens], dim=1) + self.decoder_pos_embed
        for layer in self.decoder_layers:
            tokens = layer(tokens)
        colours = self._image(self.decoder_pred(self.decoder_norm(tokens))[:, 1:]).float()
        return 2 * (colours * self.deviation + self.mean) - 1

    def _image(self, tokens: Tensor) -> Tensor:
        """Lay out tokens `[n, places, patch * patch * 3]` as images."""
        side, patch = math.isqrt(self.sizes.places), self.sizes.patch
        squares = tokens.reshape(-1, side, side, patch, patch, 3)
        return squares.permute(0, 5, 1, 3, 2, 4).reshape(-1, 3, side * patch, side * patch)


class Layer(nn.Module):
    """Self-attention and an MLP, each after a norm, under the names of transformers' ViTMAE."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        width, hidden = sizes.width, sizes.hidden
        self.attention = Attention(width, sizes.heads)
        self.intermediate = Dense(width, hidden)
        self.output = Dense(hidden, width)
        self.layernorm_before = nn.LayerNorm(width, EPSILON)
        self.layernorm_after = nn.LayerNorm(width, EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.layernorm_before(x))
        return x + self.output.dense(F.gelu(self.intermediate.dense(self.layernorm_after(x))))


class Attention(nn.Module):
    """Self-attention over tokens."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = Heads(width, heads)
        self.output = Dense(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.output.dense(self.attention(x))


class Heads(nn.Module):
    """The outputs of an attention's heads, side by side."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            linear(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for linear in (self.query, self.key, self.value)
        )
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


class Dense(nn.Module):
    """A linear map under the name that it has in checkpoints."""

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, outputs)


def decoder(
    weights: Weights,
    stats: Weights,
    size: int,
    *,
    heads: int = 16,
    dtype: Dtype = "float32",
    device: torch.device | str = "cpu",
) -> Denormalised:
    """Load a decoder of RAE's collection, whose names and shapes tell its other sizes.

    Args:
        stats: file of the latents' mean and var; see `its.model.latent_stats.statistics`.
        size: side of the latents.
        heads: of every attention.
        dtype: of its weights and activations.

    Raises:
        ValueError: there is no such type, a file holds something else, or the decoder is of other latents or heads.
    """
    # Read the file, and the sizes off it.
    check_values({"decoder_dtype": dtype}, {"decoder_dtype": Dtype}, "model.", {})
    state = read(weights)
    try:
        sizes = Sizes.of(state, heads)
    except (KeyError, ValueError) as error:
        raise ValueError(f"{weights} is no decoder of RAE ({error}); {ADVICE}") from error
    _check(sizes, size, weights)

    # Make the network of them; RAE's code leaves the first token at zero where a file has none.
    if FIRST not in state:
        log.warning("%s has no %s; it is zero then, as in RAE's code", weights, FIRST)
        state = {**state, FIRST: torch.zeros(1, 1, sizes.width)}
    network = fit(Decoder(sizes), state, weights, ADVICE)
    for weight in network.parameters():
        weight.data = weight.data.to(getattr(torch, dtype))
    side = sizes.patch * size
    return Denormalised(network, (sizes.channels, size, size), (3, side, side), stats).to(device).eval()


def _check(sizes: Sizes, size: int, weights: str) -> None:
    """Refuse a decoder of other latents, or of other heads than the published ones of its sizes have.

    Raises:
        ValueError: naming both.
    """
    if sizes.places != size**2:
        raise ValueError(
            f"{weights} decodes {sizes.places} tokens, and model.size={size} makes {size**2}; set model.decoder to the "
            "decoder of this resolution"
        )
    heads = PUBLISHED.get((sizes.depth, sizes.width), sizes.heads)
    if heads != sizes.heads or sizes.width % sizes.heads:
        right = heads if heads != sizes.heads else f"a number that divides {sizes.width}"
        raise ValueError(
            f"model.decoder_heads is {sizes.heads}, and a decoder of {sizes.depth} layers of width {sizes.width} has "
            f"another number; set model.decoder_heads={right}"
        )
