"""Class ids of pictures by their names (`00012_label7.png`) or by the folders that they lie in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np

from its.dataset.class_names import ClassNames
from its.dataset.image_set import NO_CLASS

SPLITS = frozenset({"train", "training", "val", "valid", "validation", "test", "testing", "eval", "dev"})
"""Names of folders that hold parts of a data set, and no class."""

MOST_CLASS = 2**31

REMEDY = "or set classes=false where classes do not matter"

_LABEL = re.compile(r"_label([0-9]+)$")


def class_ids(
    paths: Sequence[PurePosixPath], root: str, class_names: ClassNames | None = None
) -> tuple[np.ndarray, list[str]]:
    """Return the class id of each picture, -1 where there are no classes, and what each class folder is called.

    Folders that are all numbers are the classes of these numbers; words count in alphabetical order, or stand for the
    classes that `class_names` has.

    Args:
        paths: below `root`, which is named in messages.

    Returns:
        int64 `[n]`, and the folders' names by class id, empty for a number that no folder has.

    Raises:
        ValueError: names and folders do not say for certain which class a picture has.
    """
    # Names that say the class.
    marks = [_LABEL.search(path.stem) for path in paths]
    if any(marks):
        if not all(marks):
            raise ValueError(
                f"{root}: {_first(paths, marks, said=True)} says its class and {_first(paths, marks, said=False)} does "
                f"not; name all alike, {REMEDY}"
            )
        return _ids([int(mark[1]) for mark in marks if mark], root), []

    # Folders that say it.
    tops = sorted({path.parts[0] for path in paths if len(path.parts) > 1})
    if not tops:
        return np.full(len(paths), NO_CLASS, dtype=np.int64), []
    loose = next((path for path in paths if len(path.parts) == 1), None)
    if loose is not None:
        raise ValueError(
            f"{root}: {loose} lies beside the folders {_some(tops)}; put all images into class folders or none, "
            f"{REMEDY}"
        )
    _check_depth(paths, tops, root)
    number = _numbers(tops, root) if class_names is None else _by_name(tops, root, class_names)
    names = {class_id: name for name, class_id in number.items()}
    ids = _ids([number[path.parts[0]] for path in paths], root)
    most = 2 * len(tops) if class_names is None else len(class_names.words)
    return ids, [names.get(k, "") for k in range(min(int(ids.max()), most) + 1)]


def _check_depth(paths: Sequence[PurePosixPath], tops: Sequence[str], root: str) -> None:
    """Refuse folders that hold splits or other folders, in place of the images of a class.

    A folder of the same name in every class, as Tiny ImageNet's `images`, is none; a class of vehicles may be `train`.

    Raises:
        ValueError: the message says which folder to give.
    """
    deep = {path.parts[0] for path in paths if len(path.parts) > 2}
    splits = [name for name in tops if name.lower() in SPLITS]
    if any(name != "train" for name in splits) or len(splits) == len(tops) or deep & set(splits):
        raise ValueError(
            f"{root} holds {_some(splits)}, which are parts of a data set and no classes; give one of them, such as "
            f"{root.rstrip('/')}/{splits[0]}, take {'it' if len(splits) == 1 else 'them'} out, {REMEDY}"
        )
    below = {path.parts[1:-1] for path in paths}
    if deep and (len(below) > 1 or len(tops) == 1):
        path = next(path for path in paths if len(path.parts) > 2)
        raise ValueError(
            f"{root}: {path} lies {len(path.parts) - 1} folders deep, and which of them is the class is not certain; "
            f"give the folder right above the class folders, such as {root.rstrip('/')}/{path.parts[0]}, {REMEDY}"
        )


def _numbers(names: Sequence[str], root: str) -> dict[str, int]:
    """Return the class id of each class folder.

    Raises:
        ValueError: numbers stand among words, or alphabet and numbers order the names differently.
    """
    numeric = [name for name in names if name.isascii() and name.isdigit()]
    if numeric and len(numeric) < len(names):
        words = [name for name in names if name not in numeric]
        raise ValueError(
            f"{root}: the class folders {_some(numeric)} are numbers, and {_some(words)} are not; name all by their "
            f"class id, or none, {REMEDY}"
        )
    if numeric:
        if len(set(map(int, names))) < len(names):
            raise ValueError(f"{root}: of the class folders {_some(names)} two are the same number; name each once")
        return {name: int(name) for name in names}
    if sorted(names) != sorted(names, key=_natural):
        raise ValueError(
            f"{root}: the class folders {_some(names)} have another order by the alphabet than by their numbers; name "
            f"them by class id, 0, 1, ..., or pad the numbers with zeros, {REMEDY}"
        )
    return {name: k for k, name in enumerate(sorted(names))}


def _by_name(folders: Sequence[str], root: str, class_names: ClassNames) -> dict[str, int]:
    """Return the class id of each class folder by its name or synset.

    Raises:
        ValueError: a folder is called by no class, or two by one.
    """
    number: dict[str, int] = {}
    for folder in folders:
        try:
            class_id = class_names.id_of(folder)
        except ValueError as error:
            raise ValueError(f"{root}: {error}, or take the folder {folder} out, {REMEDY}") from error
        if class_id in number.values():
            other = next(name for name, k in number.items() if k == class_id)
            raise ValueError(
                f"{root}: the folders {other} and {folder} are both class {class_names.described(class_id)}; join "
                f"them, {REMEDY}"
            )
        number[folder] = class_id
    return number


def _natural(name: str) -> list[tuple[int, str]]:
    return [
        (int(part), "") if part.isdigit() and part.isascii() else (-1, part) for part in re.split(r"([0-9]+)", name)
    ]


def _ids(ids: Sequence[int], root: str) -> np.ndarray:
    if max(ids) >= MOST_CLASS:
        raise ValueError(f"{root}: {max(ids)} is no class id; class ids lie below 2**31, {REMEDY}")
    return np.array(ids, dtype=np.int64)


def _first(paths: Sequence[PurePosixPath], marks: Sequence[object], *, said: bool) -> PurePosixPath:
    return next(path for path, mark in zip(paths, marks, strict=True) if bool(mark) == said)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
