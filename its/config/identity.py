"""What decides a run's images, as a hash; and where its folder is."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from pathlib import Path
from typing import Any

from its.pixels import RULE
from its.weights import fingerprint

DECISIVE = ("dataset", "model", "sampler", "search", "verifier", "budget", "seed")
"""Entries of a configuration that decide the images; of the dataset, all but what only measures."""

GUIDED = ("guidance", "guide")
"""Those that do so only where there is a guidance."""

MEASURING = ("report", "report_width", "reference", "statistics")
"""Entries of a dataset that measure images and decide none."""

UNUSED_BY_SETS = ("verifier", "budget")
"""Of a search over sets of images, which what measures decides, and no verifier or cap."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,79}")


ABSENT = "absent"
"""In place of a fingerprint, in a plan made where the weights are not."""


def identity(config: dict[str, Any], *, planning: bool = False) -> dict[str, Any]:
    """The part of a plain configuration that decides the images, with the weights' fingerprints.

    Args:
        planning: weights may be absent.
    """
    guided = config["guidance"]["_target_"] != "its.guidance.none.NoGuidance"
    of_sets = config["search"]["_target_"] == "its.search.schedule.Schedule"
    keys = [key for key in DECISIVE if not (of_sets and key in UNUSED_BY_SETS)]
    decisive = without_place({key: config[key] for key in (*keys, *(GUIDED if guided else ()))})
    for key in () if of_sets else MEASURING:
        decisive["dataset"].pop(key, None)
    return {**decisive, "uint8": RULE, "weights": fingerprints(decisive, planning=planning)}


def hash8(decisive: dict[str, Any]) -> str:
    """Eight hex digits of the identity."""
    return sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:8]


def folder_of(out_dir: str, name: str, label: dict[str, str], seed: int, decisive: dict[str, Any]) -> Path:
    """`<out_dir>/<name>/<dataset>/<model>-<sampler>/<search>[+<guidance>]/<verifier>/<budget>/seed=<n>-<hash8>`."""
    parts = (
        name,
        label["dataset"],
        f"{label['model']}-{label['sampler']}",
        label["search"],
        label["verifier"],
        label["budget"],
    )
    for part in parts:
        if not _NAME.fullmatch(part):
            raise ValueError(f"{part!r} cannot name a folder of a run; use letters, digits and . _ + -, at most 80")
    return Path(out_dir).expanduser().absolute().joinpath(*parts, f"seed={seed}-{hash8(decisive)}")


def without_place(node: Any) -> Any:
    """A node without its `device` entries: where an image is made does not decide it."""
    if isinstance(node, dict):
        return {key: without_place(value) for key, value in node.items() if key != "device"}
    return [without_place(value) for value in node] if isinstance(node, list) else node


def fingerprints(node: Any, *, planning: bool = False) -> dict[str, str]:
    """Of every `weights` entry below a node, by name."""
    found = {}
    for name in sorted(weights_of(node)):
        try:
            found[name] = fingerprint(name)
        except FileNotFoundError:
            if not planning:
                raise
            found[name] = ABSENT
    return found


def same_weights(first: Any, second: Any) -> list[str]:
    """Weights below the first node that are also below the second, under whatever name; absent ones are nobody's."""
    of_second = set(fingerprints(second, planning=True).values()) - {ABSENT} if weights_of(first) else set()
    return [name for name, mark in fingerprints(first, planning=True).items() if mark in of_second]


def weights_of(node: Any) -> set[str]:
    """Every `weights` entry below a node."""
    if isinstance(node, dict):
        own = {node["weights"]} if isinstance(node.get("weights"), str) else set()
        return own.union(*(weights_of(value) for value in node.values()))
    if isinstance(node, list):
        return set().union(*(weights_of(value) for value in node))
    return set()
