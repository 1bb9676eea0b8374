"""`search=schedule`: grids of times are scored as sets of images, and the best becomes a sampler's YAML.

A coroutine makes one image and this search judges sets, so it is not one. Every grid is a run of plain samplings by
the engine, of the same problems under the same noise. A set's score is a file of its own, whole or absent: what was
scored before a kill is read.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import numpy as np

from its.config.blueprint import Blueprint
from its.config.folder import claim
from its.config.instantiate import instantiate
from its.config.provenance import Provenance
from its.config.shelf import Shelf
from its.config.sources import Sources
from its.disk.array_names import set_name
from its.disk.run_folder import RunFolder
from its.disk.store import Arrays
from its.engine import SIZES, Engine
from its.metric.extractor import extract_as_they_come
from its.metric.features import Features
from its.metric.fid import Fid
from its.metric.isc import OpenAIInceptionScore
from its.metric.metric import Metric
from its.metric.reference_source import refusal
from its.metric.sfid import SFid
from its.model.denoiser import Denoiser
from its.particles.host_random import HostRandom
from its.particles.keys import fold
from its.process.device import device_type
from its.process.leave import begins
from its.process.progress import Progress
from its.process.workers import Worker
from its.report.schedule import ScheduleOutcome, ScoredGrid, write_outcome
from its.run.conditions import class_id
from its.run.instruments import Instruments, check_shapes
from its.run.preflight import check_fit
from its.sampler.sampler import Sampler, is_noise
from its.search.schedule import LOWER, Schedule
from its.types import Problem

log = logging.getLogger(__name__)

METRICS: dict[str, Metric] = {"fid": Fid(), "sfid": SFid(), "isc": OpenAIInceptionScore()}

Times = tuple[float, ...]
"""A listed spacing."""


@dataclass
class ScheduleRun:
    """A search for the times of one sampler on one model.

    Attributes:
        folder: of this run.
        config: what decides the scores: the folder's `config.yaml`.
        label: the YAML chosen in each group.
        node: the sampler's YAML.
        images: that the search's cost is divided among.
        engine: from a sampler and the seed of its noise.
    """

    folder: Path
    config: dict[str, Any]
    label: dict[str, str]
    node: dict[str, Any]
    images: int
    search: Schedule
    sampler: Sampler
    model: Denoiser
    engine: Callable[[Sampler, int], Engine]
    instruments: Instruments
    seed: int
    command: str
    sources: Sources
    allow_edited: bool = False
    worker: Worker = field(default_factory=Worker)
    files: RunFolder = field(init=False)
    _sampler_grid: Times = field(init=False)
    _progress: Progress | None = field(init=False, default=None)
    _spent: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.files = RunFolder(self.folder)
        # Place the sampler's own grid in the model's list of times.
        path, steps = self.sampler.path(self.model.path), self.sampler.steps
        every = path.grid(path.most_steps, path.listable, second_order=self.sampler.second_order)[:-1]
        skipped = path.most_steps - len(every)
        times, grid = np.array([level.time for level in every]), self.sampler.grid(self.model.path)[:-1]
        places = tuple(skipped + int(np.abs(times - level.time).argmin()) for level in grid)
        self._sampler_grid = tuple(path.listable[place] for place in places)

        # Draw grids that begin with noise.
        begins = range(skipped, skipped + sum(map(is_noise, every)))
        own = places if len(set(places)) == steps else None
        self._genotype = self.search.genotype_for(steps, path.most_steps, own, begins)
        self._metric = METRICS[self.search.fitness]
        if reason := refusal(self._metric, self.instruments.reference):
            raise ValueError(f"search.fitness={self.search.fitness} {reason}, or choose another search.fitness")

    @classmethod
    def of(cls, blueprint: Blueprint, plain: dict[str, Any], shelf: Shelf) -> ScheduleRun:
        """Load what a blueprint names; see `its.run.build.build`.

        Raises:
            ValueError: a value breaks a rule; the message says which and what to do.
        """
        # Load instruments and model.
        instruments = Instruments.of({**plain, "metric": {}}, blueprint.packages, shelf)
        model = instantiate(plain["model"], blueprint.packages, shelf)
        check_shapes(plain["dataset"]["name"], instruments.data, model)

        # Put the search together, and see that its parts fit.
        def engine(sampler: Sampler, seed: int) -> Engine:
            return Engine(model, sampler, {}, seed=seed, **{key: plain[key] for key in SIZES})

        run = cls(
            folder=blueprint.folder,
            config={**blueprint.record, "reference": instruments.reference.fingerprint},
            label={**blueprint.label, "name": plain["name"], "seed": str(plain["seed"])},
            node=plain["sampler"],
            images=plain["images"],
            search=cast(Schedule, blueprint.search),
            sampler=blueprint.sampler,
            model=model,
            engine=engine,
            instruments=instruments,
            seed=plain["seed"],
            command=blueprint.command,
            sources=blueprint.sources,
            allow_edited=plain["allow_edited"],
            worker=Worker.here(),
        )
        engine(run.sampler, 0).check_guided()
        check_fit(engine(run.sampler, 0), instruments, [problem.condition for problem in run._problems])
        return run

    def claim(self) -> None:
        """See `Experiment.claim`."""
        claim(self.folder, self.config)
        if not self.allow_edited:
            self._provenance.check()
        self._provenance.keep()

    @property
    def _provenance(self) -> Provenance:
        return Provenance(self.files, self.files.set_names, lambda: self.sources)

    def run(self, *, retry: bool = True) -> ScheduleOutcome:
        """Search, judge the finalists again, compare the winner with the sampler's own grid; write the outcome.

        Args:
            retry: changes nothing, for a set that failed is on no disk.
        """
        self.claim()
        begins(self.folder)
        log.info("reference: %s", self.instruments.reference.account)

        # Search, and score the best grids again under fresh noise.
        searched = self._search()
        best = sorted(searched, key=lambda grid: self._sign * grid.score)[: self.search.finalists]
        fresh = self.search.fresh_seeds
        finals = {times: self._scores([times], range(1, 1 + fresh)) for grid in best if (times := grid.times)}
        winner = min(finals, key=lambda times: self._sign * float(np.mean([grid.score for grid in finals[times]])))

        # Compare the winner with the sampler's own grid under noise that neither has seen.
        test = range(1 + fresh, 1 + 2 * fresh)
        compared, baseline = (self._scores([times], test) for times in (winner, None))
        if self._progress is not None:
            self._progress.close()
        self.files.store.tidy()

        # Write the outcome.
        outcome = ScheduleOutcome(
            self.label,
            self.command,
            self.images,
            self.search,
            self.node,
            self._sampler_grid,
            winner,
            searched,
            finals,
            compared,
            baseline,
            self.engine(replace(self.sampler, spacing=winner), 0).prices.sampling,
        )
        write_outcome(self.files, outcome, self._provenance.entry())
        log.info("%s", outcome.markdown(self.folder))
        return outcome

    @property
    def _sign(self) -> float:
        return 1.0 if LOWER[self.search.fitness] else -1.0

    def _times(self, gene: tuple[int, ...]) -> Times:
        return tuple(self.sampler.path(self.model.path).listable[place] for place in self._genotype.grid(gene))

    def _search(self) -> list[ScoredGrid]:
        """Score every grid of the search; return them in order."""
        populations = self.search.populations(self._genotype, HostRandom(self.seed, 0))
        population, searched = next(populations), list[ScoredGrid]()
        with suppress(StopIteration):
            while True:
                scored = self._scores([self._times(gene) for gene in population], [0])
                searched += scored
                population = populations.send([self._sign * grid.score for grid in scored])
        return searched

    def _scores(self, grids: Sequence[Times | None], draws: Sequence[int]) -> list[ScoredGrid]:
        """Score grids (None is the sampler's own) at each draw; workers share what is missing."""
        sets = [(times, draw) for times in grids for draw in draws]
        scored = {pair: self._scored(*pair) for pair in self.worker.order(sets)}
        return [scored[pair] for pair in sets]

    def _scored(self, times: Times | None, draw: int) -> ScoredGrid:
        name = set_name(draw, sha256(json.dumps(times).encode()).hexdigest()[:16])
        arrays: Arrays | None = self.files.store.read_intact(name)
        if arrays is None:
            arrays = self._make(times, draw)
            self.files.store.write(name, arrays, source=self.sources.images.name)
        return ScoredGrid(times, draw, *(arrays[name].item() for name in ("score", "se", "nfe")))

    def _make(self, times: Times | None, draw: int) -> Arrays:
        """Score one set: the same problems under the same noise, whatever the grid; the draw is the noise's seed."""
        sampler = self.sampler if times is None else replace(self.sampler, spacing=times)
        engine = self.engine(sampler, fold(self.seed, draw + 1) & 0xFFFFFFFF)

        # Sample the set, and measure its images as they come.
        problems, progress, spent = self._problems, self._begun(), list[int]()
        started = time.perf_counter()

        def images() -> Iterator[tuple[int, np.ndarray]]:
            for result in engine.run(self.search, (math.inf,), problems):
                if why := result.failure:
                    raise ValueError(f"a grid cannot be scored, for an image of it failed: {why}; times {times}")
                [outcome] = result.outcomes
                spent.append(outcome.ledger["nfe"])
                yield result.problem.index, outcome.image
                progress.update(self._spent + engine.rows_evaluated)

        arrays = extract_as_they_come(images(), len(problems), self.instruments.extractor)
        nfe = sum(spent)
        self._spent += nfe

        # Score it.
        value = self._metric(Features(**arrays, labels=self._labels), self._against)
        fitness = self.search.fitness
        if not math.isfinite(value[fitness]):
            raise ValueError(f"a grid cannot be compared, for its {fitness} is {value[fitness]}; times {times}")
        self.files.store.note(
            {
                "images": len(problems),
                "nfe": nfe,
                "seconds": round(time.perf_counter() - started, 3),
                "device": str(self.model.device),
                "type": device_type(self.model.device),
            }
        )
        return {
            "score": np.array(value[fitness]),
            "se": np.array(value.get(f"{fitness}_se", math.nan)),
            "nfe": np.array(nfe),
            "times": np.array(times or (), dtype=np.float64),
        }

    @property
    def _problems(self) -> list[Problem]:
        return [Problem(index, self.instruments.data.condition(index)) for index in range(self.search.num_samples)]

    @property
    def _labels(self) -> np.ndarray:
        return np.array([class_id(problem.condition) for problem in self._problems])

    @cached_property
    def _against(self) -> Any:
        """The part of the reference that the metric compares images with."""
        return self.instruments.reference.load().part(self._metric.against)

    def _begun(self) -> Progress:
        """Return the progress over all sets that are not there yet when the first is made."""
        if self._progress is None:
            sets = max(self.search.evaluations, len(self.files.set_names) + 1)
            missing = sets - len(self.files.set_names)
            self._progress = Progress(sets * self.search.num_samples, missing * self.search.num_samples)
        return self._progress
