"""A finished run whose candidates another verifier scores; the generator is neither loaded nor asked."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from its.budget import OF_JUDGES, Currency, cap_of
from its.config.blueprint import Blueprint
from its.config.checks import check_rewards, refuse_probe, stated_probe
from its.config.identity import differences
from its.config.instantiate import instantiate
from its.config.oracle_run import is_blind, meaning
from its.config.provenance import Provenance
from its.config.run_place import placed
from its.config.scorers import is_remote
from its.disk.array_names import candidate_features_name
from its.engine import Engine
from its.engine.flops import count_flops, reward_flops
from its.engine.queue import pad
from its.rerun.finished_run import FinishedRun, key_of
from its.run import candidates
from its.run.chosen import PooledShard
from its.run.instruments import Instruments
from its.run.set_choice import SetChoice, check_reference
from its.types import Condition
from its.verifier.verifier import Verifier, judge_costs_of, members_of, rewards_of

OPEN_KEYS = ("verifier", "metric", "device", "plugins", "hydra")
"""Groups and keys that may differ from the run's."""

OF_POOL = ("verifier.pool", "verifier@verifier.pool")
OF_VERIFIER = ("verifier.", "verifier@verifier.")
"""Beginnings of keys that say more of the verifier that was chosen."""


@dataclass(frozen=True)
class ScoredShard(PooledShard):
    """The candidates of a shard's problems under another verifier.

    Attributes:
        raw: rewards `[m]`, or `[m, members]` of a relative verifier, as it gave them.
        reward: the same with -inf in place of NaN.
        costs: what judges elsewhere were asked for each, int64 `[m, columns]`, columns as in `its.budget.OF_JUDGES`.
        conditions: of each problem.
    """

    raw: np.ndarray
    reward: np.ndarray
    costs: np.ndarray
    conditions: list[Condition]

    def costs_at(self, caps: Sequence[float]) -> np.ndarray:
        """Return what was asked for the candidates of each problem that count at each cap, `[n, caps, columns]`."""
        return np.array(
            [
                [
                    self.costs[candidates.counting(self.candidates, k, cap, most)].sum(axis=0)
                    for cap, most in enumerate(caps)
                ]
                for k in range(len(self.indices))
            ]
        )


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
        require_same_run(run, blueprint.config)
        run.require_candidates()
        key = f"verifier={blueprint.label['verifier']}"
        refuse_probe(stated_probe(plain["verifier"], packages), key, "stored candidates have none")
        plain = placed(plain, run.folder)  # whose answers are of these very pictures
        verifier = instantiate(plain["verifier"], packages)
        check_rewards(blueprint.search, verifier, blueprint.label["verifier"])
        instruments = Instruments.of(plain, packages)
        if blueprint.has_oracle:
            check_reference(blueprint.label["verifier"], instruments)
        return cls(run, blueprint, verifier, instruments)

    @property
    def label(self) -> dict[str, str]:
        """The YAML chosen in each group, the experiment's name and the seed."""
        plain = self.blueprint.plain
        return {**self.blueprint.label, "name": plain["name"], "seed": str(plain["seed"])}

    @property
    def caps(self) -> tuple[float, ...]:
        """The run's caps, infinity for no cap."""
        return tuple(math.inf if cap is None else cap for cap in self.run.summary["caps"])

    @property
    def currency(self) -> Currency:
        """What the caps are in."""
        return cap_of(self.run.summary["curve"][0]).currency

    @cached_property
    def provenance(self) -> Provenance:
        """The sources of the candidates, held against those here."""
        return Provenance(self.run.files, self.run.files.shard_names, lambda: self.blueprint.sources)

    @property
    def exact(self) -> bool:
        """True if rescoring gives the curve that a run with the other verifier would have."""
        return is_blind(self.blueprint.search) and not self.provenance.others

    @property
    def meaning(self) -> str:
        """The meaning of the rescored curve, in one sentence."""
        search, verifier, selector = self.label["search"], self.label["verifier"], self.run.selector
        if self.by_set:
            return meaning(self.blueprint, selector)
        if self.exact:
            return (
                f"the candidates of {search} do not depend on rewards, so this is what a run that selects by "
                f"{verifier} gives"
            )
        if self.provenance.others:
            others = ", ".join(self.provenance.others)
            return (
                f"the candidates were made by another source than is here ({others}), so this is the best of them by "
                f"{verifier}, and not what a run here that selects by {verifier} gives"
            )
        return (
            f"{search} chose its way by {selector}, so this is the best of that run's candidates by {verifier}, and "
            f"not what a run that selects by {verifier} gives"
        )

    @property
    def by_set(self) -> bool:
        """True if an oracle chooses a whole set, and scores no candidate by itself."""
        return self.blueprint.has_oracle

    @property
    def remote(self) -> bool:
        """True if the verifier, or one that is held out, asks somebody over the network."""
        plain, packages = self.blueprint.plain, self.blueprint.packages
        return any(is_remote(plain[key], packages) for key in ("verifier", "report"))

    @property
    def members(self) -> tuple[str, ...]:
        """Names of the columns of rewards, if these are relative: an oracle of sets leaves the run's own."""
        return self.run.members if self.by_set else members_of(self.verifier)

    def set_choice(self, folder: Path) -> SetChoice:
        """Return what an oracle chooses by; features lie in a folder meanwhile."""
        plain, reference = self.blueprint.plain, self.instruments.reference.load()
        choice = self.caps, self.currency, self.label["search"], plain["seed"], plain["device"], folder
        return SetChoice(reference.moments, *choice)

    def pooled(self) -> Iterator[PooledShard]:
        """Yield the candidates as they are stored, shard by shard."""
        for indices in self.run.ranges:
            part = PooledShard(indices, self.run.candidates(indices), {}, self.run.shard(indices))
            name = candidate_features_name(self.instruments.extractor.name, indices.start)
            yield replace(part, features=self.instruments.features(self.run.files.store, name, part.pixels))

    def scored(self) -> Iterator[ScoredShard]:
        """Score the candidates, shard by shard; under an oracle of sets they keep the run's own rewards."""
        for part in self.pooled():
            stored, indices = part.candidates, part.indices

            # A candidate is scored for what its problem asks.
            conditions = [self.instruments.data.condition(index) for index in indices]
            counts = np.diff(stored["offset"][: len(indices) + 1])
            of_rows = [condition for condition, count in zip(conditions, counts, strict=True) for _ in range(count)]
            raw, costs = stored["reward"], np.zeros((len(of_rows), len(OF_JUDGES)), np.int64)
            if not self.by_set:
                raw, costs = self.score(stored["images"][: len(of_rows)], of_rows)
            reward = np.where(np.isnan(raw), -math.inf, raw)
            yield ScoredShard(indices, stored, part.features, part.shard, raw, reward, costs, conditions)

    def score(self, images: np.ndarray, conditions: Sequence[Condition]) -> tuple[np.ndarray, np.ndarray]:
        """Score unrounded images `[m, C, H, W]`, in batches of the shape that the engine would use.

        Returns:
            rewards; and what judges were asked for each, int64 `[m, columns]`.
        """
        plain = self.blueprint.plain
        batch, device = plain["verify_batch"] or plain["batch"], plain["device"]
        rewards, counts = [], []
        with torch.inference_mode():
            for first in range(0, len(images), batch):
                part = images[first : first + batch]
                padded = np.concatenate([part, np.repeat(part[-1:], batch - len(part), axis=0)])
                rows = torch.from_numpy(padded).to(device)
                wishes = conditions[first : first + batch]
                scores = rewards_of(self.verifier, rows, pad(wishes, batch))
                rewards.append(scores[: len(part)].double().cpu().numpy())
                costs = judge_costs_of(self.verifier, rows[: len(part)], wishes)
                counts += [[cost.get(column, 0) for column in OF_JUDGES] for cost in costs]
        return np.concatenate(rewards), np.array(counts, np.int64)

    def flops(self, image: np.ndarray) -> dict[str, int]:
        """Return the FLOPs of one call, by ledger column: the run's own, but those of the other verifier.

        Args:
            image: a candidate, `[1, C, H, W]`.
        """
        stored = self.run.summary.get("flops") or self._count_flops()
        if self.by_set:
            return dict(stored)
        rows = torch.from_numpy(image).to(self.blueprint.plain["device"])
        return {**stored, "verifier_calls": reward_flops(self.verifier, rows, [self.instruments.data.condition(0)])}

    def _count_flops(self) -> dict[str, int]:
        """Load the generator and count, for a run of a version that did not store the counts."""
        plain, packages, guidance = self.blueprint.plain, self.blueprint.packages, self.blueprint.guidance
        verifiers = {"select": instantiate(self.run.config["verifier"], packages) if self.by_set else self.verifier}
        if self.blueprint.guided:
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
        return count_flops(engine, self.instruments.data.condition(0), self.blueprint.search.takes_gradients)


def words(run: FinishedRun, overrides: Sequence[str]) -> list[str]:
    """Return the run's own overrides followed by others; a verifier among these replaces the run's whole.

    `plugins` and `hydra` are not taken over: whose code runs is said on the command line.

    Raises:
        ValueError: something else is given, or these are not.
    """
    run.require_places(overrides)
    for word in overrides:
        if key_of(word).partition("@")[0].partition(".")[0] not in OPEN_KEYS:
            raise ValueError(
                f"{word} would make another run, whose candidates these are not; rescoring takes "
                f"{', '.join(OPEN_KEYS)} only"
            )
    if any(key_of(word).startswith(OF_POOL) for word in overrides):
        raise ValueError(
            f"verifier.pool is the verifier that found the candidates, and those of this run were found by "
            f"{run.selector}; leave it out"
        )
    own_words = run.words
    if any(word.startswith("verifier=") for word in overrides):
        own_words = [word for word in own_words if not f"{key_of(word)}.".startswith(OF_VERIFIER)]
    return [*own_words, *overrides, f"images={run.summary['images']}"]


def require_same_run(run: FinishedRun, config: dict[str, Any]) -> None:
    """Refuse a configuration that is not this run's but for its verifier: defaults may have changed since.

    Raises:
        ValueError: it differs elsewhere.
    """
    here, there = ({**each, "dataset": {"images": each["dataset"]["images"]}} for each in (config, run.config))
    keys = [key for key in differences(here, there) if key != "verifier"]
    if keys:
        raise ValueError(
            f"{', '.join(keys)} of this run's command are no longer what {run.files.config} says, so the candidates "
            "are another run's; rescore with the its that made them"
        )
