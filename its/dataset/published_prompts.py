"""Lists of prompts that papers report on: where they are to be had, and how they are told to be whole."""

from __future__ import annotations

import os
import urllib.request
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from shutil import rmtree

from its.dataset.prompt_list import read_prompts

SECONDS = 60
"""Of waiting for a server."""


@dataclass(frozen=True)
class PublishedList:
    """A published list of prompts.

    Attributes:
        urls: from which it is downloaded: one file, or all files of a folder; none where a person has to.
        page: where a person looks, and for what.
        column, category: its columns of prompts and of categories.
        count: of its prompts. digest: sha256 of its prompts, see `digest_of`; empty where no copy was at hand.
    """

    urls: tuple[str, ...]
    page: str
    column: str | None
    category: str | None
    count: int
    digest: str

    def fetch(self, path: Path) -> None:
        """Download the list to a path, unless something is there, or a person has to.

        Raises:
            OSError: it cannot be had. ValueError: what comes is another list.
        """
        if path.exists() or not self.urls:
            return
        contents = {url: _content(url) for url in self.urls}
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{os.getpid()}-{path.name}")
        try:
            if len(contents) == 1:
                part.write_bytes(contents[self.urls[0]])
            else:
                part.mkdir()
                for url, content in contents.items():
                    (part / url.rpartition("/")[2]).write_bytes(content)
            if not self._is_in(part):
                raise ValueError(
                    f"{self.urls[0]} does not give the {self.count} prompts that were published; save the list of "
                    f"{self.page} as {path} by hand"
                )
            part.rename(path)
        finally:
            rmtree(part) if part.is_dir() else part.unlink(missing_ok=True)

    def _is_in(self, path: Path) -> bool:
        """Return whether a file, or a folder, holds the published prompts."""
        try:
            prompts, _ = read_prompts(path, self.column, self.category)
        except ValueError:
            return False
        return (len(prompts), digest_of(prompts)) == (self.count, self.digest)


def _content(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=SECONDS) as answer:
        return bytes(answer.read())


def digest_of(prompts: list[str]) -> str:
    """Return the sha256 of prompts in their order, whatever the format that they lie in."""
    return sha256("\0".join(prompts).encode()).hexdigest()


PUBLISHED = {
    "DrawBench.csv": PublishedList(
        ("https://docs.google.com/spreadsheets/d/1y7nAbmR4FREi6npB1u-Bo3GFdwdOPYJc617rBOxIRHY/gviz/tq?tqx=out:csv",),
        "https://imagen.research.google",
        "Prompts",
        "Category",
        200,
        "2a686ba8d89c4a09659ec3c98c18d04c086e5e5c2ce65604694d44bd4c1b8b9b",
    ),
    "PartiPrompts.tsv": PublishedList(
        ("https://raw.githubusercontent.com/google-research/parti/main/PartiPrompts.tsv",),
        "https://github.com/google-research/parti",
        "Prompt",
        "Category",
        1632,
        "fbe932735b217ac5d94b544f2d98aebf69059c20cd8b0c46730341073a953cbb",
    ),
    "geneval.jsonl": PublishedList(
        ("https://raw.githubusercontent.com/djghosh13/geneval/main/prompts/evaluation_metadata.jsonl",),
        "https://github.com/djghosh13/geneval",
        "prompt",
        "tag",
        553,
        "5303cf2407426bb99ce0703839cf7f70cfbfb8014ca41e083733f6bb4fc7a779",
    ),
    "geneval2_data.jsonl": PublishedList(
        ("https://raw.githubusercontent.com/facebookresearch/GenEval2/main/geneval2_data.jsonl",),
        "https://github.com/facebookresearch/GenEval2",
        "prompt",
        "atom_count",
        800,
        "cb5d21dec78c8352dbd9fda8db903e29852f2fa1edc9381293be02ffad08b4fe",
    ),
    "dpg_bench": PublishedList(
        (),
        "https://github.com/TencentQQGYLab/ELLA, its folder dpg_bench/prompts",
        None,
        None,
        1065,
        "a5f5cbb69a5b1d26f47d46103ed9533b9183d7328c6ef2444c3c973c579c5284",
    ),
    "t2i_compbench": PublishedList(
        tuple(
            f"https://raw.githubusercontent.com/Karine-Huang/T2I-CompBench/main/examples/dataset/{name}_val.txt"
            for name in ("3d_spatial", "color", "complex", "non_spatial", "numeracy", "shape", "spatial", "texture")
        ),
        "https://github.com/Karine-Huang/T2I-CompBench, the eight files examples/dataset/*_val.txt of its categories",
        None,
        "file",
        2400,
        "6256e72d53800a1926703e19628b4a5dd16c60cba6c377f72614f008831027fc",
    ),
    "hpsv2": PublishedList(
        (),
        "https://huggingface.co/datasets/zhwang/HPDv2/tree/main/benchmark, its anime.json, concept-art.json, "
        "paintings.json and photo.json",
        None,
        "file",
        3200,
        "",
    ),
}
"""By the name of the file, or of the folder, that a dataset's YAML names."""


def remedy(path: str) -> str:
    """Return where a list that is not there is to be had."""
    published = PUBLISHED.get(Path(path).name)
    if published is None:
        return "give the path of a list of prompts (.txt, .csv, .tsv, .json, .jsonl) as dataset.path=..."
    if not published.urls:
        return f"save there what is to be had from {published.page}; or give your own copy as dataset.path=..."
    return (
        f"python scripts/prefetch.py with the words of this run downloads it there from {published.urls[0]}; or give "
        "your own copy as dataset.path=..."
    )
