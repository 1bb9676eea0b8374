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
from its.identity import folder_of, hash8, identity
from its.image import Image
from its.instantiate import CHOICES, check_targets, instantiate
from its.prices import Prices
from its.sampler.sampler import Sampler
from its.types import Problem, Search
from its.workers import Worker

if TYPE_CHECKING:
    from its.experiment import Experiment

GROUPS = ("dataset", "model", "sampler", "search", "verifier", "budget", "metric")


@dataclass(frozen=True)
class Blueprint:
    """A checked configuration of which no network has been loaded.

    Attributes:
        plain: the configuration as plain containers, resolved.
        label: the YAML chosen in each group.
        decisive: what decides the images. folder: of the run.
        packages: whose classes a `_target_` may name.
    """

    plain: dict[str, Any]
    label: dict[str, str]
    decisive: dict[str, Any]
    folder: Path
    packages: tuple[str, ...]
    sampler: Sampler
    search: Search
    budget: Budget

    @classmethod
    def of(cls, config: DictConfig, choices: dict[str, str], overrides: Sequence[str]) -> Blueprint:
        """Check what needs no network.

        Args:
            choices: the YAML chosen in each group.
            overrides: the command line's.

        Raises:
            ValueError: a value breaks a rule; the message says which and what to do.
        """
        plain = cast(dict[str, Any], OmegaConf.to_container(config, resolve=True, throw_on_missing=True))
        check_numbers(plain)
        packages = (*CHOICES, *plain["plugins"])
        if plain["plugins"] and not any(entry.startswith("plugins=") for entry in overrides):
            raise ValueError(f"plugins is {plain['plugins']} in a YAML; whose code runs is said on the command line: "
                             "plugins=[...]")
        for group in GROUPS:
            check_targets(plain[group], packages)
        label = {group: choices[group] for group in GROUPS}
        decisive = identity(plain)
        sampler, search, budget = (instantiate(plain[group], packages) for group in ("sampler", "search", "budget"))
        if search.needs_noise and not sampler.stochastic:
            raise ValueError(f"{type(search).__name__} copies particles, and under a deterministic sampler the copies "
                             "never separate; set sampler.eta above 0")
        folder = folder_of(plain["out_dir"], plain["name"], label, plain["seed"], decisive)
        return cls(plain, label, decisive, folder, packages, sampler, search, budget)


def build(config: DictConfig, choices: dict[str, str], overrides: Sequence[str]) -> Experiment:
    """Load what `config` names, and put the experiment together.

    Args:
        overrides: the command line's, for the record.

    Raises:
        ValueError: a value breaks a rule; the message says which and what to do.
    """
    blueprint = Blueprint.of(config, choices, overrides)
    from its.engine import Engine
    from its.experiment import Experiment
    from its.flops import count_flops

    plain, packages = blueprint.plain, blueprint.packages
    model, verifier, metrics = (instantiate(plain[group], packages) for group in ("model", "verifier", "metric"))
    data, extractor = (instantiate(plain["dataset"][key], packages) for key in ("images", "report"))
    check_shapes(plain["dataset"]["name"], data, model)
    engine = Engine(model, blueprint.sampler, {"select": verifier}, seed=plain["seed"], batch=plain["batch"],
                    rows=plain["rows"])
    search, caps = sized(blueprint.search, blueprint.budget, engine.prices)
    return Experiment(
        folder=blueprint.folder, config={**blueprint.decisive, "shard": plain["shard"]},
        measured=hash8({"metric": plain["metric"], "report": plain["dataset"]["report"], "its": __version__}),
        label={**blueprint.label, "name": plain["name"], "seed": str(plain["seed"])}, images=plain["images"],
        shard=plain["shard"], caps=caps, engine=engine, search=search, condition=data.condition,
        reference=data.reference, extractor=extractor, metrics=list(metrics.values()),
        flops=lambda: count_flops(engine, data.condition(0)),
        command=" ".join(["python run.py", *map(shlex.quote, overrides)]), worker=Worker.here(),
    )


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
        raise ValueError(f"search.{given[0]}={sizes[given[0]]} fixes a size beside the caps of "
                         f"budget.{'nfe' if budget.nfe is not None else 'samplings'}; a cap sizes the search itself: "
                         f"set search.{given[0]}=null, or run with budget=natural")
    least = search.minimum(prices.sampling)
    if caps[0] < least:
        raise ValueError(f"the cap of {caps[0]} NFE is below the {least} NFE that {type(search).__name__} needs for "
                         f"one image (one plain sampling costs {prices.sampling}); raise budget.nfe")
    if not search.anytime:
        for cap in caps:
            search.plan(int(cap), Image(Problem(0), 0, prices, Ledger(cap), anytime=False, shape=()))
    return search, caps


def check_numbers(plain: dict[str, Any]) -> None:
    """Refuse counts and seeds that are not whole numbers in range."""
    for key in ("images", "shard", "batch", "workers"):
        value = plain[key]
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{key} is {value!r}; it is a whole number of at least 1")
    seed = plain["seed"]
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**32:
        raise ValueError(f"seed is {seed!r}; it is a whole number in [0, 2**32)")


def check_shapes(dataset: str, data: Any, model: Any) -> None:
    """Refuse a model that makes other images than the dataset's."""
    made = model.decoder.shape if model.decoder else model.shape
    if tuple(made) != tuple(data.shape):
        raise ValueError(f"the model makes images of shape {tuple(made)}, and dataset {dataset} has "
                         f"{tuple(data.shape)}; choose a model of this dataset")
