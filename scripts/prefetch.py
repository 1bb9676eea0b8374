"""Fetch, on a machine with a network, what an experiment needs; or say exactly what is missing without one.

    python scripts/prefetch.py experiment=digits_demo search=random,zero_order     the words of run.py, sweeps too
    python scripts/prefetch.py --check experiment=...      fetch nothing; exit code 1 if a job without a network would
                                                           miss something, and what that is

Weights are found as a run finds them (in the package, as a path, on the hub); data sets, reference statistics and the
measuring network are downloaded where their classes know from where, and made as a run makes them. Caches are where
HF_HOME and TORCH_HOME say; HF_ENDPOINT names a mirror.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser

from its.config.identity import weights_of
from its.config.instantiate import defined, instantiate
from its.process.command import command
from its.run.build import Blueprint
from its.weights import locate

CONF = Path(__file__).parents[1] / "conf"

Need = tuple[str, Callable[[], object]]
"""What is needed, and a call that gets it or says what is missing."""

CACHES = {"HF_HOME": "~/.cache/huggingface", "HF_ENDPOINT": "https://huggingface.co", "TORCH_HOME": "~/.cache/torch"}


def jobs(overrides: Sequence[str]) -> list[Blueprint]:
    """Every job that these words of run.py stand for, on the CPU.

    Raises:
        ValueError: one of them breaks a rule.
    """
    hydra = [word for word in overrides if word.startswith("hydra.searchpath=")]
    own = [word for word in overrides if not word.startswith(("hydra.", "hydra/", "-"))]
    parsed = OverridesParser.create().parse_overrides(own)
    first = [
        f"{o.get_key_element()}={next(iter(o.sweep_string_iterator()))}" if o.is_sweep_override() else str(o.input_line)
        for o in parsed
    ]
    with initialize_config_dir(str(CONF), version_base=None):
        sweeper = compose("config", [*hydra, *first], return_hydra_config=True).hydra.sweeper
        axes = [f"{key}={value}" for key, value in (sweeper.get("params") or {}).items()]
        every = BasicSweeper.split_arguments(OverridesParser.create().parse_overrides([*axes, *own]), None)[0]
        composed = [compose("config", [*hydra, *words, "device=cpu"], return_hydra_config=True) for words in every]
    return [Blueprint.composed(config, planning=True) for config in composed]


def needs(plans: Sequence[Blueprint], *, fetch: bool) -> Iterator[Need]:
    """Every different thing that some of the jobs need."""
    for weights in sorted(set().union(*(weights_of(plan.plain) for plan in plans))):
        yield f"weights {weights}", partial(locate, weights)
    datasets = {json.dumps(plan.plain["dataset"], sort_keys=True): plan for plan in plans}
    for plan in datasets.values():
        dataset = plan.plain["dataset"]
        for part in ("images", "reference", "report"):
            node = dataset.get(part)
            if isinstance(node, dict) and "_target_" in node:
                yield f"dataset {dataset['name']}, its {part}", partial(_made, node, plan.packages, fetch=fetch)
        if dataset.get("statistics") is not None:
            yield f"dataset {dataset['name']}, its statistics", partial(_statistics, dataset["statistics"])


def _made(node: dict[str, Any], packages: Sequence[str], *, fetch: bool) -> object:
    """A part of a data set; what can be downloaded says how by `fetch`, called as its class is."""
    made = defined(node["_target_"], packages)
    if fetch and hasattr(made, "fetch"):
        made.fetch(**{key: value for key, value in node.items() if key != "_target_"})
    return instantiate(node, packages)


def _statistics(path: str) -> object:
    from its.metric.statistics_file import read_statistics

    return read_statistics(Path(path).expanduser())


def cut_off() -> None:
    """From now on this process has no network, as a compute node's has none."""
    from its.cluster.submit import OFFLINE

    def refuse(*args: object, **kwargs: object) -> NoReturn:
        raise OSError("there is no network on a compute node")

    os.environ.update(dict(entry.split("=", 1) for entry in OFFLINE))
    for owner, name in ((socket.socket, "connect"), (socket.socket, "connect_ex"), (socket, "getaddrinfo")):
        setattr(owner, name, refuse)


@command
def main() -> None:
    words = sys.argv[1:]
    if {"-h", "--help"} & set(words):
        print(__doc__)
        return
    check = "--check" in words
    if check:
        cut_off()
    for name, usual in CACHES.items():
        print(f"{name} is {os.environ.get(name) or f'not set: {usual}'}")
    plans = jobs([word for word in words if word != "--check"])
    missing = 0
    for name, get in needs(plans, fetch=not check):
        try:
            get()
            print(f"  there    {name}")
        except Exception as error:
            missing += 1
            print(f"  missing  {name}: {' '.join(str(error).split())}")
    print(f"{len(plans)} jobs, {missing} things missing" + ("" if missing else ": they can run without a network"))
    sys.exit(1 if missing else 0)


if __name__ == "__main__":
    main()
