"""The two kinds of run: one makes images, the other searches the times of a sampler by making sets of images.

A search says which it is for (`Search.makes`). What a kind says here needs no torch; how it runs is in `its.run.build`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from its.config.checks import check_noise, check_probe, check_proposals, check_rewards, refuse_probe, stated_probe
from its.config.footprint import disk_bytes, memory_bytes
from its.config.identity import used
from its.config.instantiate import defined
from its.config.parts import Parts
from its.config.provenance import Provenance
from its.config.scorers import CHOICE, called, check_apart, check_conditions
from its.config.searchpath import CONF
from its.config.sizes import sized
from its.config.sources import Sources, measuring, of_grids, of_images
from its.disk.array_names import candidates_name, shard_name, shard_ranges
from its.disk.kept import holds
from its.disk.run_folder import RunFolder
from its.process.workers import Worker
from its.search.fitting import check_gradients
from its.search.schedule import Schedule
from its.search.search import Search, require_search

SET_BYTES = 600
"""Of one scored set of a schedule search, with its line in the manifest."""

LABELS = ("dataset", "model", "sampler", "search", "verifier", "budget", "metric")
"""Groups whose choice a run is labelled with; a guidance is part of the search's label."""


@dataclass(frozen=True)
class Work:
    """The state of a run's folder: files that are there, and files that are missing.

    Attributes:
        method: the run in a few words.
        images: of the whole run. present: on disk.
        missing: `files` that are not there yet.
        nfe: upper bound of the evaluations still to spend; infinite under budget=natural.
        memory_bytes: peak of one process beside its networks, about.
        disk_bytes: of what is missing; at most, but for a pool, whose candidates a search may make in fewer steps.
        rate: the search whose measured rate holds for it.
        files: what its files are called.
    """

    method: str
    images: int
    present: int
    missing: int
    nfe: float
    disk_bytes: int
    memory_bytes: int
    rate: str
    files: str


class Kind(Protocol):
    """A kind of run, as far as a configuration decides it."""

    def check(self, parts: Parts) -> None:
        """Refuse parts that do not go together.

        Raises:
            ValueError: naming value, rule and remedy.
        """
        ...

    def label(self, parts: Parts) -> dict[str, str]:
        """Return the names that a run is called by, one for each of `LABELS`."""
        ...

    def sections(self, parts: Parts) -> dict[str, Any]:
        """Return the entries of the configuration that decide its results."""
        ...

    def layout(self, parts: Parts) -> dict[str, Any]:
        """Return what else a folder can hold one value of, and its name does not tell."""
        ...

    def work(self, parts: Parts, folder: Path) -> Work:
        """Return what is done in `folder`, and what is left to do."""
        ...

    def finished(self, parts: Parts, provenance: Provenance, hashes: tuple[str, ...]) -> str:
        """Return a sentence if a run's folder says that nothing is left to do, else nothing.

        Args:
            provenance: of the folder.
            hashes: of what the configuration says about measuring; a run is finished under any of them.
        """
        ...

    def results(self, parts: Parts, folder: Path) -> list[str]:
        """Return the names of the files that a finished run cannot do without, and that one source must have made."""
        ...

    def sources(self, parts: Parts) -> Sources:
        """Return what makes the results and what measures them, as they are here."""
        ...


class ImageRun:
    """A run that makes images, in shards."""

    def check(self, parts: Parts) -> None:
        plain, search, verifier = parts.plain, parts.search, parts.choices["verifier"]
        if plain["verifier"].get("network", ...) is None:
            others = sorted(path.stem for path in (CONF / "verifier").glob(f"{verifier}_*.yaml"))
            raise ValueError(
                f"verifier {verifier} asks the dataset's own classifier, and dataset {parts.choices['dataset']} brings "
                f"none; choose {' or '.join(others) or 'another verifier'}, or set dataset.classifier"
            )
        check_noise(search, parts.sampler)
        check_proposals(search, parts.guidance, parts.choices["guidance"])
        check_apart(plain, guided=parts.guided)
        check_conditions(plain, parts.packages, guided=parts.guided)
        check_rewards(search, defined(plain["verifier"]["_target_"], parts.packages), verifier)
        check_probe(search, stated_probe(plain["verifier"], parts.packages), verifier)
        if parts.guided:
            guide = defined(plain["guide"]["_target_"], parts.packages)
            check_gradients(search, parts.guidance, parts.sampler, {"guide": guide})
            key = f"verifier@guide={parts.choices['verifier@guide']}"
            refuse_probe(stated_probe(plain["guide"], parts.packages), key, "gives no gradients on the way down")

    def label(self, parts: Parts) -> dict[str, str]:
        label = {group: parts.choices[group] for group in LABELS}
        label["verifier"] = called(label["verifier"], parts.plain["verifier"], parts.packages)
        if parts.choices["guidance"] != "none":
            label["search"] += f"+{parts.choices['guidance']}"
        return label

    def sections(self, parts: Parts) -> dict[str, Any]:
        """Return the dataset's problems alone, the guide only under a guidance, and that only where it was chosen."""
        groups = ["model", "sampler", "search", "verifier", "budget", "seed"]
        groups += ["guidance"] if parts.guided and parts.search.guidance is None else []
        groups += ["guide"] if parts.guided else []
        return {"dataset": {"images": parts.plain["dataset"]["images"]}, **{key: parts.plain[key] for key in groups}}

    def layout(self, parts: Parts) -> dict[str, Any]:
        return {"shard": parts.plain["shard"]}

    def work(self, parts: Parts, folder: Path) -> Work:
        plain, label, prices = parts.plain, self.label(parts), parts.prices
        search, caps = sized(parts.search, parts.budget, prices, exact=not parts.bound)

        # A shard is there if all its files are, and it keeps the images that are asked for.
        names, arrays_of = self._names(parts), RunFolder(folder).store.digests
        ranges = Worker.of_share(plain["share"]).share(shard_ranges(plain["images"], plain["shard"]))
        missing = [
            indices
            for indices in ranges
            if not all((folder / name(indices.start)).exists() for name in names)
            or not holds(arrays_of(shard_name(indices.start)), indices.start, parts.storage)
        ]
        whole, images = (sum(map(len, indices)) for indices in (ranges, missing))

        nfe = images * _nfe(parts, search, caps)
        return Work(
            f"{label['search']} ({label['verifier']}, seed {plain['seed']})",
            whole,
            whole - images,
            len(missing),
            nfe,
            disk_bytes(parts, len(caps), images, len(missing), nfe),
            memory_bytes(parts, len(caps)),
            label["search"],
            "shards",
        )

    def finished(self, parts: Parts, provenance: Provenance, hashes: tuple[str, ...]) -> str:
        images, files = parts.plain["images"], provenance.files
        curves = (
            files.read_curve(
                images=images, candidates=parts.keep_candidates, storage=parts.storage, metrics_config_hash=config_hash
            )
            for config_hash in hashes
        )
        if not any(curves) or not provenance.is_listed or not provenance.agrees(files.read_summary().get("sources")):
            return ""
        return f"nothing to do: {images} images and their curve are there"

    def results(self, parts: Parts, folder: Path) -> list[str]:
        names = self._names(parts)
        shards = shard_ranges(parts.plain["images"], parts.plain["shard"])
        return [name(indices.start) for indices in shards for name in names]

    def sources(self, parts: Parts) -> Sources:
        return of_images(self.sections(parts), measuring(parts.plain))

    def _names(self, parts: Parts) -> tuple[Any, ...]:
        return (shard_name, candidates_name) if parts.keep_candidates else (shard_name,)


class GridSearch:
    """A run that searches a sampler's times and judges each grid by a set of images, without verifier or cap."""

    def check(self, parts: Parts) -> None:
        if parts.plain["share"] is not None:
            raise ValueError(f"share is {parts.plain['share']!r}, and this search makes no shards; leave it out")
        if parts.plain["report"]:
            raise ValueError(f"{CHOICE} scores images that a search chose, and this search chooses none; leave it out")
        self._search(parts).check_alone(parts.sampler.steps, parts.choices["guidance"], parts.keep_candidates)

    def label(self, parts: Parts) -> dict[str, str]:
        search = self._search(parts)
        label = {group: parts.choices[group] for group in LABELS}
        return label | {"verifier": search.fitness, "budget": search.strategy}

    def sections(self, parts: Parts) -> dict[str, Any]:
        """Return what measures images as well, for the search goes by it."""
        return {
            "dataset": used(parts.plain["dataset"]),
            **{key: parts.plain[key] for key in ("model", "sampler", "search", "seed")},
        }

    def layout(self, parts: Parts) -> dict[str, Any]:
        return {}

    def work(self, parts: Parts, folder: Path) -> Work:
        search, plain = self._search(parts), parts.plain
        files = RunFolder(folder)
        present = len(files.set_names)
        missing = 0 if files.schedule.exists() else max(0, search.evaluations - present)
        return Work(
            f"{parts.choices['search']} ({search.strategy}, {search.fitness}, seed {plain['seed']})",
            (present + missing) * search.num_samples,
            present * search.num_samples,
            missing,
            missing * search.num_samples * parts.samplings[1],
            missing * SET_BYTES,
            memory_bytes(parts, 1),
            "none",
            "sets",
        )

    def finished(self, parts: Parts, provenance: Provenance, hashes: tuple[str, ...]) -> str:
        files = provenance.files
        try:
            outcome = files.read_schedule()
            same = str(parts.plain["images"]) in outcome["nfe"]["search_per_image"] and files.is_whole(outcome)
        except (FileNotFoundError, KeyError, TypeError, ValueError):
            return ""
        same = same and provenance.is_listed and provenance.agrees(outcome.get("sources"))
        return "nothing to do: the search and its comparison are there, in schedule.md" if same else ""

    def results(self, parts: Parts, folder: Path) -> list[str]:
        return RunFolder(folder).set_names

    def sources(self, parts: Parts) -> Sources:
        return of_grids(self.sections(parts))

    def _search(self, parts: Parts) -> Schedule:
        return cast(Schedule, parts.search)


KINDS: dict[str, Kind] = {"images": ImageRun(), "grids": GridSearch()}
"""Kinds by what a search makes."""


def kind_of(search: Any) -> Kind:
    """Return the kind of run that a search is for.

    Raises:
        ValueError: it is no search, or makes what no kind makes.
    """
    require_search(type(search))
    if search.makes not in KINDS:
        raise ValueError(
            f"{type(search).__name__}.makes is {search.makes!r}; a search makes one of {', '.join(sorted(KINDS))}"
        )
    return KINDS[search.makes]


def _nfe(parts: Parts, search: Search, caps: Sequence[float]) -> float:
    """Return the NFE of one image, at most: a verifier call takes one sampling at most.

    An anytime search serves all caps in one run, a planned one is run for each.
    """
    sampling = parts.prices.sampling
    if search.samples_once:
        return sampling
    return (caps[-1] if search.anytime else sum(caps)) * (1 if parts.budget.currency == "nfe" else sampling)
