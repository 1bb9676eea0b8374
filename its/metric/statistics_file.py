"""Files of reference statistics: those that others publish, and ours, which hold features too.

| format | arrays |
|---|---|
| `its` | `mu`, `sigma`, `count`, `shape`, `features`, `labels`, `extractor`; with spatial features `mu_s`, `sigma_s` |
| `openai` (guided-diffusion) | images `arr_0` and labels `arr_1`, `mu`, `sigma`, `mu_s`, `sigma_s` |
| `edm`, `pytorch-fid` | `mu`, `sigma` |
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Literal

import numpy as np

from its.dataset.image_set import Batch, ImageSet, Shape
from its.disk.npz import Archive, Stream, write_npz
from its.metric.features import Features, Float64, Moments
from its.metric.reference import Reference

Format = Literal["its", "openai", "edm", "pytorch-fid"]

KNOWN = {
    *("mu", "sigma", "mu_s", "sigma_s", "count", "shape", "features", "labels", "extractor"),
    *("arr_0", "arr_1", "arr", "label_arr"),  # images and their class ids
    *("n", "num_images", "num_samples"),  # how many they are of, which decides nothing
}
"""The allow-list of arrays."""

MOST_WIDTH = 16384
"""Features that a covariance may be of: one of float64 is then 2 GB."""

ROWS = 1024


@dataclass(frozen=True)
class StatisticsFile:
    """The contents of a file of statistics, but for its images.

    Attributes:
        moments: of the features.
        spatial: of sFID's features.
        images: features and labels image by image.
        extractor: fingerprint of the extractor that made them; None where the file does not say.
        shape: of the images that they are of; None where the file does not say.
        sha256: hash of the file.
    """

    path: Path
    moments: Moments | None
    spatial: Moments | None
    images: Features | None
    extractor: str | None
    shape: Shape | None
    sha256: str


def read_statistics(path: Path) -> StatisticsFile:
    """Read and check the statistics of a file; of images in it only the checksum is read.

    Raises:
        ValueError: the file is damaged or hostile, or an array is not what its name says.
    """
    archive = Archive(path)
    if unknown := archive.headers.keys() - KNOWN:
        raise ValueError(
            f"{path} holds {', '.join(sorted(unknown))}, which is not known here, and may decide what the others mean; "
            "save it again with what is known: np.savez(path, mu=mean, sigma=covariance), each float64"
        )
    archive.verify()
    moments, spatial = (_moments(archive, *names) for names in (("mu", "sigma"), ("mu_s", "sigma_s")))
    extractor = str(archive.array("extractor")) if "extractor" in archive.headers else None
    with path.open("rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
    return StatisticsFile(path, moments, spatial, _features(archive), extractor, _shape(archive), digest)


def write_statistics(path: Path, form: Format, reference: Reference, images: ImageSet | None, extractor: str) -> None:
    """Write `reference` in one of the formats.

    Args:
        images: the images that the reference is of.
        extractor: fingerprint of the extractor that made the features.

    Raises:
        ValueError: the format holds images, and there are none.
    """
    moments, spatial = _arrays_of(reference.moments, "mu", "sigma"), _arrays_of(reference.spatial, "mu_s", "sigma_s")

    # Formats of others.
    if form in ("edm", "pytorch-fid"):
        write_npz(path, moments)
    elif form == "openai":
        if images is None:
            raise ValueError(
                "format openai holds the images beside their statistics, and there are statistics alone; "
                "choose another --format, or give the images"
            )
        write_npz(path, {**image_arrays(images), **moments, **spatial})

    # Our own, with features image by image.
    else:
        arrays: dict[str, Stream | np.ndarray] = {**moments, **spatial}
        if reference.moments.count is not None:
            arrays["count"] = np.asarray(reference.moments.count)
        if images is not None:
            arrays["shape"] = np.asarray(images.shape)
        if reference.images is not None:
            arrays["extractor"] = np.asarray(extractor)
            arrays["features"], arrays["labels"] = reference.images.features, reference.images.labels
        write_npz(path, arrays)


def image_arrays(images: ImageSet, most: int | None = None) -> dict[str, Stream | np.ndarray]:
    """Make OpenAI's arrays of the first `most` images: `arr_0`, and class ids as `arr_1` if all are known."""
    n = len(images) if most is None else min(most, len(images))
    labels = np.concatenate([ids for _, ids in _first_batches(images, n)])
    channels, height, width = images.shape
    blocks = (block for block, _ in _first_batches(images, n))
    arrays: dict[str, Stream | np.ndarray] = {"arr_0": Stream((n, height, width, channels), np.uint8, blocks)}
    return arrays if (labels < 0).any() else {**arrays, "arr_1": labels}


def _first_batches(images: ImageSet, most: int) -> Iterator[Batch]:
    """Yield the first `most` images, however many the set gives at a time."""
    count = 0
    for block, ids in images.batches(ROWS):
        yield block[: most - count], ids[: most - count]
        count += len(block)
        if count >= most:
            return


def _arrays_of(moments: Moments | None, mean: str, covariance: str) -> dict[str, np.ndarray]:
    return {} if moments is None else {mean: moments.mean, covariance: moments.covariance}


def _moments(archive: Archive, mean: str, covariance: str) -> Moments | None:
    if mean not in archive.headers and covariance not in archive.headers:
        return None
    if mean not in archive.headers or covariance not in archive.headers:
        raise ValueError(f"{archive.path} holds one of {mean} and {covariance}; statistics are both")
    values, products = _numbers(archive, mean, 1), _numbers(archive, covariance, 2)
    try:
        moments = Moments(_count(archive), values, products)
        if "extractor" not in archive.headers:  # others' files
            _ = moments.factor  # where no covariance is refused; FID needs it in any case
    except ValueError as error:
        raise ValueError(f"{archive.path}: {error}") from error
    return moments


def _count(archive: Archive) -> int | None:
    if "count" not in archive.headers:
        return None
    header = archive.headers["count"]
    if header.shape != () or header.dtype.kind not in "iu":
        raise ValueError(f"count is {header.dtype} of shape {header.shape}; it is one whole number")
    return int(archive.array("count"))


def _numbers(archive: Archive, name: str, axes: int) -> Float64:
    header = archive.headers[name]
    exact = header.dtype.kind == "f" and header.dtype.itemsize >= 4
    if not exact or len(header.shape) != axes or not 1 <= min(header.shape) <= max(header.shape) <= MOST_WIDTH:
        raise ValueError(
            f"{name} of {archive.path} is {header.dtype} of shape {header.shape}; it is of floats, with "
            f"{axes} axes of at most {MOST_WIDTH}, and of 32 bits or more: save it so, from what was computed"
        )
    return archive.array(name).astype(np.float64)


def _shape(archive: Archive) -> Shape | None:
    if "shape" not in archive.headers:
        return None
    header = archive.headers["shape"]
    if header.dtype.kind not in "iu" or header.shape != (3,):
        raise ValueError(f"shape of {archive.path} is {header.dtype} of shape {header.shape}; it is (C, H, W)")
    channels, height, width = archive.array("shape").tolist()
    return channels, height, width


def _features(archive: Archive) -> Features | None:
    if "features" not in archive.headers:
        return None
    features = archive.array("features")
    labels = archive.array("labels") if "labels" in archive.headers else np.full(len(features), -1)
    try:
        return Features(features, np.zeros((len(features), 0), dtype=np.float32), labels)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{archive.path}: {error}") from error
