"""Roles of verifiers in a configuration: which select and guide, which are held out, and what they may not share."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from its.config.checks import stated_probe
from its.config.identity import measured_by, same_weights
from its.config.instantiate import TARGET, defined
from its.verifier.verifier import is_absolute, is_oracle

Node = Mapping[str, Any]

CHOICE = "verifier@report"
"""The group whose choices are held out."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(?<!_se)")
"""Names of held-out verifiers, which name columns; `_se` ends the name of a standard error's."""

WISHES = {"str": ("prompt", "prompts"), "int": ("class", "classes")}
"""Types of conditions in words, one and several."""

WORD = re.compile(r"\w+")

ORACLE = "oracle"


def is_remote(node: Any, packages: Sequence[str]) -> bool:
    """Return whether a class at or below a verifier's node says that it asks somebody over the network."""
    if not isinstance(node, Mapping):
        return False
    here = isinstance(node.get(TARGET), str) and getattr(defined(node[TARGET], packages), "remote", False) is True
    return here or any(is_remote(value, packages) for value in node.values())


def called(choice: str, node: Node, packages: Sequence[str]) -> str:
    """Return what a verifier is called: its choice, which says so if it is an oracle, or has one among its members."""
    oracle = ORACLE not in choice and any(is_oracle(defined(each[TARGET], packages)) for each in _verifiers(node))
    return f"{choice}-{ORACLE}" if oracle else choice


def held_out(node: Any, choices: Mapping[str, str], packages: Sequence[str]) -> dict[str, Node]:
    """Return the held-out verifiers by name: one by the name of its choice, or several by their keys.

    Args:
        node: at `report` of a configuration.

    Raises:
        ValueError: one has no class, another kind of name, or scores no finished images by themselves.
    """
    if not node:
        return {}
    nodes = {choices.get(CHOICE, "held_out"): node} if isinstance(node, Mapping) and TARGET in node else node
    if not isinstance(nodes, Mapping):
        raise ValueError(f"report is {node!r}; it names held-out verifiers: {CHOICE}=deit_s, or +{CHOICE}.a=deit_s")
    verifiers = {}
    for name, each in nodes.items():
        if not isinstance(each, Mapping) or TARGET not in each:
            raise ValueError(
                f"report.{name} is {each!r}, and no verifier; several are named as +{CHOICE}.{name}=deit_s, without "
                f"{CHOICE}= beside them"
            )
        if not NAME.fullmatch(str(name)):
            raise ValueError(f"{CHOICE} has the name {name!r}, which is to name a column; use letters, digits and _ -")
        _check_held_out(str(name), defined(each[TARGET], packages), stated_probe(each, packages))
        verifiers[called(str(name), each, packages)] = each
    return verifiers


def _check_held_out(name: str, kind: Any, probe: float | None) -> None:
    """Refuse a verifier, known by its class and its probe, that does not score finished images one by one."""
    what = ""
    if getattr(kind, "noise_aware", False):
        what = "scores noisy rows"
    elif not is_absolute(kind):
        what = "only ranks the candidates of a search; hold out its members"
    elif probe is not None:
        what = "compares an image with a guess on the way to it, which is not kept"
    if what:
        raise ValueError(f"{CHOICE} {name} ({kind.__name__}) {what}; it is to score finished images by themselves")


def check_conditions(plain: Node, packages: Sequence[str], *, guided: bool) -> None:
    """Refuse a verifier that scores images by prompts on a dataset of classes, and the other way round.

    A dataset says what it asks for by the annotation of its `condition`; one without is seen when it is asked.

    Args:
        plain: its `report` is the held-out verifiers by name.

    Raises:
        ValueError: naming the verifier and the dataset.
    """
    condition = getattr(defined(plain["dataset"]["images"][TARGET], packages), "condition", None)
    kinds = WISHES.keys() & WORD.findall(str(getattr(condition, "__annotations__", {}).get("return")))
    roles = {"verifier": plain["verifier"], **({"verifier@guide": plain["guide"]} if guided else {})}
    roles |= {f"{CHOICE} {name}": node for name, node in plain["report"].items()}
    for role, node in roles.items():
        for each in _verifiers(node):
            reads = getattr(getattr(defined(each[TARGET], packages), "reads", None), "__name__", "")
            if kinds and reads in WISHES and reads not in kinds:
                one, several = WISHES[reads]
                raise ValueError(
                    f"{role} ({each[TARGET].rpartition('.')[2]}) scores an image by its {one}, and dataset "
                    f"{plain['dataset']['name']} asks for {WISHES[kinds.pop()][1]}; choose another verifier, or a "
                    f"dataset of {several}"
                )


def check_scorers(plain: Node, packages: Sequence[str]) -> None:
    """Refuse one network as the verifier that selects and as the one that reports, unless it is said to be meant.

    An oracle is meant so.

    Raises:
        ValueError: naming the weights that both use.
    """
    if plain["allow_same_scorer"] is True:
        return
    for each in _verifiers(plain["verifier"]):
        shared = same_weights(each, plain["dataset"]["report"])
        if shared and not is_oracle(defined(each[TARGET], packages)):
            raise ValueError(
                f"the verifier selects by {shared[0]}, and the same network reports: what it says of its own "
                "choice is no measure; choose another verifier or dataset.report, or set "
                "allow_same_scorer=true"
            )


def check_apart(plain: Node, *, guided: bool) -> None:
    """Refuse a held-out verifier that is the one that selects or guides, unless it is said to be meant.

    Args:
        plain: its `report` is the held-out verifiers by name.

    Raises:
        ValueError: naming both roles, and the network or class that they share.
    """
    if plain["allow_same_scorer"] is True:
        return
    roles = {"selects": plain["verifier"], **({"guides": plain["guide"]} if guided else {})}
    for name, node in plain["report"].items():
        for act, other in roles.items():
            if shared := _shared(node, other):
                raise ValueError(
                    f"{CHOICE} {name} is held out, and the verifier that {act} is the same ({shared}): what it says of "
                    "its own choice is no measure; hold out another, or set allow_same_scorer=true"
                )


def own_scores(plain: Node) -> list[str]:
    """Return the held-out verifiers that are the selecting one, or a member of it: by content, whatever their names.

    There are some only where `allow_same_scorer` says so.

    Args:
        plain: its `report` is the held-out verifiers by name.
    """
    selecting = [measured_by(each) for each in _verifiers(plain["verifier"])]
    return [name for name, node in plain["report"].items() if measured_by(node) in selecting]


def _shared(node: Node, other: Node) -> str:
    """Return what two verifiers have in common: weights, or a whole node, which may be without weights or absent."""
    alike = [first[TARGET] for first in _verifiers(node) for second in _verifiers(other) if first == second]
    return ", ".join((same_weights(node, other) or alike)[:1])


def _verifiers(node: Node) -> Iterator[Node]:
    """Yield a verifier's node, or those of its members."""
    members = node.get("members")
    if not isinstance(members, Mapping):
        yield node
        return
    for member in members.values():
        if isinstance(member, Mapping):
            yield from _verifiers(member)
