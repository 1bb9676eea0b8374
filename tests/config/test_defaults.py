"""A default stands in a YAML and at its class, and is the same in both."""

import inspect
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.build import CONF

PLAIN = [
    path
    for path in sorted(CONF.glob("*/*.yaml"))
    if "_target_" in (node := yaml.safe_load(path.read_text()) or {})
    and path.stem == node["_target_"].rsplit(".", 2)[-2]
]
"""The YAMLs that carry their module's own name; the others are settings of it that differ on purpose."""


def defaults(target: str) -> dict[str, Any]:
    """The defaults that the signature of a target states, lists for tuples."""
    module, _, name = target.rpartition(".")
    parameters = inspect.signature(getattr(import_module(module), name)).parameters.values()
    values = {each.name: each.default for each in parameters if each.default is not inspect.Parameter.empty}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


PUBLISHED = ("dtype", "text_dtype", "weights_key")
"""Types and variant of a pipeline, which a preset has as its weights were published, and a loader in float32."""


@pytest.mark.parametrize("path", PLAIN, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_conf_defaults_equal_the_class_defaults(path: Path):
    node = yaml.safe_load(path.read_text())
    there = defaults(node.pop("_target_"))
    differing = {
        name: (value, there[name])
        for name, value in node.items()
        if name in there and value != there[name] and not str(value).startswith("${")
        if not ("text_dtype" in there and name in PUBLISHED)
    }
    assert not differing
