"""DINOv2's features (Oquab et al. 2023, arXiv 2304.07193), by which Stein et al. 2023 (2306.04675) measure FD-DINOv2.

The recipe is that of their dgm-eval, which EDM2 follows: Pillow's bicubic resize to 224x224 in 8 bits, ImageNet's mean
and standard deviation, the class token after the last norm. The weights are transformers' `facebook/dinov2-large`,
published as those of torch.hub's `dinov2_vitl14`; transformers resizes the embeddings of positions from 37x37 to 16x16
otherwise than that network does, so they are resized here once, as there.
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from its.metric.extractor import Extractor, padded_batches
from its.model.checkpoint import misfit_of, refuse_misfit, stored
from its.model.config_file import ConfigFile
from its.model.dinov2 import KNOWN, OFFSET, positions_at
from its.weights import Device, Weights, locate
from its.weights.hashing import sha256_of_file

SIDE = 224
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

RECIPE = f"pillow bicubic {SIDE} uint8, mean {MEAN}, std {STD}, positions +{OFFSET}, class token"

REMEDY = "take facebook/dinov2-large, or a folder that transformers saved whole"


class Dinov2Features(Extractor):
    """An extractor of DINOv2's class token, 1,024 numbers of ViT-L/14.

    Args:
        weights: a folder or a name on the hub, in transformers' format.
        rows: images of one batch; every batch has this shape, so that features do not depend on grouping.

    Raises:
        ValueError: there is no such network there, or transformers is not installed.
    """

    fingerprint: str
    rows: int

    def __init__(self, weights: Weights = "facebook/dinov2-large", rows: int = 64, device: Device = "cpu") -> None:
        # Name what decides the features: the recipe, the architecture and the file, whoever loads it.
        network, content = _load(weights)
        config = {key: getattr(network.config, key) for key in KNOWN if KNOWN[key] is not Any}
        decisive = json.dumps([RECIPE, config, content], sort_keys=True)
        self.fingerprint = sha256(decisive.encode()).hexdigest()
        self.name = f"dinov2-{self.fingerprint[:8]}"
        self.widths = MappingProxyType({"moments": int(config["hidden_size"])})

        # Resize its positions once.
        embeddings = network.embeddings
        side = SIDE // int(config["patch_size"])
        embeddings.position_embeddings = nn.Parameter(positions_at(embeddings.position_embeddings, side))
        self.rows, self._device = rows, torch.device(device)
        self._network = network.requires_grad_(False).eval().to(self._device)

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        features = []
        for padded, count in padded_batches(images, self.rows):
            with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
                tokens = self._network(pixel_values=prepared(padded).to(self._device)).last_hidden_state
                features.append(tokens[:count, 0].float().cpu().numpy())
        return {"features": np.concatenate(features)}


def prepared(images: np.ndarray) -> Tensor:
    """Resize uint8 images `[n, H, W, 1 or 3]` as Pillow does, and normalise them: float32 `[n, 3, 224, 224]`."""
    colour = images if images.shape[3] == 3 else images.repeat(3, axis=3)
    size, bicubic = (SIDE, SIDE), Image.Resampling.BICUBIC
    pixels = np.stack([np.asarray(Image.fromarray(image).resize(size, bicubic)) for image in colour])
    unit = torch.from_numpy(pixels).movedim(-1, 1).float() / 255
    mean, std = (torch.tensor(values).reshape(3, 1, 1) for values in (MEAN, STD))
    return (unit - mean) / std


def _load(weights: str) -> tuple[Any, list[str]]:
    """Load transformers' network, and return it with the sha256 of its weights' files."""
    try:
        import transformers
    except ImportError as error:
        raise ValueError(
            f"{weights} needs transformers, which is not installed; in the folder of this code: "
            ".venv/bin/python -m pip install -c constraints.txt -e '.[text2image]'"
        ) from error

    # Read its configuration.
    folder = _folder(weights)
    config = ConfigFile.read(folder / "config.json", REMEDY)
    config.needed("model_type")
    config.require(KNOWN)
    if config.needed("patch_size") < 1 or SIDE % config.needed("patch_size"):
        raise config.refusal("patch_size", f"here it divides {SIDE}")

    # Load the network, every tensor of it.
    file, _ = stored(folder, ("model", "pytorch_model"), None)
    try:
        kind: Any = transformers.Dinov2Model
        network, info = kind.from_pretrained(
            folder,
            use_safetensors=".safetensors" in file.name,
            output_loading_info=True,
            local_files_only=True,
            dtype=torch.float32,
        )
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{weights} is not read ({' '.join(str(error).split())[:300]}); {REMEDY}") from error
    refuse_misfit(weights, "Dinov2Model", misfit_of(info), "fetch the whole repository again")
    parts = sorted(folder.glob("*-of-*.*")) if file.suffix == ".json" else [file]
    return network, [sha256_of_file(part) for part in parts]


def _folder(weights: str) -> Path:
    try:
        return locate(weights)
    except FileNotFoundError as error:
        raise ValueError(f"{error}: dataset.second_report.weights=FOLDER, {REMEDY}") from error
