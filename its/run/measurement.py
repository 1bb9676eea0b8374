"""What measures a run, from a configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from its import __version__
from its.config.identity import hash8, measured_by
from its.config.instantiate import instantiate
from its.dataset.image_set import Loaded
from its.metric.extractor import Extractor
from its.metric.references import Source, check_metrics, open_source


@dataclass(frozen=True)
class Measurement:
    """What measures a run, loaded.

    Attributes:
        data: the dataset's problems.
        fingerprint: of what decides the metrics.
    """

    data: Any
    extractor: Extractor
    reference: Source
    metrics: list[Any]
    fingerprint: str

    @classmethod
    def of(cls, plain: dict[str, Any], packages: tuple[str, ...]) -> Measurement:
        """Load what the configuration's dataset and metric name.

        Raises:
            ValueError: a file is damaged, or a metric needs what the reference has not.
        """
        dataset = plain["dataset"]
        data, extractor, real = (instantiate(dataset.get(key), packages) for key in ("images", "report", "reference"))
        metrics = instantiate(plain["metric"], packages)
        reference = open_source(extractor, real or real_images(data), dataset.get("statistics"))
        check_metrics(metrics, reference)
        fingerprint = hash8(
            {
                "metric": measured_by(plain["metric"]),
                "report": measured_by(dataset["report"]),
                "its": __version__,
                "extractor": extractor.name,
                "reference": reference.fingerprint,
            }
        )
        return cls(data, extractor, reference, list(metrics.values()), fingerprint)


def real_images(data: Any) -> Any:
    """The images that a dataset brings itself; None if they are kept elsewhere."""
    return Loaded("the dataset", *data.reference()) if hasattr(data, "reference") else None


def check_shapes(dataset: str, data: Any, model: Any) -> None:
    """Refuse a model that makes other images than the dataset's.

    Raises:
        ValueError: naming both shapes.
    """
    shape = model.decoder.shape if model.decoder else model.shape
    if tuple(shape) != tuple(data.shape):
        raise ValueError(
            f"the model makes images of shape {tuple(shape)}, and dataset {dataset} has "
            f"{tuple(data.shape)}; choose a model of this dataset"
        )
