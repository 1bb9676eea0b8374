"""Random checkpoints of EDM, as scripts/convert_edm.py writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from safetensors.torch import save_file

from its.model.edm import DEFAULTS, DHARIWAL, network_of
from its.twins.random_state import random_state
from its.weights import Weights


def write(
    weights: Weights,
    *,
    size: int,
    channels: int,
    blocks: int,
    labels: int = 0,
    model_type: Literal["SongUNet", "DhariwalUNet"] = "SongUNet",
) -> None:
    """Write a random DDPM++, or ADM, of these sizes to `weights`, as scripts/convert_edm.py does."""
    config = {
        **(DEFAULTS if model_type == "SongUNet" else DHARIWAL),
        "model_type": model_type,
        "img_resolution": size,
        "img_channels": 3,
        "label_dim": labels,
        "model_channels": channels,
        "num_blocks": blocks,
        "channel_mult": [1, 2],
        "attn_resolutions": [size // 2],
    }
    save_file(random_state(network_of(config)), Path(weights), {"edm": json.dumps(config)})
