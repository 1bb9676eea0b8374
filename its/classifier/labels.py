"""Labels of a checkpoint, matched with the dataset's classes by name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from its.dataset.class_names import IMAGENET, ClassNames

ASSUMED = Literal["imagenet"]
"""Lists whose order a user may say a checkpoint without names has."""

NAMELESS = re.compile(r"LABEL_\d+")
"""Labels that transformers writes where nobody gave any."""

REMEDY = (
    "choose a classifier of this dataset, or give the checkpoint's order in the dataset's words: "
    "verifier.network.labels=[...]"
)


def class_order(
    labels: Mapping[int, str] | Sequence[str],
    outputs: int,
    classes: str | Sequence[str],
    weights: str,
    assume_order: ASSUMED | None = None,
) -> list[int]:
    """Return the checkpoint's index of each class of the dataset.

    Args:
        labels: the checkpoint's class names by index; empty, or `LABEL_0` and so on, where it carries none.
        outputs: number of classes that it tells apart.
        classes: the dataset's class names, in its order, or the word for a known list.
        weights: name of the checkpoint, for messages.
        assume_order: the list whose order the logits of a checkpoint without names have.

    Raises:
        ValueError: the classes are not the same, or nothing says which is which.
    """
    names = dict(labels) if isinstance(labels, Mapping) else dict(enumerate(labels))
    if all(NAMELESS.fullmatch(str(name)) for name in names.values()):
        return _assumed(outputs, classes, weights, assume_order)
    if assume_order is not None:
        raise ValueError(
            f"{weights} carries class names, which say its order; assume_order={assume_order} is for one that has "
            "none: leave it out"
        )
    if len(names) != outputs:
        raise ValueError(
            f"{weights} tells {outputs} classes apart, and there are names of {len(names)}; give all in its order: "
            "verifier.network.labels=[...]"
        )
    return match_classes(names, classes, weights)


def _assumed(outputs: int, classes: str | Sequence[str], weights: str, assume_order: ASSUMED | None) -> list[int]:
    """Return the order that a user vouches for."""
    dataset = ClassNames.of(classes)
    if assume_order is None:
        choice = "verifier.network.labels=[...]"
        if dataset == ClassNames.of(IMAGENET):
            choice += f", or verifier.network.assume_order={IMAGENET} if they have that list's order"
        raise ValueError(
            f"{weights} carries no names of its {outputs} classes, and their order is not guessed; give them: {choice}"
        )
    if assume_order != IMAGENET or dataset != ClassNames.of(IMAGENET) or outputs != len(dataset.words):
        raise ValueError(
            f"assume_order is {assume_order!r}, {weights} tells {outputs} classes apart and the dataset has "
            f"{len(dataset.words)}; it is {IMAGENET} for 1000 classes on an ImageNet dataset: leave it out, and give "
            "verifier.network.labels=[...]"
        )
    return list(range(outputs))


def match_classes(labels: Mapping[int, str] | Sequence[str], classes: str | Sequence[str], weights: str) -> list[int]:
    """Return the checkpoint's index of each class of the dataset, by name but for case, spaces and underscores.

    Names that mean one class each may stand in any order. Where a name means several (ImageNet has two cranes), place
    tells which, so that all names must stand in the dataset's order.

    Args:
        labels: the checkpoint's class names by index.
        classes: the dataset's class names, in its order, or the word for a known list.
        weights: name of the checkpoint, for the message.

    Raises:
        ValueError: a name means no class, or one at another place; or the names are not of the same classes.
    """
    names = dict(labels) if isinstance(labels, Mapping) else dict(enumerate(labels))
    dataset = ClassNames.of(classes)
    meant = {index: dataset.ids_of(name) for index, name in names.items()}
    several = [index for index, ids in meant.items() if len(ids) > 1]
    fault = ""
    if len(names) != len(dataset.words):
        fault = f"{len(names)} and {len(dataset.words)} of them"
    elif unknown := [index for index, ids in meant.items() if not ids]:
        fault = f"its {unknown[0]} is {names[unknown[0]]!r}, which names none of these, or two that differ"
    elif several and (moved := [index for index, ids in meant.items() if index not in ids]):
        fault = (
            f"its {moved[0]} is {names[moved[0]]!r} and {names[several[0]]!r} names several, so that names alone do "
            "not tell the order"
        )
    elif not several and len(set().union(*meant.values())) < len(names):
        fault = "several of its names mean the same class"
    if fault:
        raise ValueError(
            f"{weights} tells the classes {_some(list(names.values()))} apart, and the dataset has "
            f"{_some([words[0] for words in dataset.words])}: {fault}; {REMEDY}"
        )
    if several:
        return list(range(len(names)))
    place = {class_id: index for index, ids in meant.items() for class_id in ids}
    return [place[class_id] for class_id in range(len(names))]


def _some(names: Sequence[object]) -> str:
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(map(str, names[:10])) + more
