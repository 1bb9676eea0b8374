"""From a composed configuration to an experiment.

Everything that can be wrong with a configuration is found here, before a file is touched; what can be
found without loading a network is found by `Blueprint`, which imports no torch.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from omegaconf import DictConfig, OmegaConf

from its import __version__
from its.budget import Budget, Ledger
from its.config.guard import check_keys, check_values
from its.config.identity import folder_of, hash8, identity, same_weights
from its.config.instantiate import CHOICES, check_targets, defined, instantiate
from its.config.smoke import settle
from its.guidance.guidance import Guidance
from its.particles.image import Image
from its.particles.prices import Prices
from its.process.workers import Worker
from its.sampler.sampler import Sampler
from its.search.schedule import Schedule
from its.search.search import Search
from its.tracker.job import Job, Tracker
from its.types import Problem

if TYPE_CHECKING:
    from its.run.experiment import Experiment

GROUPS = ("dataset", "model", "sampler", "guidance", "search", "verifier", "budget", "metric", "tracker")
"""Groups whose choices name classes."""

LABELS = tuple(group for group in GROUPS if group not in ("guidance", "tracker"))
"""Those whose choice a run is labelled with; a guidance is part of the search's label, a tracker changes nothing."""

PLACES = ("out_dir", "plugins", "plan", "tracker")
"""Keys that say where a run is or who is told of it."""


@dataclass(frozen=True)
class Blueprint:
    """A checked configuration of which no network has been loaded.

    Attributes:
        plain: the configuration as plain containers, resolved.
        label: the YAML chosen in each group; a guidance is part of the search's.
        decisive: what decides the images. folder: of the run.
        packages: whose classes a `_target_` may name.
        keep_pool: whether every candidate is stored; the images are the same either way.
    """

    plain: dict[str, Any]
    label: dict[str, str]
    decisive: dict[str, Any]
    folder: Path
    packages: tuple[str, ...]
    sampler: Sampler
    guidance: Guidance
    search: Search
    budget: Budget
    keep_pool: bool

    @property
    def asked(self) -> str:
        """Hash of what a configuration says about measuring; what the files that it names hold is not looked at."""
        dataset = self.plain["dataset"]
        return hash8(
            {
                "metric": self.plain["metric"],
                "its": __version__,
                **{key: dataset.get(key) for key in ("report", "reference", "statistics")},
            }
        )

    @classmethod
    def of(
        cls, config: DictConfig, choices: dict[str, str], overrides: Sequence[str], *, planning: bool = False
    ) -> Blueprint:
        """Check what needs no network.

        Args:
            choices: the YAML chosen in each group.
            overrides: the command line's.
            planning: weights may be absent.

        Raises:
            ValueError: a value breaks a rule; the message says which and what to do.
        """
        plain = cast(dict[str, Any], OmegaConf.to_container(config, resolve=True, throw_on_missing=True))
        check_numbers(plain)
        packages = (*CHOICES, *plain["plugins"])
        if plain["plugins"] and not any(entry.startswith("plugins=") for entry in overrides):
            raise ValueError(
                f"plugins is {plain['plugins']} in a YAML; whose code runs is said on the command line: plugins=[...]"
            )
        keep_pool = plain["search"].pop("keep_pool")
        for group in (*GROUPS, "guide"):
            check_targets(plain[group], packages)
        check_keys(plain)
        check_values(plain)
        plain = settle(plain, packages)
        check_scorers(plain)
        decisive = identity(plain, planning=planning)
        sampler, guidance, search, budget = (
            instantiate(plain[group], packages) for group in ("sampler", "guidance", "search", "budget")
        )
        if plain["verifier"].get("network", ...) is None and not isinstance(search, Schedule):
            raise ValueError(
                f"verifier {choices['verifier']} asks the dataset's own classifier, and dataset "
                f"{choices['dataset']} brings none; choose another verifier, or set dataset.classifier"
            )
        if search.needs_noise and not sampler.stochastic:
            raise ValueError(
                f"{type(search).__name__} copies particles, and under a deterministic sampler the copies "
                "never separate; set sampler.eta above 0"
            )
        check_rewards(search, defined(plain["verifier"]["_target_"], packages), choices["verifier"])
        if isinstance(search, Schedule):
            search.check_alone(sampler.steps, choices["guidance"], keep_pool)
        label = labelled(choices, search)
        folder = folder_of(plain["out_dir"], plain["name"], label, plain["seed"], decisive)
        return cls(plain, label, decisive, folder, packages, sampler, guidance, search, budget, keep_pool)

    @classmethod
    def composed(cls, config: DictConfig, *, planning: bool = False) -> Blueprint:
        """Of a configuration as Hydra composes it, with its own node."""
        own = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
        return cls.of(own, dict(config.hydra.runtime.choices), list(config.hydra.overrides.task), planning=planning)

    def job(self) -> Job:
        """What a tracker is told."""
        experiment = Path(self.plain["out_dir"]).expanduser().absolute() / self.plain["name"]
        config = {key: value for key, value in self.plain.items() if key not in PLACES}
        return Job(self.folder, experiment, self.label, config)


def labelled(choices: dict[str, str], search: Search) -> dict[str, str]:
    """What a run is called by: its choices, guidance with the search; a search over sets selects by its fitness."""
    label = {group: choices[group] for group in LABELS}
    if choices["guidance"] != "none":
        label["search"] += f"+{choices['guidance']}"
    if isinstance(search, Schedule):
        label |= {"verifier": search.fitness, "budget": search.strategy}
    return label


def build(config: DictConfig, choices: dict[str, str], overrides: Sequence[str]) -> Experiment:
    """Load what `config` names, and put the experiment together.

    Args:
        overrides: the command line's, for the record.

    Raises:
        ValueError: a value breaks a rule; the message says which and what to do.
    """
    blueprint = Blueprint.of(config, choices, overrides)
    from its.engine import Engine
    from its.engine.flops import count_flops
    from its.run.experiment import Experiment
    from its.run.measurement import Measurement

    plain, packages = blueprint.plain, blueprint.packages
    by = Measurement.of(plain, packages)
    data = by.data
    model, verifier = (instantiate(plain[group], packages) for group in ("model", "verifier"))
    check_rewards(blueprint.search, verifier, blueprint.label["verifier"])
    check_shapes(plain["dataset"]["name"], data, model)
    verifiers = {"select": verifier}
    if blueprint.guidance.needs != "nothing":
        verifiers["guide"] = instantiate(plain["guide"], packages)
    engine = Engine(
        model,
        blueprint.sampler,
        verifiers,
        seed=plain["seed"],
        guidance=blueprint.guidance,
        gradient_batch=plain["gradient_batch"],
        batch=plain["batch"],
        rows=plain["rows"],
        keep_candidates=blueprint.keep_pool,
    )
    search, caps = sized(blueprint.search, blueprint.budget, engine.prices)
    return Experiment(
        folder=blueprint.folder,
        config={**blueprint.decisive, "shard": plain["shard"]},
        measured=by.fingerprint,
        asked=blueprint.asked,
        label={**blueprint.label, "name": plain["name"], "seed": str(plain["seed"])},
        images=plain["images"],
        shard=plain["shard"],
        caps=caps,
        engine=engine,
        search=search,
        condition=data.condition,
        reference=by.reference,
        extractor=by.extractor,
        metrics=by.metrics,
        flops=lambda: count_flops(engine, data.condition(0)),
        command=" ".join(["python run.py", *map(shlex.quote, overrides)]),
        worker=Worker.here(),
    )


def tracker_of(config: DictConfig) -> Tracker:
    """Whom the configuration names to be told."""
    return instantiate(OmegaConf.to_container(config.tracker, resolve=True), (*CHOICES, *config.plugins))


def sized(search: Search, budget: Budget, prices: Prices) -> tuple[Search, tuple[float, ...]]:
    """The search with a size from one place, and the caps in NFE.

    Raises:
        ValueError: a size beside a cap, or a cap that buys no image.
    """
    caps = budget.caps(prices.sampling)
    sizes = {name: getattr(search, name) for name in search.natural}
    if budget.natural:
        missing = {name: search.natural[name] for name, size in sizes.items() if size is None}
        return replace(cast(Any, search), **missing), caps
    given = [name for name, size in sizes.items() if size is not None]
    if given:
        raise ValueError(
            f"search.{given[0]}={sizes[given[0]]} fixes a size beside the caps of "
            f"budget.{'nfe' if budget.nfe is not None else 'samplings'}; a cap sizes the search itself: "
            f"set search.{given[0]}=null, or run with budget=natural"
        )
    least = search.minimum(prices.sampling)
    if caps[0] < least:
        raise ValueError(
            f"the cap of {caps[0]} NFE is below the {least} NFE that {type(search).__name__} needs for "
            f"one image (one plain sampling costs {prices.sampling}); raise budget.nfe"
        )
    if not search.anytime:
        for cap in caps:
            search.plan(int(cap), Image(Problem(0), 0, prices, Ledger(cap), anytime=False, shape=()))
    return search, caps


def check_numbers(plain: dict[str, Any]) -> None:
    """Refuse counts and seeds that are not whole numbers in range, and a `keep_pool` that is neither true nor false."""
    for key in ("images", "shard", "batch", "workers"):
        value = plain[key]
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{key} is {value!r}; it is a whole number of at least 1")
    seed = plain["seed"]
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**32:
        raise ValueError(f"seed is {seed!r}; it is a whole number in [0, 2**32)")
    keep_pool = plain["search"]["keep_pool"]
    if not isinstance(keep_pool, bool):
        raise ValueError(f"search.keep_pool is {keep_pool!r}; it is true or false")


def check_rewards(search: Search, verifier: Any, choice: str) -> None:
    """Refuse a verifier, known by its object or class, whose rewards this search cannot use."""
    if getattr(verifier, "noise_aware", False):
        raise ValueError(
            f"verifier={choice} scores noisy rows, which is for verifier@guide under guidance=cg; choose "
            "a verifier of images"
        )
    if getattr(search, "needs_absolute", True) and not getattr(verifier, "absolute", True):
        raise ValueError(
            f"verifier={choice} is relative: its rewards only rank candidates against each other, and "
            f"{type(search).__name__} needs rewards that mean the same in any company; use "
            "verifier=zscore, or one verifier alone"
        )


def check_scorers(plain: dict[str, Any]) -> None:
    """Refuse one network as the verifier that selects and as the one that reports, unless it is said to be meant."""
    shared = same_weights(plain["verifier"], plain["dataset"]["report"])
    if shared and plain["allow_same_scorer"] is not True:
        raise ValueError(
            f"the verifier selects by {shared[0]}, and the same network reports: what it says of its own "
            "choice is no measure; choose another verifier or dataset.report, or set "
            "allow_same_scorer=true"
        )


def check_shapes(dataset: str, data: Any, model: Any) -> None:
    """Refuse a model that makes other images than the dataset's."""
    made = model.decoder.shape if model.decoder else model.shape
    if tuple(made) != tuple(data.shape):
        raise ValueError(
            f"the model makes images of shape {tuple(made)}, and dataset {dataset} has "
            f"{tuple(data.shape)}; choose a model of this dataset"
        )
