"""Prompts as what images are asked for: a list in a file, or one from the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from its.dataset.image_set import Shape
from its.dataset.prompt_list import checked, read_prompts, rows_of
from its.dataset.published_prompts import PUBLISHED, remedy
from its.weights import Weights, fingerprint, locate


@dataclass(frozen=True)
class Prompts:
    """A list of prompts, taken in turn: as many images of each prompt as there are rounds.

    Attributes:
        shape: of an image, (C, H, W).
        path: of the list: `.txt` with a prompt a line, `.csv`, `.tsv`, `.json` or `.jsonl`, or a folder of such files
            and of nothing else, which is one list; it counts by its content.
        column: that holds the prompts; null where there is only one.
        category: column of the categories that a report goes by; null for none. In a folder `file` is the file's name.
        files: the names of all files of a folder, in the order of the list; null: all, by name.

    Raises:
        FileNotFoundError: the list is not there. ValueError: it is none; see `its.dataset.prompt_list`.
    """

    shape: Sequence[int]
    path: Weights
    column: str | None = None
    category: str | None = None
    files: Sequence[str] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", _shape(self.shape))
        _ = self._lists

    @cached_property
    def _lists(self) -> tuple[list[str], list[str | None]]:
        return read_prompts(find_list(self.path), self.column, self.category, self.files)

    @property
    def prompts(self) -> list[str]:
        """The prompts, in the order of the list."""
        return self._lists[0]

    def __len__(self) -> int:
        return len(self.prompts)

    def condition(self, index: int) -> str:
        """Return the prompt of problem `index`."""
        return self.prompts[index % len(self)]

    def category_of(self, index: int) -> str | None:
        """Return the category of problem `index`, None without."""
        return self._lists[1][index % len(self)]

    def row(self, index: int) -> Mapping[str, Any]:
        """Return the row of problem `index`'s prompt, by the list's own columns."""
        return self._rows[index % len(self)]

    @cached_property
    def _rows(self) -> list[Mapping[str, Any]]:
        return [row for _, row in rows_of(find_list(self.path), self.files)]

    @property
    def account(self) -> str:
        """The list's name and number of prompts, for whoever compares numbers."""
        return f"{find_list(self.path).name}, {len(self):,} prompts"

    @cached_property
    def digest(self) -> str:
        """The sha256 of the list's file; of a folder that of the names and contents of its files."""
        return fingerprint(str(find_list(self.path)))

    @classmethod
    def fetch(cls, path: str, **settings: object) -> None:
        """Download a published list to where it is looked for, unless it is there, for scripts/prefetch.py."""
        if (published := PUBLISHED.get(Path(path).name)) is not None and not is_here(path):
            published.fetch(Path(path).expanduser())


@dataclass(frozen=True)
class Prompt:
    """One prompt.

    Attributes:
        shape: of an image, (C, H, W).
        prompt: the text, as it is.
    """

    shape: Sequence[int]
    prompt: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", _shape(self.shape))
        checked(self.prompt)

    def __len__(self) -> int:
        return 1

    def condition(self, index: int) -> str:
        """Return the prompt."""
        return self.prompt

    account = "one prompt"

    @property
    def digest(self) -> str:
        """The sha256 of the prompt in UTF-8."""
        return sha256(self.prompt.encode()).hexdigest()


def find_list(path: str) -> Path:
    """Return the file, or the folder, of a list.

    Raises:
        FileNotFoundError: it is nowhere; the message says where it is to be had.
    """
    try:
        return locate(path)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"there is no list of prompts at {Path(path).absolute()}; {remedy(path)}") from error


def is_here(path: str) -> bool:
    """Return whether a list is there."""
    try:
        return find_list(path).exists()
    except FileNotFoundError:
        return False


def _shape(shape: Sequence[int]) -> Shape:
    if len(shape) != 3 or min(shape) < 1 or shape[0] not in (1, 3):
        raise ValueError(f"shape is {tuple(shape)}; it is (channels, height, width) with 1 or 3 channels")
    channels, height, width = shape
    return channels, height, width
