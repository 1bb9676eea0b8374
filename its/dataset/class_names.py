"""Names of classes: the words that a user may write for a class, and the class id that they stand for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property

from its.dataset.imagenet import imagenet

IMAGENET = "imagenet"
"""The word for ImageNet's thousand classes, in place of a list of names."""

NEAR = 0.75
"""Least likeness, in [0, 1], of a name that may be meant."""


@dataclass(frozen=True)
class ClassNames:
    """The classes of a dataset by id, each with every word that names it; the first is what messages call it.

    Case, spaces and underscores make no difference.
    """

    words: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, names: str | Sequence[str]) -> ClassNames:
        """Return the classes of a list of names, or ImageNet's by that word.

        Raises:
            ValueError: it is neither.
        """
        if names == IMAGENET:
            return cls(imagenet())
        if isinstance(names, str) or not all(isinstance(name, str) and name.strip() for name in names):
            raise ValueError(f"class_names is {names!r}; it is a list of names by class id, or {IMAGENET}")
        return cls(tuple((name,) for name in names))

    @cached_property
    def _ids(self) -> dict[str, list[int]]:
        ids: dict[str, list[int]] = defaultdict(list)
        for class_id, words in enumerate(self.words):
            for word in dict.fromkeys(map(plain, words)):
                ids[word].append(class_id)
        return dict(ids)

    @cached_property
    def _synonyms(self) -> dict[str, set[int]]:
        """Ids of the classes that have a word among all their synonyms."""
        ids: dict[str, set[int]] = defaultdict(set)
        for class_id, words in enumerate(self.words):
            for synonym in (part for word in words for part in (word, *word.split(","))):
                ids[plain(synonym)].add(class_id)
        return dict(ids)

    def ids_of(self, label: str) -> set[int]:
        """Return the ids of the classes that a label may mean: several where it is ambiguous, none where it is unknown.

        A list of synonyms that is not known goes by its first, as far as the others do not contradict it.
        """
        if plain(label) in self._ids:
            return set(self._ids[plain(label)])
        first, *others = map(plain, str(label).split(","))
        ids = set(self._ids.get(first, ()))
        for synonym in others:
            ids &= self._synonyms.get(synonym, ids)
        return ids

    def id_of(self, word: str) -> int:
        """Return the id of the class that a word names; see `ids_of`.

        Raises:
            ValueError: it names no class, or several.
        """
        known = sorted(self.ids_of(word))
        if len(known) > 1:
            which = " or ".join(self.described(class_id) for class_id in known)
            raise ValueError(f"{word!r} names {len(known)} classes: {which}; say which by its number")
        if not known:
            near = get_close_matches(plain(word), self._ids, 1, NEAR)
            meant = f"did you mean {self.described(self._ids[near[0]][0])}?" if near else f"there are {self._some}"
            raise ValueError(f"{word!r} names no class; {meant}")
        return known[0]

    def described(self, class_id: int) -> str:
        """Return a class's number with its words, as `134 (crane bird, n02012849)`."""
        return f"{class_id} ({', '.join(self.words[class_id][:2])})"

    @property
    def _some(self) -> str:
        more = f" and {len(self.words) - 10} more" if len(self.words) > 10 else ""
        return ", ".join(words[0] for words in self.words[:10]) + more


def plain(name: str) -> str:
    """Return a name without what makes no difference."""
    return str(name).strip().lower().replace(" ", "_")
