"""Lists of prompts that papers report on: where they are to be had, and how they are told to be whole."""

from __future__ import annotations

import os
import urllib.request
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from its.dataset.prompt_list import read_prompts

SECONDS = 60
"""Of waiting for a server."""


@dataclass(frozen=True)
class PublishedList:
    """A published list of prompts.

    Attributes:
        url: from which it is downloaded. page: where a person looks.
        column, category: its columns of prompts and of categories.
        count: of its prompts. digest: sha256 of its prompts, see `digest_of`.
    """

    url: str
    page: str
    column: str
    category: str
    count: int
    digest: str

    def fetch(self, path: Path) -> None:
        """Download the list to a path, unless something is there.

        Raises:
            OSError: it cannot be had. ValueError: what comes is another list.
        """
        if path.exists():
            return
        with urllib.request.urlopen(self.url, timeout=SECONDS) as answer:
            content = answer.read()
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{os.getpid()}-{path.name}")
        try:
            part.write_bytes(content)
            if not self._is_in(part):
                raise ValueError(
                    f"{self.url} does not give the {self.count} prompts that were published; save the list of "
                    f"{self.page} as {path} by hand"
                )
            part.rename(path)
        finally:
            part.unlink(missing_ok=True)

    def _is_in(self, file: Path) -> bool:
        """Return whether a file holds the published prompts."""
        try:
            prompts, _ = read_prompts(file, self.column, self.category)
        except ValueError:
            return False
        return (len(prompts), digest_of(prompts)) == (self.count, self.digest)


def digest_of(prompts: list[str]) -> str:
    """Return the sha256 of prompts in their order, whatever the format that they lie in."""
    return sha256("\0".join(prompts).encode()).hexdigest()


PUBLISHED = {
    "DrawBench.csv": PublishedList(
        "https://docs.google.com/spreadsheets/d/1y7nAbmR4FREi6npB1u-Bo3GFdwdOPYJc617rBOxIRHY/gviz/tq?tqx=out:csv",
        "https://imagen.research.google",
        "Prompts",
        "Category",
        200,
        "2a686ba8d89c4a09659ec3c98c18d04c086e5e5c2ce65604694d44bd4c1b8b9b",
    ),
    "PartiPrompts.tsv": PublishedList(
        "https://raw.githubusercontent.com/google-research/parti/main/PartiPrompts.tsv",
        "https://github.com/google-research/parti",
        "Prompt",
        "Category",
        1632,
        "fbe932735b217ac5d94b544f2d98aebf69059c20cd8b0c46730341073a953cbb",
    ),
    "geneval.jsonl": PublishedList(
        "https://raw.githubusercontent.com/djghosh13/geneval/main/prompts/evaluation_metadata.jsonl",
        "https://github.com/djghosh13/geneval",
        "prompt",
        "tag",
        553,
        "5303cf2407426bb99ce0703839cf7f70cfbfb8014ca41e083733f6bb4fc7a779",
    ),
}
"""By the name of the file that a dataset's YAML names."""


def remedy(path: str) -> str:
    """Return where a list that is not there is to be had."""
    published = PUBLISHED.get(Path(path).name)
    if published is None:
        return "give the path of a list of prompts (.txt, .csv, .tsv, .jsonl) as dataset.path=..."
    return (
        f"python scripts/prefetch.py with the words of this run downloads it there from {published.url}; or give your "
        "own copy as dataset.path=..."
    )
