"""Fetch, on a machine with a network, what an experiment needs; or say exactly what is missing without one.

    python scripts/prefetch.py experiment=digits_demo search=random,zero_order     the words of run.py, sweeps too
    python scripts/prefetch.py --check experiment=...      fetch nothing; exit code 1 if a job without a network would
                                                           miss something, and what that is

Weights are found as a run finds them (in the package, as a path, on the hub); data sets, reference statistics and the
measuring network are downloaded where their classes know from where, and made as a run makes them. Of a pipeline come
the parts that its model_index.json names, tokenizers included, in one variant (`model.weights_key`). A gated repository
needs its terms agreed to, and HF_TOKEN. Caches are where HF_HOME and TORCH_HOME say; HF_ENDPOINT names a mirror.
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

from its.config.blueprint import Blueprint
from its.config.composed import composed_sweep
from its.config.declarations import VARIANT, marked
from its.config.identity import weights_of
from its.config.instantiate import defined, instantiate
from its.process.command import command
from its.weights import locate

Need = tuple[str, Callable[[], object]]
"""What is needed, and a call that gets it or says what is missing."""

CACHES = {"HF_HOME": "~/.cache/huggingface", "HF_ENDPOINT": "https://huggingface.co", "TORCH_HOME": "~/.cache/torch"}


def jobs(overrides: Sequence[str]) -> list[Blueprint]:
    """Every job that these words of run.py stand for, on the CPU.

    Raises:
        ValueError: one of them breaks a rule.
    """
    return [Blueprint.of(*job, planning=True) for job in composed_sweep(overrides, "device=cpu")]


def needs(plans: Sequence[Blueprint], *, fetch: bool) -> Iterator[Need]:
    """Every different thing that some of the jobs need."""
    configs = [plan.with_twins() for plan in plans]
    listed = {name for config in configs for name in weights_of(config["dataset"].get("images"))}  # below
    named = {each for config in configs for each in _named(config) if each[0] not in listed}
    for weights, variant in sorted(named, key=str):
        yield f"weights {weights}" + (f" ({variant})" if variant else ""), partial(locate, weights, variant)
    datasets = {json.dumps(config["dataset"], sort_keys=True): k for k, config in enumerate(configs)}
    for k in datasets.values():
        dataset, packages = configs[k]["dataset"], plans[k].packages
        for part in ("images", "reference", "report"):
            node = dataset.get(part)
            if isinstance(node, dict) and "_target_" in node:
                yield f"dataset {dataset['name']}, its {part}", partial(_made, node, packages, fetch=fetch)
        for key in ("statistics", "second_statistics"):
            if dataset.get(key) is not None:
                yield f"dataset {dataset['name']}, its {key}", partial(_statistics, dataset[key])


def _named(node: Any) -> Iterator[tuple[str, str | None]]:
    """Yield the weights below a node, each with the variant that stands beside it, if one does."""
    nested = [*node.values()] if isinstance(node, dict) else node if isinstance(node, list) else []
    for each in nested:
        yield from _named(each)
    if isinstance(node, dict):
        flat = {key: value for key, value in node.items() if not isinstance(value, dict | list)}
        variant = next(marked(flat, VARIANT), None)
        yield from ((name, variant) for name in weights_of(flat))


def _made(node: dict[str, Any], packages: Sequence[str], *, fetch: bool) -> object:
    """Make a part of a data set, after `fetch` of its class, called with the same arguments, if there is one."""
    if fetch:
        _fetch(node, packages)
    return instantiate(node, packages)


def _fetch(node: dict[str, Any], packages: Sequence[str]) -> None:
    """Call `fetch` of a node's class with the same arguments, and of the two networks that measure side by side."""
    definition = defined(node["_target_"], packages)
    if hasattr(definition, "fetch"):
        definition.fetch(**{key: value for key, value in node.items() if key != "_target_"})
    for value in node.values():
        if isinstance(value, dict) and "_target_" in value:
            _fetch(value, packages)


def _statistics(path: str) -> object:
    from its.metric.statistics_file import read_statistics

    return read_statistics(Path(path).expanduser())


def cut_off() -> None:
    """Cut this process off from the network, as a compute node is."""
    from its.cluster.submit import OFFLINE

    def refuse(*args: object, **kwargs: object) -> NoReturn:
        raise OSError("there is no network on a compute node")

    os.environ.update(dict(entry.split("=", 1) for entry in OFFLINE))
    for owner, name in ((socket.socket, "connect"), (socket.socket, "connect_ex"), (socket, "getaddrinfo")):
        setattr(owner, name, refuse)


@command
def main() -> None:
    # Read the command line.
    words = sys.argv[1:]
    if {"-h", "--help"} & set(words):
        print(__doc__)
        return
    check = "--check" in words
    if check:
        cut_off()
    for name, usual in CACHES.items():
        print(f"{name} is {os.environ.get(name) or f'not set: {usual}'}")

    # Get, or look for, what each job needs.
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
