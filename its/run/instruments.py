"""The instruments that measure a run, loaded from a configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from reprlib import Repr
from typing import Any

import numpy as np

from its import __version__
from its.config.identity import hash8, measured_by
from its.config.instantiate import instantiate
from its.config.shelf import Shelf
from its.config.sources import of_features
from its.disk.store import Arrays, Store
from its.engine.shortage import LARGER, is_shortage, reason_of, shortage_of
from its.metric.extractor import Extractor
from its.metric.metric import Metric, shortages
from its.metric.protocol import label_rule, prompts_in, protocol
from its.metric.reference_source import ReferenceSource, check_metrics, check_shape
from its.parameters import fits
from its.run.conditions import labels_of, numbers_of
from its.run.contracts import check_arrays, check_dataset, check_extractor, check_metrics_stated, reference_of
from its.run.held_out import HeldOut
from its.types import Condition

IMAGES = "uint8 images [n, H, W, C]; set a dataset.report for such images"
"""Rows that an extractor is given, and the remedy if they do not fit; see `given`."""

BRIEFLY = Repr()
BRIEFLY.maxstring = 120
"""How an error shows a condition, which may be a prompt of any length."""


@dataclass(frozen=True)
class Instruments:
    """A dataset's problems, and what images of them are measured with.

    Attributes:
        data: the dataset's problems.
        reference: what generated images are compared with.
        metrics: by their keys in the configuration.
        fingerprint: hash of what decides the metrics.
        extraction: name of the source that extracts features.
        held_out: verifiers that score the chosen images.
    """

    data: Any
    extractor: Extractor
    reference: ReferenceSource
    metrics: dict[str, Metric]
    fingerprint: str
    extraction: str
    held_out: tuple[HeldOut, ...] = ()

    @classmethod
    def of(cls, plain: dict[str, Any], packages: tuple[str, ...], shelf: Shelf | None = None) -> Instruments:
        """Load what the configuration's dataset and metric name.

        Args:
            shelf: see `its.config.instantiate.instantiate`.

        Raises:
            ValueError: a file is damaged, or a metric needs what the reference has not.
        """
        # Load them, and refuse what does not fit together.
        dataset = plain["dataset"]
        data, extractor = (instantiate(dataset.get(key), packages, shelf) for key in ("images", "report"))
        metrics = instantiate(plain["metric"], packages)
        check_dataset(data)
        check_extractor(extractor)
        check_metrics_stated(metrics)
        check_declared_shape(dataset["shape"], data.shape)
        reference = open_reference(dataset, data, extractor, packages)
        check_metrics(metrics, reference)
        check_shape(reference, data.shape, any_shape=dataset.get("any_shape") is True, option="dataset.any_shape=true")
        check_report_width(dataset["report_width"], extractor, data.shape)

        # Fingerprint what decides the metrics.
        fingerprint = hash8(
            {
                "metric": measured_by(plain["metric"]),
                "report": measured_by(dataset["report"]),
                "its": __version__,
                "extractor": extractor.name,
                "reference": reference.fingerprint,
                **({"held_out": measured_by(plain["report"])} if plain["report"] else {}),
            }
        )
        extraction = of_features(dataset["report"]).name
        held_out = HeldOut.of(plain, packages, shelf)
        return cls(data, extractor, reference, metrics, fingerprint, extraction, held_out)

    def left_out(self, conditions: Sequence[Condition]) -> dict[str, str]:
        """Return why metrics cannot be computed of images that are asked for so, by key."""
        return shortages(self.metrics, labels_of(conditions), numbers_of(conditions))

    def protocol(self, conditions: Sequence[Condition]) -> dict[str, Any]:
        """Return what stands beside the metrics of images that are asked for so; see `its.metric.protocol`."""
        labels = label_rule(labels_of(conditions), self.data)
        prompts = {} if numbers_of(conditions) is None else prompts_in(conditions, self.data)
        return protocol(labels, len(conditions), tuple(self.data.shape), self.reference) | prompts

    def measurable(self, conditions: Sequence[Condition]) -> list[Metric]:
        """Return the metrics that can be."""
        return [metric for key, metric in self.metrics.items() if key not in self.left_out(conditions)]

    def features(self, store: Store, name: str, images: np.ndarray) -> Arrays:
        """Return the features of uint8 images `[n, H, W, C]`: the file `name`'s, or computed and written now.

        A file that another source extracted is written anew.
        """
        if (present := self.stored_features(store, name, len(images))) is not None:
            return present
        features = self.extractor(images)
        store.write(name, features, source=self.extraction)
        return features

    def scored(self, store: Store, arrays: Arrays, images: np.ndarray | None) -> Arrays | None:
        """Return a shard's arrays with the scores of held-out verifiers; None if those of images not kept are lost.

        Args:
            images: the shard's different ones, uint8 `[m, H, W, C]`; None if they are not kept.

        Raises:
            ValueError: images are not kept that a verifier has never scored.
        """
        scored = dict(arrays)
        for each in self.held_out:
            scores = each.of_shard(store, arrays, images, self.data.condition)
            if scores is None:
                return None
            scored[each.key] = scores
        return scored

    def stored_features(self, store: Store, name: str, count: int) -> Arrays | None:
        """Return the features of `count` images in the file `name`; None if they are not there, or another source's."""
        present = store.read_intact(name)
        same = present is not None and store.source(name) == self.extraction
        return present if present is not None and same and len(present["features"]) == count else None


@contextmanager
def given(part: str, shape: Sequence[int], what: str, condition: Condition = None) -> Iterator[None]:
    """Name the part of a run that fails, and what it was given.

    Args:
        what: rows of which kind, with `{condition}` for what they are asked for; after "; " the remedy.

    Raises:
        ValueError: the part has failed.
    """
    try:
        yield
    except Exception as error:
        asked = BRIEFLY.repr(condition)
        kind, _, remedy = (part.format(condition=asked) for part in what.partition("; "))
        reason = " ".join(str(error).split())[:400] or type(error).__name__
        if is_shortage(error):
            remedy = f"they do not fit in memory: {LARGER}"
        raise ValueError(f"{part} is given {list(shape)} {kind}, and cannot take them: {reason}; {remedy}") from error


def try_extractor(extractor: Extractor, shape: Sequence[int], rows: int = 1, what: str = IMAGES) -> Arrays:
    """Extract the arrays of black images, and see that they are what the extractor offers.

    Args:
        shape: of an image, (C, H, W).
        what: the images are, and after "; " the remedy.

    Raises:
        ValueError: it cannot take such images, or makes other arrays.
    """
    black = np.zeros((rows, *shape[1:], shape[0]), np.uint8)
    arrays: list[Any] = []
    with given("dataset.report", black.shape, what):
        shortage = shortage_of(lambda: arrays.append(extractor(black)))
    if shortage is not None:
        raise ValueError(_smaller(extractor, black, shortage))
    return check_arrays(extractor, arrays[0], rows)


def _smaller(extractor: Extractor, images: np.ndarray, shortage: Exception) -> str:
    """Say that an extractor's batch does not fit, and which of its halves, quarters, ... does."""
    tried, rows = copy(extractor), getattr(extractor, "rows", None) or 0
    for halvings in range(1, rows.bit_length()):
        tried.rows = rows >> halvings
        if shortage_of(lambda: tried(images)) is None:
            what = f"dataset.report.rows={rows} does not fit in memory ({reason_of(shortage)})"
            return f"{what}; ++dataset.report.rows={tried.rows} does"
    return f"dataset.report does not fit in memory ({reason_of(shortage)}); {LARGER}"


def check_report_width(declared: Any, extractor: Extractor, shape: Sequence[int]) -> None:
    """Refuse a `dataset.report_width` below what the extractor stores of an image: plans reckon disk space with it.

    Args:
        shape: of an image, (C, H, W).

    Raises:
        ValueError: it is too small, or no number.
    """
    stored = sum(extractor.widths.values())
    if extractor.fingerprint is None:  # quick enough to try on a black image
        stored = sum(array[0].size for array in try_extractor(extractor, shape).values())
    if not fits(declared, int) or declared < stored:
        raise ValueError(
            f"dataset.report_width is {declared!r}, and {extractor.name} stores {stored} numbers of an image; "
            f"set dataset.report_width={stored}"
        )


def check_declared_shape(declared: Any, shape: Sequence[int]) -> None:
    """Refuse a `dataset.shape` that is not that of the dataset's images: plans reckon disk space with it.

    Raises:
        ValueError: naming both.
    """
    if list(declared) != list(shape):
        raise ValueError(
            f"dataset.shape is {list(declared)}, and images of this dataset have {list(shape)}; set "
            f"dataset.shape=[{','.join(map(str, shape))}]"
        )


def open_reference(
    dataset: Mapping[str, Any], data: Any, extractor: Extractor, packages: Sequence[str]
) -> ReferenceSource:
    """Open the reference that a dataset's node names, or that the dataset brings itself.

    Args:
        data: the dataset's problems.

    Raises:
        ValueError: there is none, or it cannot be read.
    """
    real = instantiate(dataset.get("reference"), packages)
    files = (dataset.get("statistics"), dataset.get("second_statistics"))
    return ReferenceSource.open(extractor, real or reference_of(data), *files)


def check_shapes(dataset: str, data: Any, model: Any) -> None:
    """Refuse a model that makes other images than the dataset's, or whose label of no condition is one of its classes.

    Raises:
        ValueError: naming both shapes, or the label.
    """
    shape = model.decoder.shape if model.decoder else model.shape
    if tuple(shape) != tuple(data.shape):
        raise ValueError(
            f"the model makes images of shape {tuple(shape)}, and dataset {dataset} has "
            f"{tuple(data.shape)}; choose a model of this dataset"
        )

    null, classes = getattr(model, "null_class", None), getattr(data, "num_classes", 0)
    if null is not None and null < classes and (model.slots > 1 or not model.conditional):
        raise ValueError(
            f"model.null_class is {null} (null: the last of the network's num_class_embeds), and dataset {dataset} has "
            f"the classes 0 to {classes - 1}, so it stands for one of them; set model.conditional=true and "
            "model.guidance_scale=1"
        )
