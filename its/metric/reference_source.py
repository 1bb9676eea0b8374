"""The source of a reference: real images, whose features are extracted once and cached, or a file of statistics."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import numpy as np

from its.dataset.image_set import ImageSet, Shape
from its.dataset.npz import Npz, has_images
from its.disk.cache import cache_folder
from its.disk.leftovers import drop_leftovers
from its.disk.npz import Archive
from its.metric.beside import Beside
from its.metric.extractor import Extractor
from its.metric.features import Moments
from its.metric.metric import Metric
from its.metric.reference import Reference, extract_reference
from its.metric.statistics_file import StatisticsFile, read_statistics, write_statistics
from its.process.source_files import SourceFiles

log = logging.getLogger(__name__)

REMEDIES = {
    "spatial": "choose a dataset/report= that makes them; of Inception, set dataset.report.spatial=true",
    "classes": "choose a dataset/report= that makes them; of Inception, set a held-out dataset.report.classifier",
    "second": "set dataset.second_report, as metric=fd_dinov2 does",
}
"""Advice where an extractor lacks the array that a metric reads."""


@dataclass(frozen=True)
class ReferenceSource:
    """Real images, a file of statistics, both, or nothing, where no metric may compare with it.

    Of both, the file's statistics are the reference, and the images serve metrics that need features one by one.

    Attributes:
        extractor: the network that measures, or two of them (`its.metric.beside`), of which the second has a reference
            of its own, `second`.

    Raises:
        ValueError: the file has no statistics and there are no images, or the statistics are another network's.
    """

    extractor: Extractor
    images: ImageSet | None = None
    statistics: StatisticsFile | None = None
    second: ReferenceSource | None = None
    _unwritten: list[Reference] = field(init=False, default_factory=list, compare=False, repr=False)

    def __post_init__(self) -> None:
        statistics = self.statistics
        if self.images is None and statistics is not None and statistics.moments is None:
            raise ValueError(
                f"{statistics.path} has neither images nor statistics (mu, "
                "sigma); give real images, or statistics of them"
            )
        if statistics is not None:
            _check_extractor(statistics, self._first)

    @classmethod
    def open(
        cls,
        extractor: Extractor,
        images: ImageSet | None,
        statistics: str | None,
        second_statistics: str | None = None,
    ) -> ReferenceSource:
        """Open a source of real images, of a file of statistics, or of a file with both.

        Args:
            images: real images; images in the file replace them.
            statistics: path of a `.npz`.
            second_statistics: the same by the second of two networks; without it the images are measured.

        Raises:
            ValueError: the file is damaged, hostile or not of this extractor.
        """
        file = None
        if statistics is not None:
            path = Path(statistics).expanduser()
            file = read_statistics(path)
            images = Npz(statistics) if has_images(Archive(path)) else images
        second = None
        if isinstance(extractor, Beside) and (images is not None or second_statistics is not None):
            second = cls.open(extractor.second, None if second_statistics else images, second_statistics)
        return cls(extractor, images, file, second)

    @property
    def _first(self) -> Extractor:
        return self.extractor.first if isinstance(self.extractor, Beside) else self.extractor

    @property
    def offers(self) -> frozenset[str]:
        """The parts that metrics may be compared against."""
        parts = {"nothing"}
        if self.images is not None:
            parts |= {"moments", "images"} | ({"spatial"} & self.extractor.offers)
        if self.statistics is not None:
            parts |= {name for name in ("moments", "spatial", "images") if getattr(self.statistics, name) is not None}
        parts |= set() if self.second is None else {"second"}
        return frozenset(parts)

    @cached_property
    def fingerprint(self) -> str:
        """The hash of everything that decides the reference."""
        file = self.statistics.sha256 if self.statistics is not None else ""
        second = "" if self.second is None else f" {self.second.fingerprint}"
        return sha256(f"{self._content} {file} {self._first.fingerprint}{second}".encode()).hexdigest()

    @cached_property
    def _content(self) -> str:
        return self.images.fingerprint() if self.images is not None else ""

    @property
    def shape(self) -> Shape | None:
        """The event shape (C, H, W) of the images; None where a file of statistics does not say."""
        if self.statistics is not None and self.statistics.shape is not None:
            return self.statistics.shape
        return self.images.shape if self.images is not None else None

    @property
    def is_absent(self) -> bool:
        """True if there is nothing to compare with."""
        return self.images is None and self.statistics is None

    @property
    def account(self) -> str:
        """A sentence that says what the reference is of, and what its images left out."""
        if self.is_absent:
            return "none"
        images = self.images.account if self.images is not None else ""
        if self.statistics is None or self.statistics.moments is None:
            return images
        size = "" if self.shape else ", of images whose size it does not say"
        return f"statistics of {self.statistics.path}{size}" + (f"; image by image {images}" if images else "")

    def load(self) -> Reference:
        """Return the reference, from the file, the cache or the images; one of no images if it is absent."""
        if self.is_absent:
            return Reference(Moments.of(np.zeros((0, 1))))
        whole = self._loaded()
        return whole if self.second is None else replace(whole, second=self.second.load().moments)

    def _loaded(self) -> Reference:
        """Return the reference without its second part."""
        statistics = self.statistics
        extracted = self._of_images() if self.images is not None else None
        if statistics is None or statistics.moments is None:
            assert extracted is not None, "a source has images or statistics"
            return extracted
        images = statistics.images or (extracted.images if extracted else None)
        spatial = statistics.spatial or (extracted.spatial if extracted else None)
        return Reference(statistics.moments, spatial, images)

    @property
    def _cache_file(self) -> Path:
        code = SourceFiles.of({type(self._first).__module__, type(self.images).__module__, "its.metric.reference"})
        kind = f"{self._first.fingerprint} {'spatial' in self._first.offers} {code.name}"
        key = sha256(f"{self._content} {kind}".encode()).hexdigest()
        return cache_folder() / "references" / f"{key[:32]}.npz"

    def _of_images(self) -> Reference:
        """Return the reference of the images, from the cache or extracted now and cached."""
        assert self.images is not None
        if self._first.fingerprint is None:
            return self._uncached
        if self._unwritten:
            return self._unwritten[0]
        file = self._cache_file
        if (cached := _from_cache(file)) is not None:
            return cached
        log.info("extracting features of %d images of %s once, into %s", len(self.images), self.images.source, file)
        reference = extract_reference(self.images, self._first)
        try:
            drop_leftovers(file.parent)
            write_statistics(file, "its", reference, self.images, self._first.fingerprint)
        except OSError as error:
            log.warning("%s cannot be written (%s), so this reference is extracted again next time", file, error)
            self._unwritten.append(reference)
        return reference

    @cached_property
    def _uncached(self) -> Reference:
        assert self.images is not None
        return extract_reference(self.images, self._first)


def check_metrics(metrics: Mapping[str, Metric], source: ReferenceSource) -> None:
    """Refuse metrics, by their keys in the configuration, that the extractor or the reference cannot serve.

    Raises:
        ValueError: the first such metric; the message says what to do.
    """
    reasons = {key: reason for key, metric in metrics.items() if (reason := refusal(metric, source))}
    for key, reason in reasons.items():
        it = "it" if len(reasons) == 1 else "them"
        words = " ".join(f"~metric.{other}" for other in reasons)
        raise ValueError(f"metric.{key} {reason}, or leave {it} out: {words}")


def check_shape(source: ReferenceSource, shape: Sequence[int], *, any_shape: bool, option: str) -> None:
    """Refuse a reference of images of another shape than those that are measured, unless that is said to be meant.

    Args:
        shape: (C, H, W) of the images that are measured.
        any_shape: whether it is said. option: that says it, for the message.

    Raises:
        ValueError: naming both shapes.
    """
    if source.shape not in (None, tuple(shape)) and not any_shape:
        raise ValueError(
            f"the reference is of images of shape {source.shape}, and those that are measured have {tuple(shape)}: "
            f"{source.account}; give a reference of the same size and channels, or set {option} if that is meant"
        )


def refusal(metric: Metric, source: ReferenceSource) -> str | None:
    """Say why a metric cannot be computed, and the remedy; None if it can."""
    # Look for a reference at all.
    if source.is_absent and metric.against != "nothing":
        return (
            "compares with real images, and this dataset has no reference; set dataset.reference to images or "
            "dataset.statistics to a file of them"
        )

    # Look for the array that it reads among those of the extractor.
    if metric.reads not in source.extractor.offers:
        remedy = REMEDIES.get(metric.reads, "choose a dataset/report= that makes them")
        return (
            f"reads {metric.reads} of images, and {source.extractor.name} makes "
            f"{', '.join(sorted(source.extractor.offers))}; {remedy}"
        )

    # Look for the part that it is compared against among those of the reference.
    if metric.against == "second" and "second" not in source.offers:
        return (
            "needs statistics of the reference by the second network, and there are neither these nor images; set "
            "dataset.second_statistics to a file that scripts/prepare_reference.py --network dinov2 makes"
        )
    if metric.against not in source.offers:
        name = source.statistics.path if source.statistics else "the reference"
        part = "the features of every image" if metric.against == "images" else f"{metric.against} statistics"
        spatial = " --spatial" if metric.against == "spatial" else ""
        return (
            f"needs {part} of the reference, and {name} has {', '.join(sorted(source.offers - {'nothing'}))} only; "
            f"measure against the images, or a file that scripts/prepare_reference.py{spatial} makes of them"
        )
    return None


def _from_cache(file: Path) -> Reference | None:
    """Return the reference in a file of the cache; None if it is not there or, with a warning, cannot be read."""
    try:
        return _complete(read_statistics(file)) if os.path.exists(file) else None
    except (OSError, ValueError) as damage:
        log.warning("%s; it is made again", damage)
        return None


def _complete(file: StatisticsFile) -> Reference:
    """Return what a file of the cache holds, which must be a whole reference."""
    if file.moments is None or file.images is None:
        raise ValueError(f"{file.path} is not what was put there")
    return Reference(file.moments, file.spatial, file.images)


def _check_extractor(statistics: StatisticsFile, extractor: Extractor) -> None:
    """Refuse statistics of another network, as far as the file tells."""
    if statistics.extractor not in (None, extractor.fingerprint):
        raise ValueError(
            f"{statistics.path} was made with weights of sha256 {statistics.extractor[:16]}…, and images are "
            f"measured by {extractor.name}; make it again with the same weights: python "
            "scripts/prepare_reference.py"
        )
    for part, width in extractor.widths.items():
        moments = getattr(statistics, part)
        if moments is not None and moments.width != width:
            raise ValueError(
                f"{part} of {statistics.path} are of {moments.width} features, and {extractor.name} makes "
                f"{width}; take statistics of the same network and layer"
            )
