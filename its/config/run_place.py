"""The run's folder as an argument of those parts of a run that keep something in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from its.config.declarations import RUN_PLACE, parameters
from its.config.instantiate import TARGET


def placed(node: Any, folder: Path) -> Any:
    """Return a plain node with the run's folder for every parameter below it that is marked so and not given."""
    if isinstance(node, list):
        return [placed(value, folder) for value in node]
    if not isinstance(node, dict):
        return node
    declared = parameters(node[TARGET]) if isinstance(node.get(TARGET), str) else {}
    places = {key: str(folder) for key, each in declared.items() if RUN_PLACE in each.marks and node.get(key) is None}
    return {key: placed(value, folder) for key, value in node.items()} | places
