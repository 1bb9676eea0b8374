"""Rendering: a finished run's images, sampled again from their starting points by another sampler (scripts/render.py).

The final solver of Ma et al. 2025 (arXiv:2501.09732): a search pays for many cheap samplings, and its winner is sampled
once more, well. What is sampled again is not searched again, so it need not be the best of the candidates any more.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from its.budget import CAP_COLUMNS, OF_JUDGES, Currency, cap_of
from its.config.blueprint import checked
from its.config.composed import Composed
from its.config.identity import hash8, identity
from its.config.instantiate import instantiate
from its.config.kinds import LABELS
from its.config.provenance import Provenance
from its.config.run_place import placed
from its.config.scorers import is_remote
from its.config.sources import measuring, of_images
from its.config.words import in_full
from its.engine import SIZES, Engine, Outcome, Result
from its.engine.flops import count_flops
from its.engine.noise import normal
from its.engine.verdicts import sum_verdicts
from its.model.denoiser import Denoiser
from its.particles.image import Image
from its.particles.keys import start_key
from its.particles.verbs import advance, reward
from its.process.command import typed
from its.rerun.finished_run import FinishedRun, key_of
from its.rerun.saved_values import check_same, plain_of
from its.run.experiment import Experiment
from its.run.instruments import Instruments, check_shapes
from its.run.measure import Curve, Row
from its.run.stock import Stock
from its.sampler.sampler import Sampler
from its.search.search import Coroutine, Search
from its.types import Problem

SUMS = ("nfe_backward", "verifier_calls", "decoder_calls", "decoder_backward", "flops")
"""Columns of a curve in which a rendering's cost is added to the search's."""

UNCOUNTED = {"decoder_backward": 0.0} | dict.fromkeys(OF_JUDGES, 0.0)
"""Columns that a curve of an earlier version lacks, since that version refused what they count, or of no judge."""

DATASET = ("dataset.", "dataset/")
"""Beginnings of keys of the run's own words that say what measures it, whatever the metrics."""

OPEN_KEYS = ("sampler", "device", *SIZES, "metric", "plugins", "hydra.searchpath", "allow_edited", "store")
"""Groups and keys that may differ from the run's."""

log = logging.getLogger(__name__)


def words(run: FinishedRun, overrides: Sequence[str]) -> list[str]:
    """Return the overrides that compose the run's choices with the sampler that `overrides` ask for.

    The dataset's and the sampler's values are the run's, but for those that `overrides` set.

    Raises:
        ValueError: something else is given, or `plugins` and `hydra.searchpath` of the run's command are not.
    """
    run.require_places(overrides)
    for override in overrides:
        key = override.lstrip("+~").split("=")[0]
        if not any(key == name or key.startswith(f"{name}.") for name in OPEN_KEYS):
            raise ValueError(
                f"{override} would change more than how the winners are sampled; render takes {', '.join(OPEN_KEYS)}"
            )
    groups = [f"{group}={run.summary[group]}" for group in ("dataset", "model", "verifier")]
    groups += [word for word in run.measuring_words(overrides) if key_of(word).startswith(DATASET)]
    if not any(override.startswith("sampler=") for override in overrides):
        groups.append(f"sampler={run.summary['sampler']}")
        values = {key: value for key, value in run.config["sampler"].items() if key != "_target_"}
        groups += [f"++sampler.{key}={json.dumps(value)}" for key, value in values.items()]
    return [*groups, *overrides]


@dataclass(frozen=True)
class Rerun(Search):
    """A search that samples once from a starting point which another search has found.

    Attributes:
        start_of: a problem's starting point, `[*shape]`, by the problem's index.
    """

    start_of: Callable[[int], np.ndarray]
    needs_absolute: ClassVar[bool] = False

    def run(self, image: Image) -> Coroutine:
        particles = yield advance([image.start_from(self.start_of(image.problem.index))])
        yield reward(particles)
        return particles[0]


class Renderer(Engine):
    """An engine that makes finished images again: of every problem the winner at each cap, each different one once.

    Attributes:
        finished: the run whose images they are.
        rescale: from the standard deviation of x_T under that run's sampler to that under this one.
        starts: points that are to be sampled from, by problem; one is taken out when it is used.
    """

    finished: FinishedRun
    rescale: float
    starts: dict[int, np.ndarray]

    def run(
        self, search: Search, caps: Sequence[float], problems: Iterable[Problem], currency: Currency = "nfe"
    ) -> Iterator[Result]:
        """Yield each problem's result with one outcome for each of the run's caps."""
        # Each different winner is a problem of its own.
        unfinished: dict[int, tuple[Problem, list[int], dict[int, Result]]] = {}

        def winners() -> Iterator[Problem]:
            """Yield a problem of its own for each different winner of each problem."""
            for problem in problems:
                places, points = self.finished.starts(problem.index)
                unfinished[problem.index] = (problem, places, {})
                for k, point in enumerate(points):
                    number = problem.index * len(caps) + k
                    self.starts[number] = self._row(problem.index, point)
                    yield Problem(number, problem.condition)

        # Put the winners of a problem together once all are there.
        for result in super().run(search, (math.inf,), winners()):
            index, k = divmod(result.problem.index, len(caps))
            problem, places, results = unfinished[index]
            results[k] = result
            if len(results) == len(set(places)):
                del unfinished[index]
                yield _together(problem, places, results)

    def _row(self, index: int, start: int | np.ndarray) -> np.ndarray:
        """Return the noise `[*shape]` of a starting point: as stored if it was moved, else as its search drew it."""
        if isinstance(start, np.ndarray):
            return start * start.dtype.type(self.rescale)
        model = self.model
        z = normal(self.seed, [index], [start_key(start)], model.shape, model.device).to(model.dtype)
        return (_prior_std(self.sampler, model) * z)[0].cpu().numpy()


def _prior_std(sampler: Sampler, model: Denoiser) -> float:
    return sampler.prior_std(model.path, sampler.grid(model.path)[0])


def _together(problem: Problem, places: Sequence[int], results: Mapping[int, Result]) -> Result:
    """Return the result of a problem from those of its different winners; `places` says which won at each cap."""
    failure = next((result.failure for result in results.values() if result.failure), None)
    outcomes: tuple[Outcome, ...] = ()
    if failure is None:
        outcomes = tuple(replace(results[place].outcomes[0], start=None) for place in places)
    return Result(problem, outcomes, failure, sum_verdicts(result.verdicts for result in results.values()))


@dataclass
class Rendering(Experiment):
    """The images of a run under another sampler; its curve adds what that cost to what the search has cost.

    Attributes:
        searched: the run's own curve.
    """

    searched: Sequence[Row] = ()

    def curve_of(self, stock: Stock) -> Curve:
        """Keep `nfe` as the search's, give the last sampling's as `nfe_final`, and add up all other costs."""
        sampled = sum(int(arrays["pick"].max()) + 1 for _, arrays in stock.shards)
        curve = super().curve_of(stock)
        rows = [
            {
                CAP_COLUMNS[self.currency]: cap_of(row).value,
                "nfe": before["nfe"],
                "nfe_final": row.pop("nfe"),
                **row,
                **{key: row[key] + before[key] for key in (*SUMS, *OF_JUDGES) if key in row},
                "seconds": _added(before.get("seconds"), row["seconds"], len(curve.rows) * row["images"] / sampled),
            }
            for row, before in zip(curve.rows, (UNCOUNTED | row for row in self.searched), strict=True)
        ]
        return Curve(rows, curve.per_image)


def _added(searched: float | None, rendered: float | None, times: float) -> float | None:
    """Return the seconds of a search and of its rendering; None if either is not known."""
    return None if searched is None or rendered is None else searched + rendered * times


def build_rendering(run: FinishedRun, composed: Composed, command: Sequence[str]) -> Rendering:
    """Load the run's model and verifier, and put the rendering together.

    Args:
        composed: of the overrides that `words` returns.
        command: the words that were typed.

    Raises:
        ValueError: the run cannot be rendered so.
    """
    saved, choices = run.config, composed.choices
    plain, _, packages = checked(plain_of(saved, composed.config), choices)
    check_same(saved, plain)
    if not plain["allow_edited"]:
        sources_of_run = of_images(saved, measuring(plain))
        Provenance(run.files, run.files.shard_names, lambda: sources_of_run).check()
    run.require_starts()
    sampler = _deterministic(instantiate(plain["sampler"], packages), choices["sampler"])

    # Load networks and instruments.
    config = {**saved, "final_sampler": plain["sampler"]}
    folder = run.files.renders / f"{choices['sampler']}-{hash8(identity(config))}"
    plain = placed(plain, folder)
    instruments = Instruments.of(plain, packages)
    model, verifier = (instantiate(plain[group], packages) for group in ("model", "verifier"))
    check_shapes(plain["dataset"]["name"], instruments.data, model)
    sizes = {key: plain[key] for key in SIZES}
    engine = Renderer(model, sampler, {"select": verifier}, seed=saved["seed"], **sizes)
    if remark := sampler.remark(model.path):
        log.info("%s", remark)
    engine.finished = run
    engine.starts = {}
    engine.rescale = _prior_std(sampler, model) / _prior_std(instantiate(saved["sampler"], packages), model)
    label = {key: str(run.summary[key]) for key in (*LABELS, "name", "seed")} | {"sampler": choices["sampler"]}
    return Rendering(
        folder=folder,
        config=config,
        label=label,
        images=run.summary["images"],
        shard=saved["shard"],
        caps=tuple(math.inf if cap is None else cap for cap in run.summary["caps"]),
        engine=engine,
        search=Rerun(engine.starts.pop),
        instruments=instruments,
        flops=lambda: count_flops(engine, instruments.data.condition(0)),
        command=typed("scripts/render.py", in_full(command)),
        sources=of_images({**saved, "sampler": plain["sampler"]}, measuring(plain), "its.rerun.render"),
        allow_edited=plain["allow_edited"],
        storage=plain["store"]["images"],
        remote=any(is_remote(plain[key], packages) for key in ("verifier", "report")),
        searched=run.summary["curve"],
        currency=cap_of(run.summary["curve"][0]).currency,
    )


def _deterministic(sampler: Sampler, choice: str) -> Sampler:
    """Return the sampler, which must draw no noise of its own.

    Raises:
        ValueError: it draws some.
    """
    if sampler.stochastic:
        off = f"set sampler.{sampler.noise_parameter}=0, or " if sampler.noise_parameter else ""
        raise ValueError(
            f"sampler={choice} draws noise of its own, so that the image would no longer be "
            f"its starting point's; {off}choose euler, heun or dpmpp_2m"
        )
    return sampler
