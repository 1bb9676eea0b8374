"""Nodes of a configuration as they are written: what must be an object names its class, and no key is unknown.

Nothing is resolved or imported. What a class takes is read from its source; where the source does not say all, as with
`**kwargs` or a base that is in no file, the class itself refuses when it is made.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from its.config.declarations import OPEN, definitions, is_declared, parameters
from its.config.instantiate import CHOICES, TARGET, may_name, refusal
from its.config.unknown import keys_of, meant, nearest

OBJECTS = ("model", "sampler", "guidance", "search", "verifier", "guide", "budget", "tracker")
"""Nodes that must name a class."""

OF_DATASET = ("name", "shape", "report_width", "images", "report")
"""Entries that a dataset must have; the last two name classes."""

LIKE_TARGET = re.compile(r"_*(target|class|cls)_*(:.*)?", re.IGNORECASE)
"""What is written for `_target_`, with the class where no space parts them."""

BESIDE = (TARGET, "smoke")
"""Entries of any node that are no parameters."""

Node = Mapping[str, Any]
Said = tuple[str, str]
"""A path, and what is wrong there."""


def check_nodes(
    plain: Node, packages: Sequence[str], roots: Sequence[str], words: Collection[str], line: Callable[[str], str]
) -> None:
    """Refuse keys that mean nothing, nodes that name no class, and parameters that a class does not take or lacks.

    Args:
        plain: the configuration without Hydra's node, unresolved.
        packages: whose classes a YAML may name.
        roots: keys at the root of `conf/config.yaml`.
        words: keys that a command line gives.
        line: returns where a path is written, to begin a sentence with.

    Raises:
        ValueError: naming file and line, what is wrong and what to write.
    """
    nodes = [*_below(plain, "")]
    of_class = [(path, node) for path, node in nodes if isinstance(node.get(TARGET), str) and "${" not in node[TARGET]]
    for path, sentence in chain(
        chain.from_iterable(_refused(path, node[TARGET], packages) for path, node in of_class),
        _roots(plain, roots),
        _classless(plain),
        chain.from_iterable(_misspelled(path, node) for path, node in nodes if path),
        _held_out(plain.get("report")),
        chain.from_iterable(_arguments(path, node, f"{path}.{TARGET}" in words) for path, node in of_class),
    ):
        raise ValueError(f"{'' if path in words else line(path)}{sentence}")


def _roots(plain: Node, roots: Sequence[str]) -> Iterator[Said]:
    """Yield keys at the root that `conf/config.yaml` has not."""
    if plain.get("experiment") is not None:
        yield "experiment", "write `# @package _global_` as an experiment's first line; without it, it changes nothing"
    usual = {key: value for key, value in plain.items() if key in roots}
    for key in plain.keys() - usual.keys():
        yield key, f"{key} is no key of a configuration{meant(key, keys_of(usual))}"


def _classless(plain: Node) -> Iterator[Said]:
    """Yield nodes that must name a class and do not, and what a dataset lacks."""
    nodes = {name: plain[name] for name in OBJECTS if name in plain}
    nodes |= {f"metric.{key}": value for key, value in _entries(plain.get("metric"))}
    dataset = dict(_entries(plain.get("dataset")))
    for key in OF_DATASET if dataset else ():
        if key not in dataset:
            near = nearest(key, dataset.keys() - set(OF_DATASET))
            remedy = f"write it for {near}" if near else "conf/dataset/digits.yaml shows what a dataset has"
            yield f"dataset.{near}" if near else "dataset", f"dataset has no {key}; {remedy}"
    nodes |= {f"dataset.{key}": dataset[key] for key in OF_DATASET[-2:] if key in dataset}
    for path, node in nodes.items():
        interpolated = isinstance(node, str) and node.startswith("${")
        if not interpolated and TARGET not in dict(_entries(node)):
            yield _without_class(path, node)


def _held_out(node: Any) -> Iterator[Said]:
    """Yield a held-out verifier with a name beside one without."""
    entries = dict(_entries(node))
    takes = parameters(str(entries[TARGET])) if TARGET in entries else entries
    for key, value in entries.items():
        if key not in (*takes, *BESIDE) and TARGET in dict(_entries(value)):
            words = f"+verifier@report.{key}=... +verifier@report.<name>=..., without verifier@report=..."
            yield f"report.{key}", f"report has a verifier without a name beside {key}; give each a name: {words}"


def _without_class(path: str, node: Any) -> Said:
    """Say how the class of a node is written, by what is written for it."""
    for key, value in _entries(node):
        if LIKE_TARGET.fullmatch(key):
            name, colon, behind = key.partition(":")
            instead = f"{name}:{behind}, without a space," if colon else f"{name}:"
            return f"{path}.{key}", f"{path} names no class; for {instead} write {TARGET}: {behind or value}"
    if isinstance(node, str):
        return path, f"{path} is {node!r}; an experiment makes a choice in its defaults, - override /{path}: {node}"
    return path, f"{path} names no class; write {TARGET}: and the class by its full name, my_methods.climb.Climb"


def _below(node: Any, path: str) -> Iterator[tuple[str, Node]]:
    """Yield every mapping at or below a node with its path, but for what smoke runs put in its place."""
    if isinstance(node, list):
        for number, value in enumerate(node):
            yield from _below(value, f"{path}.{number}")
    elif isinstance(node, Mapping):
        yield path, node
        for key, value in _entries(node):
            if key != "smoke":
                yield from _below(value, f"{path}.{key}".lstrip("."))


def _refused(path: str, target: str, packages: Sequence[str]) -> Iterator[Said]:
    """Yield a class that may not be named, or that there is not."""
    if not may_name(target, packages):
        yield f"{path}.{TARGET}", f"{refusal(path, target, packages)}{_defined_so(target, packages)}"
    elif not is_declared(target):
        near = _defined_so(target, packages)
        yield f"{path}.{TARGET}", f"{path}.{TARGET} is {target!r}, and no .py file defines it at its top{near}"


def _misspelled(path: str, node: Node) -> Iterator[Said]:
    """Yield a node with another word for `_target_`."""
    if TARGET not in node and any(LIKE_TARGET.fullmatch(key) and "target" in key.lower() for key, _ in _entries(node)):
        yield _without_class(path, node)


def _arguments(path: str, node: Node, replaced: bool) -> Iterator[Said]:
    """Yield what a class does not take, and what it needs and is not given.

    Args:
        replaced: whether the class alone is another one than the YAML's.
    """
    target = node[TARGET]
    declared = parameters(target)
    whole = f"; the rest is its YAML's: give the node whole, {path}={{{TARGET}: {target}, ...}}" if replaced else ""
    for key, _ in _entries(node):
        if OPEN not in declared and key not in declared and key not in BESIDE and not key.endswith("_"):
            near = meant(key, declared) or f"; it takes {', '.join(declared) or 'nothing'}"
            yield f"{path}.{key}", f"{path}.{key} is no parameter of {target}{near}{whole}"
    for name, parameter in declared.items():
        if parameter.required and name not in node:
            yield f"{path}.{TARGET}", f"{path} has no {name}, which {target} needs; write {name}: below {TARGET}"


def _defined_so(target: str, packages: Sequence[str]) -> str:
    """Return the question for a class of one's own that is called so in another module, or nearly so."""
    theirs = [name for package in packages if package not in CHOICES for name in definitions(package)]
    alike = [name for name in theirs if name.rpartition(".")[2] == target.rpartition(".")[2]]
    return f"; did you mean {alike[0]}?" if alike else meant(target, theirs)


def _entries(node: Any) -> list[tuple[str, Any]]:
    return [(str(key), value) for key, value in node.items()] if isinstance(node, Mapping) else []
