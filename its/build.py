"""From a composed configuration to an experiment. The only caller of Hydra's instantiate.

Everything that can be wrong with a configuration is found here, before a file is touched.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from its import __version__
from its.budget import Budget, Ledger
from its.identity import folder_of, hash8, identity
from its.image import Image
from its.prices import Prices
from its.types import Problem, Search
from its.workers import Worker

if TYPE_CHECKING:
    from its.experiment import Experiment

GROUPS = ("dataset", "model", "sampler", "search", "verifier", "budget", "metric")
FORBIDDEN = ("_partial_", "_args_")


def build(config: DictConfig, choices: dict[str, str], overrides: Sequence[str]) -> Experiment:
    """Build what `config` says.

    Args:
        choices: the YAML chosen in each group.
        overrides: the command line's, for the record.

    Raises:
        ValueError: a value breaks a rule; the message says which and what to do.
    """
    plain: dict[str, Any] = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)  # type: ignore[assignment]
    _check_numbers(plain)
    label = {group: choices[group] for group in GROUPS}
    decisive = identity(plain)
    folder = folder_of(plain["out_dir"], plain["name"], label, plain["seed"], decisive)
    packages = ("its", *plain["plugins"])
    parts = {group: instantiate(plain[group], packages) for group in GROUPS if group != "dataset"}
    dataset = {key: instantiate(plain["dataset"][key], packages) for key in ("images", "report")}
    _check_together(plain, dataset["images"], parts["model"], parts["search"], parts["sampler"])
    return _experiment(plain, label, folder, parts, dataset, decisive, overrides)


def _experiment(plain: dict[str, Any], label: dict[str, str], folder: Path, parts: dict[str, Any],
                dataset: dict[str, Any], decisive: dict[str, Any], overrides: Sequence[str]) -> Experiment:
    from its.engine import Engine
    from its.experiment import Experiment
    from its.flops import count_flops

    engine = Engine(parts["model"], parts["sampler"], {"select": parts["verifier"]}, seed=plain["seed"],
                    batch=plain["batch"], rows=plain["rows"])
    search, caps = sized(parts["search"], parts["budget"], engine.prices)
    problems = dataset["images"]
    return Experiment(
        folder=folder, config={**decisive, "shard": plain["shard"]},
        measured=hash8({"metric": plain["metric"], "report": plain["dataset"]["report"], "its": __version__}),
        label={**label, "name": plain["name"], "seed": str(plain["seed"])}, images=plain["images"],
        shard=plain["shard"], caps=caps, engine=engine, search=search, condition=problems.condition,
        reference=problems.reference, extractor=dataset["report"], metrics=list(parts["metric"].values()),
        flops=lambda: count_flops(engine, problems.condition(0)),
        command=" ".join(["python run.py", *map(shlex.quote, overrides)]), worker=Worker.here(),
    )


def sized(search: Search, budget: Budget, prices: Prices) -> tuple[Search, tuple[float, ...]]:
    """The search with a size from one place, and the caps in NFE.

    Raises:
        ValueError: a size beside a cap, or a cap that buys no image.
    """
    caps = budget.caps(prices.sampling)
    fixed = {name: getattr(search, name) for name in search.natural}
    if budget.natural:
        from dataclasses import replace

        missing = {name: size for name, size in search.natural.items() if fixed[name] is None}
        return replace(search, **missing), caps  # type: ignore[type-var]
    given = [name for name, size in fixed.items() if size is not None]
    if given:
        raise ValueError(f"search.{given[0]}={fixed[given[0]]} fixes a size beside the caps of "
                         f"budget.{'nfe' if budget.nfe is not None else 'samplings'}; a cap sizes the search itself: "
                         f"set search.{given[0]}=null, or run with budget=natural")
    least = search.minimum(prices.sampling)
    if caps[0] < least:
        raise ValueError(f"the cap of {caps[0]} NFE is below the {least} NFE that {type(search).__name__} needs for "
                         f"one image (one plain sampling costs {prices.sampling}); raise budget.nfe")
    if not search.anytime:
        for cap in caps:
            search.plan(int(cap), Image(Problem(0), 0, prices.grid, prices.cost, Ledger(cap), False))
    return search, caps


def instantiate(node: Any, packages: Sequence[str]) -> Any:
    """Make the object of a plain node whose every `_target_` is defined in `packages`."""
    import hydra.utils
    from hydra.errors import InstantiationException

    _check_targets(node, packages)
    try:
        return hydra.utils.instantiate(node, _convert_="all")
    except InstantiationException as error:
        raise ValueError(str(error.__cause__ or error)) from error


def _check_targets(node: Any, packages: Sequence[str]) -> None:
    if isinstance(node, list):
        for value in node:
            _check_targets(value, packages)
    if not isinstance(node, dict):
        return
    for key in FORBIDDEN:
        if key in node:
            raise ValueError(f"{key} in a configuration is not allowed; write a class or function that takes it by name")
    if "_target_" in node:
        _check_target(node["_target_"], packages)
    for value in node.values():
        _check_targets(value, packages)


def _check_target(target: Any, packages: Sequence[str]) -> None:
    """Only objects defined in the given packages, looked up by plain attribute access on a module."""
    rule = f"it must be defined in {' or '.join(packages)}; list your own package in plugins=[...]"
    if not isinstance(target, str) or target.count(".") < 1:
        raise ValueError(f"_target_ is {target!r}; {rule}")
    module_name, name = target.rsplit(".", 1)
    if module_name.split(".")[0] not in packages or name.startswith("_"):
        raise ValueError(f"_target_ is {target!r}; {rule}")
    try:
        found = getattr(import_module(module_name), name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"_target_ is {target!r}, and there is no such thing: {error}") from error
    if getattr(found, "__module__", "").split(".")[0] not in packages:
        raise ValueError(f"_target_ is {target!r}, which comes from {getattr(found, '__module__', None)}; {rule}")


def _check_numbers(plain: dict[str, Any]) -> None:
    for key in ("images", "shard", "batch"):
        value = plain[key]
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{key} is {value!r}; it is a whole number of at least 1")
    if not isinstance(plain["seed"], int) or not 0 <= plain["seed"] < 2**32:
        raise ValueError(f"seed is {plain['seed']!r}; it is a whole number in [0, 2**32)")


def _check_together(plain: dict[str, Any], images: Any, model: Any, search: Search, sampler: Any) -> None:
    shape = model.decoder.shape if model.decoder else model.shape
    if tuple(shape) != tuple(images.shape):
        raise ValueError(f"the model makes images of shape {tuple(shape)}, and dataset {plain['dataset']['name']} has "
                         f"{tuple(images.shape)}; choose a model of this dataset")
    if search.needs_noise and not sampler.stochastic:
        raise ValueError(f"{type(search).__name__} copies particles, and under a deterministic sampler the copies "
                         "never separate; set sampler.eta above 0")

