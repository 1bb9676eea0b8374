"""The instruments for images of any origin: Inception, or those that words of run.py name (scripts/evaluate.py)."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self, cast

import numpy as np
from omegaconf import OmegaConf

from its.config.blueprint import checked
from its.config.checks import check_types
from its.config.composed import composed
from its.config.instantiate import instantiate
from its.config.smoke import with_twins
from its.dataset.folder import Crop
from its.dataset.image_set import ImageSet
from its.disk.run_folder import RunFolder
from its.metric.extractor import Extractor
from its.metric.metric import Metric, shortage_of
from its.metric.protocol import images_form, label_rule, protocol
from its.metric.reference import ROWS, extract_features
from its.metric.reference_source import ReferenceSource, refusal
from its.report.protocol import sentence
from its.rerun.finished_run import FinishedRun
from its.rerun.image_sets import RunImages, is_folder, open_reference
from its.run.contracts import check_extractor, check_metrics_stated
from its.run.instruments import open_reference as open_own_reference
from its.run.instruments import try_extractor
from its.run.measure import columns_of

FOLDER = "its.dataset.folder.Folder"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Evaluation:
    """An extractor, metrics, and the dataset that says how a reference is read.

    Attributes:
        metrics: by name.
        named: whether they were asked for: one that cannot be served is refused, and not left out.
        dataset: its node, with `name` and `reference`; empty without words.
        packages: whose classes it may name.
    """

    extractor: Extractor
    metrics: Mapping[str, Metric]
    named: bool
    dataset: Mapping[str, Any] = field(default_factory=dict)
    packages: tuple[str, ...] = ()

    @classmethod
    def of(cls, words: Sequence[str], *, named: bool) -> Self:
        """Load the extractor and the metrics that words of run.py name.

        Args:
            named: whether a person asks for these metrics.

        Raises:
            ValueError: a word breaks a rule, or what it names cannot be loaded.
        """
        # Compose and check as a run does; what only a run needs may be missing.
        config, choices, _ = composed(words)
        plain = cast(dict[str, Any], OmegaConf.to_container(config, resolve=True, throw_on_missing=False))
        plain, twins, packages = checked(plain, choices)
        plain = with_twins(plain, twins, packages)
        dataset = plain["dataset"]
        for key in ("report", "reference", "images"):
            check_types(dataset.get(key), f"dataset.{key}")
        check_types(plain["metric"], "metric")

        # Load what measures.
        extractor, metrics = instantiate(dataset.get("report"), packages), instantiate(plain["metric"], packages)
        check_extractor(extractor)
        check_metrics_stated(metrics)
        log.info("measured by %s, which dataset=%s names", extractor.name, dataset["name"])
        return cls(extractor, metrics, named, dataset, packages)

    def open_reference(
        self, name: str, *, crop: Crop = "none", size: int | None = None, root: str = "data"
    ) -> ReferenceSource:
        """Open what `name` says: with words the dataset's own reference by the dataset's name, else as everywhere.

        With words, a folder of images is read as the dataset's own reference is, if that is a folder.

        Args:
            crop, size: of a folder, where no word says how it is read.
            root: torchvision's folder.

        Raises:
            ValueError: it cannot be read, or is not of this extractor.
        """
        node = self.dataset.get("reference") or {}
        if name == self.dataset.get("name"):
            _require_path(node)
            data = instantiate(self.dataset["images"], self.packages)
            source = open_own_reference(self.dataset, data, self.extractor, self.packages)
        elif node.get("_target_") == FOLDER and crop == "none" and is_folder(name):
            images = instantiate({**node, "path": name}, self.packages)
            source = ReferenceSource.open(self.extractor, images, None)
        else:
            root = node.get("root", root)
            return open_reference(self.extractor, name, crop=crop, size=size, root=root)
        log.info("%s", source.account)
        return source

    def served(self, source: ReferenceSource, images: ImageSet) -> dict[str, Metric]:
        """Return the metrics that can be computed, and say which cannot.

        Raises:
            ValueError: one that cannot was named.
        """
        labels = _labels(images)
        reasons = {name: refusal(metric, source) or _shortage(metric, labels) for name, metric in self.metrics.items()}
        for name, reason in reasons.items():
            if reason and self.named:
                raise ValueError(f"{name} {reason}")
            if reason:
                log.info("not measured: %s %s", name, reason)
        return {name: self.metrics[name] for name, reason in reasons.items() if not reason}

    def protocol(self, source: ReferenceSource, images: ImageSet) -> str:
        """Return the sentence that stands beside the numbers; see `its.metric.protocol`."""
        entries = protocol(label_rule(_labels(images)), len(images), images.shape, source)
        return f"{images_form(images)} · {sentence(entries)}"

    def measure(self, source: ReferenceSource, images: ImageSet) -> dict[str, float]:
        """Return the metrics' numbers by column; see `served`."""
        metrics = self.served(source, images)
        for shape in {images.shape, source.shape or images.shape}:
            try_extractor(self.extractor, shape)
        real, features = source.load(), extract_features(images, self.extractor)
        return columns_of(metrics.values(), features, real)


def words_of_run(images: ImageSet, words: Sequence[str] = ()) -> list[str] | None:
    """Return the words that say what measures a run of ours, as far as others do not; None of any other images.

    Its `plugins` and `hydra` are not taken over: whose code runs is said on the command line.

    Args:
        words: the others; see `FinishedRun.measuring_words`.

    Raises:
        ValueError: no command is on record, and there are no other words.
    """
    if not isinstance(images, RunImages):
        return None
    folder = images.folder.absolute()
    outer = RunFolder(folder.parent.parent)
    if folder.parent in (outer.renders, outer.rescored):  # made of that run's images
        folder = outer.path
    if words and RunFolder(folder).state != "finished":
        return []
    return FinishedRun.of(folder).measuring_words(words)


def _require_path(node: Mapping[str, Any]) -> None:
    """Refuse a reference of which something mandatory is missing, as `???` in its YAML says."""
    for key, value in node.items():
        if value == "???":
            raise ValueError(f"dataset.reference.{key} is missing; say it: dataset.reference.{key}=...")


def _shortage(metric: Metric, labels: np.ndarray) -> str:
    return shortage_of(metric, labels, np.unique(labels).tolist())


def _labels(images: ImageSet) -> np.ndarray:
    """Return the class ids of a set, int64 `[n]`; those of a run without its images being read again."""
    return images.labels if isinstance(images, RunImages) else np.concatenate([ids for _, ids in images.batches(ROWS)])
