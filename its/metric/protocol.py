"""The protocol of a measurement: what moves an FID as much as a method does, and therefore stands beside each.

Equal labels give ImageNet's models an FID about 0.1 lower than random ones; a reference saved as JPEG moved one from
11.18 to 13.74, one of another resolution to 85.6, and 10,000 images in place of 50,000 add 3 and more.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from its.dataset.image_set import ImageSet, Shape, form_of

if TYPE_CHECKING:
    from its.metric.reference_source import ReferenceSource


def protocol(labels: str, images: int, shape: Shape, source: ReferenceSource) -> dict[str, Any]:
    """Return what `metrics.json` says under `protocol`.

    Args:
        labels: the rule of the classes that images were asked for; see `label_rule`.
        images: how many were made. shape: of one, (C, H, W).
        source: the reference, with the network that measures.
    """
    return {
        "labels": labels,
        "images": images,
        "resolution": _size(shape),
        "features": source.extractor.name,
        "reference": reference_form(source),
        **({} if source.second is None else {"second_reference": reference_form(source.second)}),
    }


def prompts_in(conditions: Sequence[object], data: Any) -> dict[str, str]:
    """Return which prompts images were asked for: a list's name, its size and the sha256 of its file.

    Args:
        conditions: of every image.
        data: the dataset's problems, which say so as `account` and `digest`; of others the prompts themselves tell.
    """
    different = list(dict.fromkeys(conditions))
    digest = getattr(data, "digest", None) or sha256(json.dumps(different).encode()).hexdigest()
    account = getattr(data, "account", None) or f"{len(different):,} prompts"
    return {"prompts": f"{account}, sha256 {digest[:16]}", "prompts_sha256": digest}


def label_rule(class_ids: np.ndarray, data: Any = None) -> str:
    """Return the rule by which images were asked for classes: the dataset's, else as the classes themselves tell.

    Args:
        class_ids: int64 `[n]`, -1 for no class.
        data: the dataset's problems.
    """
    classes, counts = np.unique(class_ids, return_counts=True)
    if not len(classes) or classes[0] < 0:
        return "none"
    if (order := getattr(data, "class_order", None)) is not None:
        return str(order.rule)
    if len(classes) == 1:
        return f"class {classes[0]}"
    spread = f"{counts.min():,}" if counts.min() == counts.max() else f"{counts.min():,} to {counts.max():,}"
    return f"{len(classes):,} classes of {spread}"


def reference_form(source: ReferenceSource) -> str:
    """Return what a reference is: statistics, images and in which format, and the size of both."""
    if source.is_absent:
        return "none"
    parts = []
    if source.statistics is not None and (moments := source.statistics.moments) is not None:
        count = "" if moments.count is None else f" of {moments.count:,} images"
        size = "of a size that it does not say" if source.shape is None else f"at {_size(source.shape)}"
        parts.append(f"statistics {source.statistics.path.name}{count} {size}")
    if source.images is not None:
        parts.append(f"{'image by image ' if parts else ''}{images_form(source.images)}")
    return ", ".join(parts)


def images_form(images: ImageSet) -> str:
    """Return how many images a set has, in which format, of which size, and from where."""
    return f"{len(images):,} images of {Path(images.source).name} at {_size(images.shape)} ({form_of(images)})"


def _size(shape: Shape) -> str:
    return f"{shape[1]}x{shape[2]}"
