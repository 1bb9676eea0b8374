"""Random checkpoints of EDM, as scripts/convert_edm.py writes them."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.torch import save_file

from its.model.edm import DEFAULTS, song_unet
from its.twins.random_state import random_state
from its.weights import Weights


def write(weights: Weights, *, size: int, channels: int, blocks: int, labels: int = 0) -> None:
    """Write a random DDPM++ of these sizes to `weights`, as scripts/convert_edm.py does."""
    config = {
        **DEFAULTS,
        "model_type": "SongUNet",
        "img_resolution": size,
        "img_channels": 3,
        "label_dim": labels,
        "model_channels": channels,
        "num_blocks": blocks,
        "channel_mult": [1, 2],
        "attn_resolutions": [size // 2],
    }
    save_file(random_state(song_unet(config)), Path(weights), {"edm": json.dumps(config)})
