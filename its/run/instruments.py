"""The instruments that measure a run, loaded from a configuration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from its import __version__
from its.config.identity import hash8, measured_by
from its.config.instantiate import instantiate
from its.config.sources import of_features
from its.dataset.image_set import Loaded
from its.disk.store import Arrays, Store
from its.metric.extractor import Extractor
from its.metric.metric import Metric
from its.metric.reference_source import ReferenceSource, check_metrics
from its.parameters import fits


@dataclass(frozen=True)
class Instruments:
    """A dataset's problems, and what images of them are measured with.

    Attributes:
        data: the dataset's problems.
        reference: what generated images are compared with.
        fingerprint: hash of what decides the metrics.
        extraction: name of the source that extracts features.
    """

    data: Any
    extractor: Extractor
    reference: ReferenceSource
    metrics: list[Metric]
    fingerprint: str
    extraction: str

    @classmethod
    def of(cls, plain: dict[str, Any], packages: tuple[str, ...]) -> Instruments:
        """Load what the configuration's dataset and metric name.

        Raises:
            ValueError: a file is damaged, or a metric needs what the reference has not.
        """
        # Load them, and refuse what does not fit together.
        dataset = plain["dataset"]
        data, extractor, real = (instantiate(dataset.get(key), packages) for key in ("images", "report", "reference"))
        metrics = instantiate(plain["metric"], packages)
        reference = ReferenceSource.open(extractor, real or real_images(data), dataset.get("statistics"))
        check_metrics(metrics, reference)
        check_report_width(dataset["report_width"], extractor, data.shape)

        # Fingerprint what decides the metrics.
        fingerprint = hash8(
            {
                "metric": measured_by(plain["metric"]),
                "report": measured_by(dataset["report"]),
                "its": __version__,
                "extractor": extractor.name,
                "reference": reference.fingerprint,
            }
        )
        extraction = of_features(dataset["report"]).name
        return cls(data, extractor, reference, list(metrics.values()), fingerprint, extraction)

    def features(self, store: Store, name: str, images: np.ndarray) -> Arrays:
        """Return the features of uint8 images `[n, H, W, C]`: the file `name`'s, or computed and written now.

        A file that another source extracted is written anew.
        """
        present = store.read_intact(name)
        same = present is not None and store.source(name) == self.extraction
        if present is not None and same and len(present["features"]) == len(images):
            return present
        features = self.extractor(images)
        store.write(name, features, source=self.extraction)
        return features


def check_report_width(declared: Any, extractor: Extractor, shape: Sequence[int]) -> None:
    """Refuse a `dataset.report_width` below what the extractor stores of an image: plans reckon disk space with it.

    Args:
        shape: of an image, (C, H, W).

    Raises:
        ValueError: it is too small, or no number.
    """
    stored = sum(extractor.widths.values())
    if extractor.fingerprint is None:  # quick enough to try on a black image
        black = np.zeros((1, *shape[1:], shape[0]), np.uint8)
        stored = sum(array[0].size for array in extractor(black).values())
    if not fits(declared, int) or declared < stored:
        raise ValueError(
            f"dataset.report_width is {declared!r}, and {extractor.name} stores {stored} numbers of an image; "
            f"set dataset.report_width={stored}"
        )


def real_images(data: Any) -> Any:
    """Return the images that a dataset brings itself; None if they are kept elsewhere."""
    return Loaded("the dataset", *data.reference()) if hasattr(data, "reference") else None


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
