"""A finished run's images, sampled again from their starting points by another sampler (scripts/render.py).

The final solver of Ma et al. 2025 (arXiv:2501.09732): a search pays for many cheap samplings, and its winner is sampled
once more, well. What is sampled again is not searched again, so it need not be the best of the candidates any more.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, cast

import numpy as np
from omegaconf import DictConfig, OmegaConf

from its.config.identity import hash8, identity
from its.config.instantiate import CHOICES, check_targets, instantiate
from its.config.smoke import settle
from its.disk.store import Arrays
from its.engine import Engine, Outcome, Result
from its.engine.flops import count_flops
from its.engine.noise import normal
from its.particles.image import Image
from its.particles.keys import start_key
from its.particles.verbs import advance, reward
from its.rerun.finished_run import Source
from its.run.build import GROUPS, LABELS, check_shapes
from its.run.experiment import Experiment
from its.run.measure import Row, Shards
from its.run.measurement import Measurement
from its.search.search import Coroutine, Search
from its.types import Problem

SUMS = ("nfe_backward", "verifier_calls", "decoder_calls", "flops")
"""Columns of a curve in which a rendering's cost is added to the search's."""


@dataclass(frozen=True)
class Rerun:
    """One sampling from a starting point that a search has found.

    Attributes:
        starts: by problem; a row is taken out when it is used.
    """

    starts: dict[int, np.ndarray] = field(default_factory=dict)
    anytime: ClassVar[bool] = False
    needs_absolute: ClassVar[bool] = False
    natural: ClassVar[dict[str, int]] = {}
    needs_noise: ClassVar[bool] = False

    def minimum(self, sampling: int) -> int:
        return sampling

    def plan(self, nfe: int, image: Image) -> Rerun:
        return self

    def run(self, image: Image) -> Coroutine:
        particles = yield advance([image.start_from(self.starts.pop(image.problem.index))])
        yield reward(particles)
        return particles[0]


class Renderer(Engine):
    """An engine that makes finished images again: of every problem what won at each cap, each different one once.

    Attributes:
        source: the run whose images they are.
    """

    source: Source

    def run(self, search: Search, caps: Sequence[float], problems: Iterable[Problem]) -> Iterator[Result]:
        """Yield each problem's result with one outcome for each of the source's caps."""
        starts = cast(Rerun, search).starts
        opened: dict[int, tuple[Problem, list[int], dict[int, Result]]] = {}

        def winners() -> Iterator[Problem]:
            for problem in problems:
                codes, rows = self._starts(problem.index)
                opened[problem.index] = (problem, codes, {})
                for k, row in enumerate(rows):
                    starts[problem.index * len(caps) + k] = row
                    yield Problem(problem.index * len(caps) + k, problem.condition)

        for made in super().run(search, (math.inf,), winners()):
            index, k = divmod(made.problem.index, len(caps))
            problem, codes, results = opened[index]
            results[k] = made
            if len(results) == len(set(codes)):
                del opened[index]
                yield _together(problem, codes, results)

    def _starts(self, index: int) -> tuple[list[int], list[np.ndarray]]:
        """By cap, which of the different starting points it is; and these, `[*shape]`."""
        codes, noise = self.source.starts(index)
        different = list(dict.fromkeys(codes))
        return [different.index(code) for code in codes], [self._row(index, code, noise) for code in different]

    def _row(self, index: int, code: int, noise: np.ndarray) -> np.ndarray:
        if code < 0:
            return noise[-2 - code]
        model = self.model
        z = normal(self.seed, [index], [start_key(code)], model.shape, model.device)
        return (model.schedule.prior_std * z.to(model.dtype))[0].cpu().numpy()


def _together(problem: Problem, codes: Sequence[int], results: Mapping[int, Result]) -> Result:
    failure = next((result.failure for result in results.values() if result.failure), None)
    outcomes: tuple[Outcome, ...] = ()
    if failure is None:
        outcomes = tuple(replace(results[code].outcomes[0], start=None) for code in codes)
    return Result(problem, outcomes, failure, sum(result.nan_rewards for result in results.values()))


@dataclass
class Rendering(Experiment):
    """The images of a run under another sampler; its curve adds what that cost to what the search has cost.

    Attributes:
        searched: the run's own curve.
    """

    searched: Sequence[Row] = ()

    def _measure(self, loaded: Shards, features: Sequence[Arrays]) -> tuple[list[Row], Arrays]:
        """`nfe` stays the search's, `nfe_final` is the last sampling's; all other columns of cost are sums."""
        sampled = sum(len(arrays["images"]) for _, arrays in loaded)
        rows, per_image = super()._measure(loaded, features)
        rows = [
            {
                "nfe_cap": row["nfe_cap"],
                "nfe": before["nfe"],
                "nfe_final": row.pop("nfe"),
                **row,
                **{key: row[key] + before[key] for key in SUMS},
                "seconds": before["seconds"] + row["seconds"] * len(rows) * row["images"] / sampled,
            }
            for row, before in zip(rows, self.searched, strict=True)
        ]
        return rows, per_image


def build_rendering(
    source: Source, composed: DictConfig, choices: Mapping[str, str], command: Sequence[str]
) -> Rendering:
    """Load the run's model and verifier, and put the rendering together.

    Args:
        composed: from `source.overrides`. choices: the YAML chosen in each group. command: what was typed.

    Raises:
        ValueError: the run cannot be rendered so.
    """
    saved = source.config
    plain = _plain(saved, composed)
    packages = (*CHOICES, *plain["plugins"])
    plain = settle(plain, packages)
    for group in GROUPS:
        check_targets(plain[group], packages)
    _check_same(saved, plain)
    source.check()
    sampler = instantiate(plain["sampler"], packages)
    if sampler.stochastic:
        raise ValueError(
            f"sampler={choices['sampler']} draws noise of its own, so that the image would no longer be "
            "its starting point's; set sampler.eta=0, or choose euler or heun"
        )
    by = Measurement.of(plain, packages)
    data = by.data
    model, verifier = (instantiate(plain[group], packages) for group in ("model", "verifier"))
    check_shapes(plain["dataset"]["name"], data, model)
    engine = Renderer(
        model, sampler, {"select": verifier}, seed=saved["seed"], batch=plain["batch"], rows=plain["rows"]
    )
    engine.source = source
    config = {**saved, "final_sampler": plain["sampler"]}
    label = {key: str(source.summary[key]) for key in (*LABELS, "name", "seed")} | {"sampler": choices["sampler"]}
    return Rendering(
        folder=source.folder / "renders" / f"{choices['sampler']}-{hash8(config)}",
        config=config,
        measured=by.fingerprint,
        label=label,
        images=source.summary["images"],
        shard=saved["shard"],
        caps=tuple(math.inf if cap is None else cap for cap in source.summary["caps"]),
        engine=engine,
        search=Rerun(),
        condition=data.condition,
        reference=by.reference,
        extractor=by.extractor,
        metrics=by.metrics,
        flops=lambda: count_flops(engine, data.condition(0)),
        command=" ".join(["python scripts/render.py", *map(shlex.quote, command)]),
        searched=source.summary["curve"],
    )


def _plain(saved: Mapping[str, Any], composed: DictConfig) -> dict[str, Any]:
    """The run's own values under what only measures, where it runs, and the new sampler."""
    config = OmegaConf.masked_copy(composed, [str(key) for key in composed if key != "hydra"])
    OmegaConf.set_struct(config, False)
    for group in ("dataset", "model", "verifier"):
        config[group] = OmegaConf.merge(config[group], saved[group])
    for key in ("search", "budget", "seed"):
        config[key] = saved[key]
    return cast(dict[str, Any], OmegaConf.to_container(config, resolve=True, throw_on_missing=True))


def _check_same(saved: Mapping[str, Any], plain: dict[str, Any]) -> None:
    """Refuse if the packages and weights here would make other images than the run's, or it was guided."""
    if "guidance" in saved:
        raise ValueError(
            "the run was guided, and only unguided samplings are rendered again; choose a run with guidance=none"
        )
    here = {**identity({**plain, "sampler": saved["sampler"]}), "shard": saved["shard"]}
    other = sorted(key for key in {*here, *saved} if here.get(key) != saved.get(key))
    if other:
        raise ValueError(
            f"{', '.join(other)} of the run cannot be had here as its config.yaml has it; restore the "
            "weights and the version that made it"
        )
