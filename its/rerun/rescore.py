"""Curves of further verifiers over a pool that is there: no network evaluation is spent."""

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
from its.config.identity import differences, of_before
from its.config.names import current_word
from its.disk.run_folder import pool_name, ranges, shard_name
from its.disk.store import Arrays, Store, write_atomic
from its.engine import Outcome, Result
from its.engine.queue import pad
from its.report.figures import comparison_figure, sample_grid
from its.report.runs import RunRecord, load_runs, overrides_of
from its.run import pools, shards
from its.run.experiment import Experiment
from its.run.measure import Row, measure, to_csv
from its.search.more_steps import MoreSteps
from its.search.none import NoSearch
from its.search.random import Random
from its.search.search import Search
from its.types import Condition, Problem

GIVEN = ("verifier", "metric", "device", "plugins", "hydra")
"""Groups and keys that may differ from the run's."""

BLIND = (NoSearch, MoreSteps, Random)
"""Searches whose candidates are the same under every verifier."""


@dataclass(frozen=True)
class Finished:
    """A finished run with a pool, as its folder tells.

    Attributes:
        config: of `config.yaml`. summary: of `metrics.json`.
    """

    folder: Path
    config: dict[str, Any]
    summary: dict[str, Any]

    @classmethod
    def read(cls, folder: Path) -> Finished:
        """Read a run's folder.

        Raises:
            ValueError: it is not a finished run, or has no pool.
        """
        if not (folder / "config.yaml").exists() or not (folder / "metrics.json").exists():
            raise ValueError(
                f"{folder} is not the folder of a finished run: it lacks config.yaml or metrics.json; "
                "give the folder that ends in seed=<n>-<hash>"
            )
        config = of_before(yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8")))
        summary = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        needed = [pool_name(indices) for indices in ranges(summary["images"], config["shard"])]
        absent = [name for name in needed if not (folder / name).exists()]
        if absent:
            raise ValueError(
                f"{folder} has no {absent[0]}; make its pool, which leaves the images as they are: "
                f"{summary['command']} keep_candidates=true"
            )
        return cls(folder, config, summary)

    def words(self, given: Sequence[str]) -> list[str]:
        """The run's own overrides followed by `given`; a verifier that is given replaces the run's whole.

        `plugins` is not taken over: whose code runs is said on the command line.

        Raises:
            ValueError: something else is given.
        """
        for word in given:
            if word.lstrip("+~").partition("=")[0].partition("@")[0].partition(".")[0] not in GIVEN:
                raise ValueError(
                    f"{word} would make another run, whose pool this is not; rescoring takes {', '.join(GIVEN)} only"
                )
        other = any(word.startswith("verifier=") for word in given)
        own = []
        for word in map(current_word, overrides_of(self.summary["command"])):
            key = word.lstrip("+~").partition("=")[0]
            if key not in ("images", "plugins") and not (other and key.partition(".")[0] == "verifier"):
                own.append(word)
        return [*own, *given, f"images={self.summary['images']}"]

    def check(self, config: dict[str, Any]) -> None:
        """See that a configuration is this run's, but for its verifier: defaults may have changed since.

        Raises:
            ValueError: it differs elsewhere.
        """
        keys = [key for key in differences(config, self.config) if key != "verifier"]
        if keys:
            raise ValueError(
                f"{', '.join(keys)} of this run's command are no longer what "
                f"{self.folder / 'config.yaml'} says, so the pool is another run's; "
                "rescore with the its that made it"
            )


def is_exact(search: Search) -> bool:
    """Whether rescoring gives what a run with the other verifier would have."""
    return isinstance(search, BLIND)


def meaning(run: Experiment, source: Finished) -> str:
    """What a rescored curve is, in one sentence."""
    search, verifier, own = run.label["search"], run.label["verifier"], source.summary["verifier"]
    if is_exact(run.search):
        return (
            f"the candidates of {search} do not depend on rewards, so this is what a run that selects by "
            f"{verifier} gives"
        )
    return (
        f"{search} chose its way by {own}, so this is the best of that run's pool by {verifier}, and not what a "
        f"run that selects by {verifier} gives"
    )


@dataclass(frozen=True)
class Scored:
    """A shard's pool under another verifier.

    Attributes:
        pool, features: as stored. shard: the run's own. pixels: uint8 `[m, H, W, C]`.
        reward: `[m]`, or `[m, members]` of a relative verifier; NaN became -inf. nan: bool `[m]`, where.
        conditions: of each problem.
    """

    indices: range
    pool: Arrays
    features: Arrays
    shard: Arrays
    pixels: np.ndarray
    reward: np.ndarray
    nan: np.ndarray
    conditions: list[Condition]


def scored(run: Experiment) -> Iterator[Scored]:
    """Score the pool with the select verifier of `run`, shard by shard.

    Args:
        run: as the source, but for its verifier; its folder is the source's.
    """
    for indices in ranges(run.images, run.shard):
        pool, features = run.pool(indices)
        conditions = [run.condition(index) for index in indices]
        counts = np.diff(pool["offset"][: len(indices) + 1])
        asked = [condition for condition, count in zip(conditions, counts, strict=True) for _ in range(count)]
        reward = score(run, pool["images"][: len(asked)], asked)
        nan = np.isnan(reward) if reward.ndim == 1 else np.isnan(reward).any(axis=1)
        yield Scored(
            indices,
            pool,
            features,
            run.load(shard_name(indices)),
            pools.pixels(pool),
            np.where(np.isnan(reward), -math.inf, reward),
            nan,
            conditions,
        )


def score(run: Experiment, images: np.ndarray, conditions: Sequence[Condition]) -> np.ndarray:
    """Rewards of unrounded images `[m, C, H, W]`, in batches of the shape that the engine would use."""
    verifier, batch, device = run.engine.verifiers["select"], run.engine.batch, run.engine.model.device
    found = []
    with torch.inference_mode():
        for first in range(0, len(images), batch):
            part = images[first : first + batch]
            rows = torch.from_numpy(np.concatenate([part, np.repeat(part[-1:], batch - len(part), axis=0)])).to(device)
            rewards = verifier.reward(rows, pad(conditions[first : first + batch], batch))
            found.append(rewards[: len(part)].double().cpu().numpy())
    return np.concatenate(found)


def rescore(run: Experiment, source: Finished, target: Path, command: str) -> list[Row]:
    """Choose anew at every cap and measure; write shards, curve, figure and `rescored.json` to the folder `target`.

    Args:
        run: as the source, but for its verifier; its folder is the source's.
        command: that does this again.
    """
    store = Store(target)
    loaded, features = [], []
    for part in scored(run):
        results, picks = _results(run, part)
        arrays = shards.pack(results)
        of_image = np.empty(len(arrays["images"]), dtype=np.int64)
        of_image[arrays["pick"].ravel()] = np.array(picks).ravel()
        store.write(shard_name(part.indices), arrays)
        loaded.append((part.indices, arrays))
        features.append({name: array[of_image] for name, array in part.features.items()})
    rows = [
        {key: value for key, value in row.items() if key != "seconds"} for row in measure(run, loaded, features, [])[0]
    ]
    store.settle()
    for cap, row in enumerate(rows):
        grid = sample_grid(shards.collect(loaded, cap).images[:100])
        write_atomic(target / f"samples_{row['nfe_cap'] or 'natural'}.png", grid)
    write_atomic(target / "curve.csv", to_csv(rows).encode())
    write_atomic(target / "curve.png", _figure(run, source, target, rows))
    entry = {
        **run.label,
        "exact": is_exact(run.search),
        "meaning": meaning(run, source),
        "command": command,
        "images": run.images,
        "curve": rows,
    }
    write_atomic(target / "rescored.json", (json.dumps(entry, indent=1, sort_keys=True) + "\n").encode())
    return rows


def _results(run: Experiment, part: Scored) -> tuple[list[Result], list[list[int]]]:
    """What each problem comes to at every cap, and the row of the pool that it is."""
    results, picks = [], []
    for k, (index, condition) in enumerate(zip(part.indices, part.conditions, strict=True)):
        outcomes, picked = [], []
        for cap, nfe in enumerate(run.caps):
            rows = pools.counting(part.pool, k, cap, nfe)
            if not len(rows):
                raise ValueError(
                    f"image {index} has no candidate within {nfe} NFE: {run.label['search']} returned an "
                    "image that it had not rewarded; this run cannot be rescored"
                )
            best = pools.choose(part.reward, rows).best
            ledger = dict(zip(COLUMNS, part.shard["ledger"][k, cap].tolist(), strict=True))
            outcomes.append(Outcome(part.pixels[best], pools.reward_of(part.reward, best), ledger))
            picked.append(best)
        nan = int(part.nan[part.pool["offset"][k] : part.pool["offset"][k + 1]].sum())
        results.append(Result(Problem(index, condition), tuple(outcomes), None, nan))
        picks.append(picked)
    return results, picks


def _figure(run: Experiment, source: Finished, target: Path, rows: Sequence[Row]) -> bytes:
    """The run's own curve and the rescored one."""
    [own] = load_runs(source.folder)
    label = {**own.label, "verifier": run.label["verifier"]}
    if not is_exact(run.search):
        label["search"] = f"pool of {label['search']}"
    other = RunRecord(Path(target.name), label, own.command, run.images, tuple(rows))
    return comparison_figure([own, other])["png"]


def command_of(folder: Path, given: Sequence[str]) -> str:
    """The command that rescores `folder` as `given` says."""
    return " ".join(["python scripts/rescore.py", *map(shlex.quote, (str(folder), *given))])
