"""Fetch, on a machine with a network, what an experiment needs; or say exactly what is missing without one.

    python scripts/prefetch.py experiment=digits_demo search=random,zero_order     the words of run.py, sweeps too
    python scripts/prefetch.py --check experiment=...      fetch nothing; exit code 1 if a job without a network would
                                                           miss something, and what that is

Weights are found as a run finds them (in the package, as a path, on the hub); data sets, reference statistics and the
measuring network are made as a run makes them. Caches are where HF_HOME and TORCH_HOME say; HF_ENDPOINT names a mirror.
"""

from __future__ import annotations

import itertools
import json
import os
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, cast

from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
CONF = ROOT / "conf"

Need = tuple[str, Callable[[], object]]
"""What is needed, and a call that gets it or says what is missing."""

CACHES = {"HF_HOME": "~/.cache/huggingface", "HF_ENDPOINT": "https://huggingface.co", "TORCH_HOME": "~/.cache/torch"}


def jobs(overrides: Sequence[str]) -> list[dict[str, Any]]:
    """The configuration of every job that these words of run.py stand for, on the CPU."""
    hydra = [word for word in overrides if word.startswith("hydra.searchpath=")]
    own = [word for word in overrides if not word.startswith(("hydra.", "hydra/", "-"))]
    parsed = OverridesParser.create().parse_overrides(own)
    first = [f"{o.get_key_element()}={next(iter(o.sweep_string_iterator()))}" if o.is_sweep_override()
             else str(o.input_line) for o in parsed]
    with initialize_config_dir(str(CONF), version_base=None):
        sweeper = compose("config", [*hydra, *first], return_hydra_config=True).hydra.sweeper
        axes = [f"{key}={value}" for key, value in (sweeper.get("params") or {}).items()]
        every = BasicSweeper.split_arguments(OverridesParser.create().parse_overrides([*axes, *own]), None)[0]
        composed = [compose("config", [*hydra, *words, "device=cpu"]) for words in every]
    return [cast(dict[str, Any], OmegaConf.to_container(config, resolve=True)) for config in composed]


def needs(configs: Sequence[dict[str, Any]]) -> Iterator[Need]:
    """Every different thing that some of the jobs need."""
    from its.instantiate import CHOICES
    from its.weights import fingerprint

    for weights in sorted(set(itertools.chain.from_iterable(_weights(config) for config in configs))):
        yield f"weights {weights}", partial(fingerprint, weights)
    datasets = {json.dumps(config["dataset"], sort_keys=True): config for config in configs}
    for config in datasets.values():
        packages = (*CHOICES, *config["plugins"])
        dataset = config["dataset"]
        for part in ("images", "reference", "report"):
            node = dataset.get(part)
            if isinstance(node, dict) and "_target_" in node:
                yield f"dataset {dataset['name']}, its {part}", partial(_made, node, packages)
        if isinstance(dataset.get("statistics"), str):
            yield f"dataset {dataset['name']}, its statistics", partial(_there, dataset["statistics"])


def _weights(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("weights"), str):
            yield node["weights"]
        for value in node.values():
            yield from _weights(value)
    elif isinstance(node, list):
        for value in node:
            yield from _weights(value)


def _made(node: dict[str, Any], packages: Sequence[str]) -> object:
    """A part of a data set; its images are read once, which is when they are downloaded."""
    from its.instantiate import instantiate

    part = instantiate(node, packages)
    return part.reference() if hasattr(part, "reference") else part


def _there(path: str) -> Path:
    if not Path(path).expanduser().exists():
        raise FileNotFoundError(f"there is no file {Path(path).expanduser().absolute()}")
    return Path(path)


def cut_off() -> None:
    """From now on this process has no network, as a compute node's has none."""
    from its.cluster.submit import OFFLINE

    def refuse(*args: object, **kwargs: object) -> NoReturn:
        raise OSError("there is no network on a compute node")

    os.environ.update(dict(entry.split("=", 1) for entry in OFFLINE))
    for owner, name in ((socket.socket, "connect"), (socket.socket, "connect_ex"), (socket, "getaddrinfo")):
        setattr(owner, name, refuse)


def main(words: Sequence[str]) -> int:
    if {"-h", "--help"} & set(words):
        print(__doc__)
        return 0
    check = "--check" in words
    if check:
        cut_off()
    for name, usual in CACHES.items():
        print(f"{name} is {os.environ.get(name) or f'not set: {usual}'}")
    try:
        configs = jobs([word for word in words if word != "--check"])
    except (HydraException, OmegaConfBaseException) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    missing = 0
    for name, get in needs(configs):
        try:
            get()
            print(f"  there    {name}")
        except Exception as error:
            missing += 1
            print(f"  missing  {name}: {' '.join(str(error).split())}")
    print(f"{len(configs)} jobs, {missing} things missing" + ("" if missing else ": they can run without a network"))
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
