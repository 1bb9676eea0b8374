"""ImageNet's thousand classes (ILSVRC 2012) by index, name and synset, as torchvision and timm ship them."""

from __future__ import annotations

import ast
from functools import cache

from its.process.modules import file_of

COUNT = 1000

NAMES = ("torchvision", "models/_meta.py")
"""Package and file of the names; the package itself is not imported, so that a plan loads no torch."""

SYNSETS, SYNONYMS = ("timm", "data/_info/imagenet_synsets.txt"), ("timm", "data/_info/imagenet_synset_to_lemma.txt")
"""Package and file of WordNet's synsets in the order of the classes, and of each synset's synonyms."""


@cache
def imagenet() -> tuple[tuple[str, ...], ...]:
    """Return the words of each class: torchvision's name, timm's synset, the first synonym, all of them as one list.

    transformers' configurations write that list, `tench, Tinca tinca`. Two classes have the first synonym crane, two
    maillot.

    Raises:
        ValueError: an installed package lacks its file, or the two do not list the same classes in one order.
    """
    names, synsets = _categories(), _text(*SYNSETS).split()
    synonyms = dict(line.split("\t", 1) for line in _text(*SYNONYMS).splitlines())
    if not len(names) == len(set(synsets)) == COUNT or not synonyms.keys() >= set(synsets):
        raise ValueError(
            f"{_said(*NAMES)} lists {len(names)} classes and {_said(*SYNSETS)} {len(set(synsets))}, and ImageNet has "
            f"{COUNT}; install the versions of constraints.txt"
        )
    first = [synonyms[synset].partition(",")[0] for synset in synsets]
    for class_id, (name, synonym) in enumerate(zip(names, first, strict=True)):
        if not name.lower().startswith(synonym.lower()):
            raise ValueError(
                f"class {class_id} is {name!r} in {_said(*NAMES)} and {synonym!r} in {_said(*SYNSETS)}: their orders "
                "differ; install the versions of constraints.txt"
            )
    return tuple(
        (name, synset, synonym, synonyms[synset]) for name, synset, synonym in zip(names, synsets, first, strict=True)
    )


def _categories() -> list[str]:
    """Return torchvision's names, read from its source."""
    for node in ast.parse(_text(*NAMES)).body:
        if isinstance(node, ast.Assign) and any(
            getattr(name, "id", "") == "_IMAGENET_CATEGORIES" for name in node.targets
        ):
            return list(ast.literal_eval(node.value))
    raise ValueError(f"{_said(*NAMES)} has no _IMAGENET_CATEGORIES; install the version of constraints.txt")


def _text(package: str, file: str) -> str:
    root = file_of(package)
    if root is None:
        raise ValueError(f"{package} is not installed, whose {file} lists ImageNet's classes; install constraints.txt")
    path = root.parent / file
    if not path.is_file():
        raise ValueError(
            f"{_said(package, file)} is not there, which lists ImageNet's classes; install the version of "
            "constraints.txt"
        )
    return path.read_text(encoding="utf-8")


def _said(package: str, file: str) -> str:
    return f"{package}/{file} of the installed {package}"
