"""Where a reference comes from: real images, measured once and kept by content, or a file of statistics."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from its.dataset.folder import Crop
from its.dataset.image_set import ImageSet
from its.dataset.npz import Npz, has_images
from its.disk.npz import Archive
from its.metric.extractor import Extractor
from its.metric.metric import Metric
from its.metric.reference import Reference, measure_reference
from its.metric.statistics import Statistics, read_statistics, write_statistics
from its.rerun.image_sets import open_images

log = logging.getLogger(__name__)

CACHE = "ITS_CACHE"
"""Environment variable with the folder that measured references are kept in; default: `~/.cache/its`."""


@dataclass(frozen=True)
class Source:
    """Real images, given statistics, or both: then the statistics stand, and images serve what needs them one by one.

    Raises:
        ValueError: there is neither, or the statistics are another network's.
    """

    extractor: Extractor
    images: ImageSet | None = None
    given: Statistics | None = None

    def __post_init__(self) -> None:
        given = self.given
        if self.images is None and (given is None or given.moments is None):
            raise ValueError(
                f"{given.path if given else 'the reference'} has neither images nor statistics (mu, "
                "sigma); give real images, or statistics of them"
            )
        if given is not None:
            _check_origin(given, self.extractor)

    @property
    def offers(self) -> frozenset[str]:
        """The parts that metrics may be compared against."""
        parts = {"nothing"}
        if self.images is not None:
            parts |= {"moments", "images"} | ({"spatial"} & self.extractor.offers)
        if self.given is not None:
            parts |= {name for name in ("moments", "spatial", "images") if getattr(self.given, name) is not None}
        return frozenset(parts)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of what decides the reference."""
        given = self.given.sha256 if self.given is not None else ""
        return sha256(f"{self._content} {given} {self.extractor.fingerprint}".encode()).hexdigest()

    @cached_property
    def _content(self) -> str:
        return self.images.fingerprint() if self.images is not None else ""

    def prepare(self) -> None:
        """Measure the images, if that has not been done and the outcome can be kept."""
        if self.images is not None and self.extractor.fingerprint is not None and not self._kept.exists():
            self.load()

    def load(self) -> Reference:
        """The reference."""
        given = self.given
        found = self._measured() if self.images is not None else None
        if given is None or given.moments is None:
            assert found is not None, "a source has images or statistics"
            return found
        images = given.images or (found.images if found else None)
        spatial = given.spatial or (found.spatial if found else None)
        return Reference(given.moments, spatial, images)

    @property
    def _kept(self) -> Path:
        kind = f"{self.extractor.fingerprint} {'spatial' in self.extractor.offers}"
        key = sha256(f"{self._content} {kind}".encode()).hexdigest()
        return cache_folder() / "references" / f"{key[:32]}.npz"

    def _measured(self) -> Reference:
        """From the cache, or measured now and put there."""
        assert self.images is not None
        if self.extractor.fingerprint is None:
            return measure_reference(self.images, self.extractor)
        kept = self._kept
        if kept.exists():
            try:
                return _whole(read_statistics(kept))
            except ValueError as damage:
                log.warning("%s; it is made again", damage)
        log.info("measuring %d images of %s once; kept in %s", len(self.images), self.images.source, kept)
        reference = measure_reference(self.images, self.extractor)
        write_statistics(kept, "its", reference, self.images, self.extractor.fingerprint)
        return reference


def cache_folder() -> Path:
    """Where what was measured once is kept."""
    return Path(os.environ.get(CACHE) or "~/.cache/its").expanduser()


def open_source(extractor: Extractor, images: ImageSet | None, statistics: str | None) -> Source:
    """A source of real images, of a file of statistics, or of a file with both.

    Raises:
        ValueError: the file is damaged, hostile or not of this extractor.
    """
    if statistics is None:
        return Source(extractor, images)
    path = Path(statistics).expanduser()
    given = read_statistics(path)
    own = Npz(statistics) if has_images(Archive(path)) else None
    return Source(extractor, images if own is None else own, given)


def open_reference(
    extractor: Extractor, reference: str, *, crop: Crop = "none", size: int | None = None, root: str = "data"
) -> Source:
    """A source by what a user calls it: a `.npz` of statistics, of images or of both, or what `open_images` opens.

    Raises:
        ValueError: it cannot be read, or is not of this extractor.
    """
    if Path(reference).expanduser().is_file():
        return open_source(extractor, None, reference)
    return Source(extractor, open_images(reference, crop=crop, size=size, root=root))


def check_metrics(metrics: Mapping[str, Metric], source: Source) -> None:
    """Refuse metrics, by their keys in the configuration, that the extractor or the reference cannot serve.

    Raises:
        ValueError: the first such metric; the message says what to do.
    """
    for key, metric in metrics.items():
        reason = lacking(metric, source)
        if reason:
            raise ValueError(f"metric.{key} {reason}, or leave it out: ~metric.{key}")


def lacking(metric: Metric, source: Source) -> str | None:
    """Why a metric cannot be computed, and the remedy; None if it can."""
    if metric.reads not in source.extractor.offers:
        remedies = {"spatial": "dataset.report.spatial=true", "classes": "a held-out dataset.report.classifier"}
        remedy = remedies.get(metric.reads, "another dataset.report")
        return (
            f"reads {metric.reads} of images, and {source.extractor.name} makes "
            f"{', '.join(sorted(source.extractor.offers))}; set {remedy}"
        )
    if metric.against not in source.offers:
        of = source.given.path if source.given else "the reference"
        needed = "the features of every image" if metric.against == "images" else f"{metric.against} statistics"
        spatial = " --spatial" if metric.against == "spatial" else ""
        return (
            f"needs {needed} of the reference, and {of} has {', '.join(sorted(source.offers - {'nothing'}))} only; "
            f"measure against the images, or a file that scripts/prepare_reference.py{spatial} makes of them"
        )
    return None


def _whole(found: Statistics) -> Reference:
    if found.moments is None or found.images is None:
        raise ValueError(f"{found.path} is not what was put there")
    return Reference(found.moments, found.spatial, found.images)


def _check_origin(given: Statistics, extractor: Extractor) -> None:
    """Refuse statistics of another network, as far as can be told."""
    if given.extractor not in (None, extractor.fingerprint):
        raise ValueError(
            f"{given.path} was made with weights of sha256 {given.extractor[:16]}…, and images are "
            f"measured by {extractor.name}; make it again with the same weights: python "
            "scripts/prepare_reference.py"
        )
    for part, width in extractor.widths.items():
        found = getattr(given, part)
        if found is not None and found.mean.size != width:
            raise ValueError(
                f"{part} of {given.path} are of {found.mean.size} features, and {extractor.name} makes "
                f"{width}; take statistics of the same network and layer"
            )
