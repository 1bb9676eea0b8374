"""Rescoring: what a run's candidates come to under another verifier. No network of the generator is loaded or asked."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from its.budget import COLUMNS
from its.config.instantiate import instantiate
from its.disk.run_folder import RunFolder, candidate_features_name, shard_name
from its.disk.store import Arrays, write_atomic
from its.engine import Engine, Outcome, Result
from its.engine.flops import count_flops, reward_flops
from its.engine.queue import pad
from its.report.figures import comparison_figure
from its.report.runs import RunRecord, overrides_of, read_run
from its.rerun.finished_run import FinishedRun
from its.run import candidates, shards
from its.run.build import Blueprint, check_rewards
from its.run.curve_files import write_curve
from its.run.instruments import Instruments
from its.run.measure import Curve, Row, measure
from its.search.more_steps import MoreSteps
from its.search.none import NoSearch
from its.search.random import Random
from its.search.search import Search
from its.types import Condition, Problem
from its.verifier.verifier import Verifier, members_of

OPEN_KEYS = ("verifier", "metric", "device", "plugins", "hydra")
"""Groups and keys that may differ from the run's."""

BLIND = (NoSearch, MoreSteps, Random)
"""Searches whose candidates are the same under every verifier."""


@dataclass(frozen=True)
class ScoredShard:
    """The candidates of a shard's problems under another verifier.

    Attributes:
        candidates, features: as stored.
        shard: the run's own.
        pixels: uint8 `[m, H, W, C]`.
        reward: `[m]`, or `[m, members]` of a relative verifier; NaN became -inf.
        nan: bool `[m]`, where.
        conditions: of each problem.
    """

    indices: range
    candidates: Arrays
    features: Arrays
    shard: Arrays
    pixels: np.ndarray
    reward: np.ndarray
    nan: np.ndarray
    conditions: list[Condition]


@dataclass(frozen=True)
class Rescoring:
    """A finished run whose candidates another verifier scores.

    Attributes:
        run: the finished one, which has stored its candidates.
        blueprint: of the same run with the other verifier.
        verifier: the other one.
    """

    run: FinishedRun
    blueprint: Blueprint
    verifier: Verifier
    instruments: Instruments

    @classmethod
    def of(cls, run: FinishedRun, blueprint: Blueprint) -> Rescoring:
        """Load the verifier and the instruments.

        Raises:
            ValueError: the blueprint is another run's, or the search cannot use the verifier's rewards.
        """
        plain, packages = blueprint.plain, blueprint.packages
        require_same_run(run, {**blueprint.decisive, "shard": plain["shard"]})
        run.require_candidates()
        verifier = instantiate(plain["verifier"], packages)
        check_rewards(blueprint.search, verifier, blueprint.label["verifier"])
        return cls(run, blueprint, verifier, Instruments.of(plain, packages))

    @property
    def label(self) -> dict[str, str]:
        """The YAML chosen in each group, the experiment's name and the seed."""
        plain = self.blueprint.plain
        return {**self.blueprint.label, "name": plain["name"], "seed": str(plain["seed"])}

    @property
    def caps(self) -> tuple[float, ...]:
        """The run's caps in NFE, infinity for no cap."""
        return tuple(math.inf if cap is None else cap for cap in self.run.summary["caps"])

    @property
    def exact(self) -> bool:
        """Whether rescoring gives what a run with the other verifier would have."""
        return is_blind(self.blueprint.search)

    @property
    def meaning(self) -> str:
        """What the rescored curve is, in one sentence."""
        search, verifier, own = self.label["search"], self.label["verifier"], self.run.summary["verifier"]
        if self.exact:
            return (
                f"the candidates of {search} do not depend on rewards, so this is what a run that selects by "
                f"{verifier} gives"
            )
        return (
            f"{search} chose its way by {own}, so this is the best of that run's candidates by {verifier}, and not "
            f"what a run that selects by {verifier} gives"
        )

    def scored(self) -> Iterator[ScoredShard]:
        """Score the candidates, shard by shard."""
        for indices in self.run.ranges:
            stored = self.run.candidates(indices)
            pixels = candidates.pixels(stored)
            name = candidate_features_name(self.instruments.extractor.name, indices.start)
            features = self.instruments.features(self.run.files.store, name, pixels)

            # A candidate is scored for what its problem asks.
            conditions = [self.instruments.data.condition(index) for index in indices]
            counts = np.diff(stored["offset"][: len(indices) + 1])
            wanted = [condition for condition, count in zip(conditions, counts, strict=True) for _ in range(count)]
            reward = self.score(stored["images"][: len(wanted)], wanted)
            nan = np.isnan(reward) if reward.ndim == 1 else np.isnan(reward).any(axis=1)
            reward = np.where(np.isnan(reward), -math.inf, reward)
            yield ScoredShard(indices, stored, features, self.run.shard(indices), pixels, reward, nan, conditions)

    def score(self, images: np.ndarray, conditions: Sequence[Condition]) -> np.ndarray:
        """Return the rewards of unrounded images `[m, C, H, W]`, in batches of the shape that the engine would use."""
        batch, device = self.blueprint.plain["batch"], self.blueprint.plain["device"]
        rewards = []
        with torch.inference_mode():
            for first in range(0, len(images), batch):
                part = images[first : first + batch]
                padded = np.concatenate([part, np.repeat(part[-1:], batch - len(part), axis=0)])
                rows = torch.from_numpy(padded).to(device)
                scores = self.verifier.reward(rows, pad(conditions[first : first + batch], batch))
                rewards.append(scores[: len(part)].double().cpu().numpy())
        return np.concatenate(rewards)

    def flops(self, image: np.ndarray) -> dict[str, int]:
        """Return the FLOPs of one call, by ledger column: the run's own, but those of the other verifier.

        Args:
            image: a candidate, `[1, C, H, W]`.
        """
        stored = self.run.summary.get("flops") or self._count_flops()
        rows = torch.from_numpy(image).to(self.blueprint.plain["device"])
        return {**stored, "verifier_calls": reward_flops(self.verifier, rows, [self.instruments.data.condition(0)])}

    def _count_flops(self) -> dict[str, int]:
        """Load the generator and count, for a run of a version that did not store the counts."""
        plain, packages, guidance = self.blueprint.plain, self.blueprint.packages, self.blueprint.guidance
        verifiers = {"select": self.verifier}
        if guidance.needs != "nothing":
            verifiers["guide"] = instantiate(plain["guide"], packages)
        model = instantiate(plain["model"], packages)
        engine = Engine(
            model,
            self.blueprint.sampler,
            verifiers,
            seed=plain["seed"],
            guidance=guidance,
            batch=plain["batch"],
        )
        return count_flops(engine, self.instruments.data.condition(0))


def is_blind(search: Search) -> bool:
    """Return whether a search's candidates are the same under every verifier."""
    return isinstance(search, BLIND)


def words(run: FinishedRun, given: Sequence[str]) -> list[str]:
    """Return the run's own overrides followed by `given`; a verifier that is given replaces the run's whole.

    `plugins` is not taken over: whose code runs is said on the command line.

    Raises:
        ValueError: something else is given.
    """
    for word in given:
        if _key(word).partition("@")[0].partition(".")[0] not in OPEN_KEYS:
            raise ValueError(
                f"{word} would make another run, whose candidates these are not; rescoring takes "
                f"{', '.join(OPEN_KEYS)} only"
            )
    dropped = {"images", "plugins"}
    if any(word.startswith("verifier=") for word in given):
        dropped.add("verifier")
    own = [
        word
        for word in overrides_of(run.summary["command"])
        if _key(word) not in dropped and not ("verifier" in dropped and _key(word).startswith("verifier."))
    ]
    return [*own, *given, f"images={run.summary['images']}"]


def _key(word: str) -> str:
    return word.lstrip("+~").partition("=")[0]


def require_same_run(run: FinishedRun, config: dict[str, Any]) -> None:
    """Refuse a configuration that is not this run's but for its verifier: defaults may have changed since.

    Raises:
        ValueError: it differs elsewhere.
    """
    free = ("verifier", "weights")
    config = yaml.safe_load(yaml.safe_dump(config))
    keys = sorted(key for key in {*config, *run.config} if key not in free and config.get(key) != run.config.get(key))
    if keys:
        raise ValueError(
            f"{', '.join(keys)} of this run's command are no longer what {run.files.config} says, so the candidates "
            "are another run's; rescore with the its that made them"
        )


def rescore(rescoring: Rescoring, target: Path, command: str) -> list[Row]:
    """Choose anew at every cap and measure; write shards, curve and figures to the folder `target`.

    Args:
        command: that does this again.
    """
    files = RunFolder(target)
    run, instruments = rescoring.run, rescoring.instruments
    loaded, features = [], []
    flops: dict[str, int] = {}

    # Choose the best candidates, and store them as a run's shards.
    for part in rescoring.scored():
        results, picks = _results(rescoring, part)
        arrays = shards.pack(results)
        files.store.write(shard_name(part.indices.start), arrays)
        loaded.append((part.indices, arrays))
        features.append(_picked_features(part, arrays, picks))
        flops = flops or rescoring.flops(part.candidates["images"][:1])
    files.store.tidy()

    # Measure them; the run's ledgers hold, and nobody measured seconds.
    curve = measure(
        rescoring.caps,
        loaded,
        features,
        instruments.metrics,
        instruments.reference.load(),
        flops=flops,
        members=members_of(rescoring.verifier),
    )
    write_curve(files, curve, loaded, _figure(rescoring, target, curve))
    entry = {
        **rescoring.label,
        "exact": rescoring.exact,
        "meaning": rescoring.meaning,
        "command": command,
        "images": run.summary["images"],
        "curve": curve.rows,
    }
    write_atomic(files.rescored_summary, (json.dumps(entry, indent=1, sort_keys=True) + "\n").encode())
    return curve.rows


def _picked_features(part: ScoredShard, arrays: Arrays, picks: list[list[int]]) -> Arrays:
    """Return the features of a new shard's images, from those of the candidates that they are."""
    candidate_of_image = np.empty(len(arrays["images"]), dtype=np.int64)
    candidate_of_image[arrays["pick"].ravel()] = np.array(picks).ravel()
    return {name: array[candidate_of_image] for name, array in part.features.items()}


def _results(rescoring: Rescoring, part: ScoredShard) -> tuple[list[Result], list[list[int]]]:
    """Return what each problem comes to at every cap, and the row of the candidate that it is."""
    results, picks = [], []
    for k, (index, condition) in enumerate(zip(part.indices, part.conditions, strict=True)):
        outcomes, picked = [], []
        for cap, nfe in enumerate(rescoring.caps):
            rows = candidates.counting(part.candidates, k, cap, nfe)
            if not len(rows):
                raise ValueError(
                    f"image {index} has no candidate within {nfe} NFE: {rescoring.label['search']} returned an "
                    "image that it had not rewarded; this run cannot be rescored"
                )
            best = candidates.choose(part.reward, rows).best
            ledger = dict(zip(COLUMNS, part.shard["ledger"][k, cap].tolist(), strict=True))
            outcomes.append(Outcome(part.pixels[best], candidates.reward_of(part.reward, best), ledger))
            picked.append(best)
        nan = int(part.nan[part.candidates["offset"][k] : part.candidates["offset"][k + 1]].sum())
        results.append(Result(Problem(index, condition), tuple(outcomes), None, nan))
        picks.append(picked)
    return results, picks


def _figure(rescoring: Rescoring, target: Path, curve: Curve) -> bytes:
    """Draw the run's own curve and the rescored one."""
    own = read_run(rescoring.run.files, rescoring.run.folder)
    label = {**own.label, "verifier": rescoring.label["verifier"]}
    if not rescoring.exact:
        label["search"] = f"pool of {label['search']}"
    other = RunRecord(Path(target.name), label, own.command, own.images, tuple(curve.rows))
    return comparison_figure([own, other])["png"]


def command_of(folder: Path, given: Sequence[str]) -> str:
    """Return the command that rescores `folder` as `given` says."""
    return " ".join(["python scripts/rescore.py", *map(shlex.quote, (str(folder), *given))])
