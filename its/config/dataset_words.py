"""Words of a dataset's node that stand for something else, put in its place before anything is made of the node.

Names of classes become class ids, so that a class has one folder whatever it was called by. A second network that
measures (`second_report`) is put beside the first, so that whatever reads `report` has both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from its.config.names import recorded
from its.dataset.class_names import ClassNames

BESIDE = "its.metric.beside.Beside"

RULES = ("balanced", "uniform")
"""Words for all classes."""


def settled_dataset(dataset: Mapping[str, Any]) -> dict[str, Any]:
    """Return a dataset's node, resolved, with its words replaced.

    Raises:
        ValueError: a name is no class's, or several classes'.
    """
    settled = {**dataset, "images": _with_ids(dataset.get("images"), dataset)}
    second, width = (settled.pop(key, None) for key in ("second_report", "second_width"))
    if second is None:
        return settled
    report = {"_target_": BESIDE, "first": dataset.get("report"), "second": second}
    return {**settled, "report": report, "report_width": dataset["report_width"] + width}


def _with_ids(node: Any, dataset: Mapping[str, Any]) -> Any:
    if not isinstance(node, dict):
        return node
    node = {key: _with_ids(value, dataset) for key, value in node.items()}
    if recorded(str(node.get("_target_"))) == "dataset/class_order":
        node["classes"] = _ids(node.get("classes"), dataset)
    return node


def _ids(classes: Any, dataset: Mapping[str, Any]) -> Any:
    """Return what `ClassOrder` takes for what a user wrote."""
    if isinstance(classes, list):
        return [_id(word, dataset) for word in classes]
    return classes if classes in RULES else _id(classes, dataset)


def _id(word: Any, dataset: Mapping[str, Any]) -> Any:
    name, names = dataset.get("name"), dataset.get("class_names")
    if not isinstance(word, str):
        count = None if names is None else len(ClassNames.of(names).words)
        if count is not None and isinstance(word, int) and not 0 <= word < count:
            raise ValueError(
                f"dataset.classes of dataset {name} asks for class {word}, and it has {count}, counted from 0; choose "
                "among them"
            )
        return word
    if names is None:
        raise ValueError(
            f"dataset.classes asks for {word!r}, and dataset {name} has no names of classes; it is balanced, uniform, "
            "one class id such as 3, or a list such as [3,5]"
        )
    try:
        return ClassNames.of(names).id_of(word)
    except ValueError as error:
        raise ValueError(f"dataset.classes of dataset {name}: {error}") from error
