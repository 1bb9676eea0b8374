"""The configuration of DINOv2's networks (Oquab et al. 2023, arXiv 2304.07193), and their embeddings of positions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from its.model.config_file import ConfigFile

OFFSET = 0.1
"""Part of a patch that DINOv2 adds to the side when it resizes embeddings of positions; it shifts their grid."""

KNOWN: Mapping[str, Any] = {
    **dict.fromkeys(("architectures", "torch_dtype", "dtype", "transformers_version", "_name_or_path"), Any),
    **dict.fromkeys(("apply_layernorm", "reshape_hidden_states", "stage_names", "initializer_range"), Any),
    **dict.fromkeys(("out_features", "out_indices", "_out_features", "_out_indices", "use_mask_token"), Any),
    **dict.fromkeys(("attention_probs_dropout_prob", "hidden_dropout_prob", "drop_path_rate"), float),  # of training
    **dict.fromkeys(("layer_norm_eps", "layerscale_value"), float),
    **dict.fromkeys(("hidden_size", "num_hidden_layers", "num_attention_heads", "image_size", "patch_size"), int),
    "mlp_ratio": int,
    "model_type": Literal["dinov2"],
    "hidden_act": Literal["gelu"],
    "num_channels": Literal[3],
    "qkv_bias": bool,
    "use_swiglu_ffn": bool,
}
"""The allow-list of its `config.json`; entries of any value are of training, other heads, or the file's history."""


def resize_positions(embeddings: Any, config: ConfigFile, side: Any) -> None:
    """Resize the positions of transformers' DINOv2 embeddings, in place, to images of `side` x `side` pixels.

    Args:
        config: of the network, which says the side of a patch.

    Raises:
        ValueError: no whole number of patches makes a side.
    """
    patch = config.needed("patch_size")
    if not isinstance(side, int) or patch < 1 or side < patch or side % patch:
        raise config.refusal("patch_size", f"here it divides the side of the square that is cropped, {side}")
    embeddings.position_embeddings = nn.Parameter(positions_at(embeddings.position_embeddings, side // patch))


def positions_at(embeddings: Tensor, side: int) -> Tensor:
    """Resize embeddings of positions `[1, 1 + n * n, d]`, the class token's first, to `[1, 1 + side * side, d]`.

    Bicubic, on a grid of `side + 0.1` patches, as torch.hub's networks of DINOv2 do it.
    """
    token, patches = embeddings[:, :1].detach(), embeddings[:, 1:].detach().float()
    n = round(patches.shape[1] ** 0.5)
    if n == side:
        return embeddings.detach()
    scale = (side + OFFSET) / n
    grid = patches.reshape(1, n, n, -1).permute(0, 3, 1, 2)
    resized = F.interpolate(grid, scale_factor=(scale, scale), mode="bicubic")
    return torch.cat([token, resized.permute(0, 2, 3, 1).reshape(1, side * side, -1)], dim=1)
