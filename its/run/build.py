"""Building of a run from its blueprint: networks are loaded here, and a smoke run's twins are made."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from omegaconf import DictConfig, OmegaConf

from its.config.blueprint import Blueprint
from its.config.checks import check_passed, check_rewards
from its.config.instantiate import instantiate, packages_of
from its.config.kinds import GridSearch, ImageRun
from its.config.oracle_run import OracleRun, meaning, pool_of
from its.config.scorers import is_remote, own_scores
from its.config.shelf import Shelf
from its.config.sizes import sized
from its.process.workers import Worker
from its.tracker.tracker import Tracker

log = logging.getLogger(__name__)


class Run(Protocol):
    """A run of either kind."""

    folder: Path

    def claim(self) -> None:
        """Make the folder's `config.yaml`, or see that the folder is this run's."""
        ...

    def run(self, *, retry: bool = True) -> Any:
        """Make what is missing, and with `retry` what failed in an earlier command; measure."""
        ...


def build(blueprint: Blueprint, shelf: Shelf | None = None) -> Any:
    """Load what a blueprint names, and put its run together: an `Experiment` or a `ScheduleRun`.

    Args:
        shelf: of networks that earlier runs have loaded, of which this run leaves those there that it names itself.

    Raises:
        ValueError: a value breaks a rule; the message says which and what to do.
    """
    _ = blueprint.sources  # taken before any of it is loaded
    plain, shelf = blueprint.with_twins(), Shelf() if shelf is None else shelf
    shelf.keep(blueprint.loads(plain))
    return BUILDERS[type(blueprint.kind)](blueprint, plain, shelf)


def _image_run(blueprint: Blueprint, plain: dict[str, Any], shelf: Shelf) -> Run:
    from its.run.experiment import Experiment

    return _experiment(blueprint, plain, shelf, Experiment)


def _oracle_run(blueprint: Blueprint, plain: dict[str, Any], shelf: Shelf) -> Run:
    from its.run.oracle_experiment import OracleExperiment

    oracle = meaning(blueprint, pool_of(blueprint))
    return _experiment(blueprint, plain, shelf, partial(OracleExperiment, oracle=oracle))


def _experiment(blueprint: Blueprint, plain: dict[str, Any], shelf: Shelf, kind: Callable[..., Run]) -> Run:
    from its.engine import SIZES, Engine
    from its.engine.flops import count_flops
    from its.run.instruments import Instruments, check_shapes

    # Load the networks and what measures.
    packages = blueprint.packages
    instruments = Instruments.of(plain, packages, shelf)
    data = instruments.data
    model, verifier = (instantiate(node, packages, shelf) for node in (plain["model"], blueprint.asked(plain)))
    check_rewards(blueprint.search, verifier, blueprint.label["verifier"])
    check_shapes(plain["dataset"]["name"], data, model)
    verifiers = {"select": verifier}
    if blueprint.guided:
        verifiers["guide"] = instantiate(plain["guide"], packages, shelf)

    # Size the search by the model's own prices.
    engine = Engine(
        model,
        blueprint.sampler,
        verifiers,
        seed=plain["seed"],
        guidance=blueprint.guidance,
        keep_candidates=blueprint.keep_candidates,
        **{key: plain[key] for key in SIZES},
    )
    engine.check_guided()
    check_passed(blueprint.search, engine.probe, engine.prices, blueprint.label["verifier"])
    search, caps = sized(blueprint.search, blueprint.budget, engine.prices)
    if remark := engine.sampler.remark(model.path):
        log.info("%s", remark)
    remarks = {"own_scores": own_scores(plain), "published": plain["published"]}
    return kind(
        folder=blueprint.folder,
        config=blueprint.config,
        label={**blueprint.label, "name": plain["name"], "seed": str(plain["seed"])},
        images=plain["images"],
        shard=plain["shard"],
        caps=caps,
        engine=engine,
        search=search,
        instruments=instruments,
        flops=lambda: count_flops(engine, data.condition(0), search.takes_gradients),
        command=blueprint.command,
        sources=blueprint.sources,
        currency=blueprint.budget.currency,
        allow_edited=plain["allow_edited"],
        metrics_config_hash=blueprint.metrics_config_hash,
        worker=Worker.here(),
        share=Worker.of_share(plain["share"]),
        storage=blueprint.storage,
        verify=plain["verify"],
        remote=any(is_remote(plain[key], packages) for key in ("verifier", "report")),
        remarks={key: value for key, value in remarks.items() if value},
    )


def _grid_search(blueprint: Blueprint, plain: dict[str, Any], shelf: Shelf) -> Run:
    from its.run.schedule_search import ScheduleRun

    return ScheduleRun.of(blueprint, plain, shelf)


BUILDERS: dict[type, Callable[[Blueprint, dict[str, Any], Shelf], Run]] = {
    ImageRun: _image_run,
    OracleRun: _oracle_run,
    GridSearch: _grid_search,
}


def tracker_of(config: DictConfig) -> Tracker:
    """Make the tracker that a configuration names."""
    return instantiate(OmegaConf.to_container(config.tracker, resolve=True), packages_of(config.plugins))
