"""The two sources of a run, by content: what makes its images, and what measures them.

Each is what a configuration names with all that this imports. What brings a run about and changes none of its numbers
belongs to neither: configurations, folders, processes, reports, trackers. An edit counts whatever it says, a comment
too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from its.config.names import current
from its.process.source_files import SourceFiles

NEITHER = (
    "its.cluster",
    "its.config",
    "its.disk",
    "its.moving",
    "its.process",
    "its.report",
    "its.rerun",
    "its.run",
    "its.tracker",
    "its.twins",
)
"""Rooms that neither make nor measure, but for the modules of them that are named below."""

MAKING = (
    "its.config.sizes",
    "its.dataset.classes",
    "its.engine",
    "its.run.build",
    "its.run.candidates",
    "its.run.codes",
    "its.run.shard_maker",
    "its.run.shards",
)
"""Modules that make images whatever the configuration; of a dataset only what its problems ask for."""

MEASURING = (
    "its.engine.flops",
    "its.metric.reference_source",
    "its.run.chosen",
    "its.run.contracts",
    "its.run.experiment",
    "its.run.held_out",
    "its.run.instruments",
    "its.run.measure",
    "its.run.oracle_experiment",
    "its.run.set_choice",
)
"""Modules that measure whatever the configuration."""

ONLY_MEASURING = ("its.dataset.image_set", "its.engine.flops", "its.metric")
"""Modules and rooms that make no image, though what makes them imports a name or two from there."""

SEARCHING = ("its.config.sizes", "its.engine", "its.run.build", "its.run.schedule_search")
"""Modules that score the grids of a schedule search whatever the configuration."""


@dataclass(frozen=True)
class Sources:
    """The two sources of a run.

    Attributes:
        images: files that make its images.
        measures: files that measure them, and make none.
    """

    images: SourceFiles
    measures: SourceFiles


def of_images(making: Mapping[str, Any], measuring: Mapping[str, Any], *more: str) -> Sources:
    """Return the sources of a run that makes images.

    A dataset of `its` measures: its real images do, and what its problems ask for is compared with each shard. What
    only measures makes images too where an oracle asks it.

    Args:
        making, measuring: nodes of the configuration.
        more: modules that make these images beside `MAKING`.
    """
    makers = [module for module in modules(making) if not _within(module, ("its.dataset",))]
    apart = [place for place in ONLY_MEASURING if not any(_within(maker, (place,)) for maker in makers)]
    images = SourceFiles.of([*MAKING, *more, *makers], lambda module: _apart(module, *apart))
    measures = SourceFiles.of([*MEASURING, *modules(making["dataset"]), *modules(measuring)], _apart)
    return Sources(images, measures.without(images))


def measuring(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return the nodes of a configuration that measure images, and what its summary says beside their numbers."""
    dataset = plain["dataset"]
    second = {key: dataset[key] for key in ("second_statistics",) if dataset.get(key) is not None}
    nodes = {key: dataset.get(key) for key in ("report", "reference", "statistics")}
    held_out = {"held_out": plain["report"]} if plain.get("report") else {}
    published = {"published": plain["published"]} if plain.get("published") else {}
    return {"metric": plain["metric"], **nodes, **second, **held_out, **published}


def of_grids(searching: Mapping[str, Any]) -> Sources:
    """Return the sources of a schedule search: what measures sets of images decides the search too."""
    return Sources(SourceFiles.of([*SEARCHING, *modules(searching)], _apart), SourceFiles({}))


def of_features(report: Any) -> SourceFiles:
    """Return what extracts the features of images, by the node of the extractor."""
    return SourceFiles.of(modules(report), _apart)


def modules(node: Any) -> Iterator[str]:
    """Yield the module of every target at or below a node."""
    if isinstance(node, Mapping) and isinstance(node.get("_target_"), str):
        yield current(node["_target_"]).rpartition(".")[0]
    for value in node.values() if isinstance(node, Mapping) else node if isinstance(node, list | tuple) else ():
        yield from modules(value)


def _apart(module: str, *more: str) -> bool:
    return _within(module, (*NEITHER, *more))


def _within(module: str, places: Sequence[str]) -> bool:
    return any(f"{module}.".startswith(f"{place}.") for place in places)
