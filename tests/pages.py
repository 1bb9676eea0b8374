"""Markdown pages as tests read them: fenced blocks, the commands in them, links and headings."""

import re
import shlex
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]


class Block(NamedTuple):
    """A fenced block.

    Attributes:
        language: after the fence: `python`, `bash`, `text`, `yaml`.
        text: between the fences.
    """

    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page, in order."""
    fences = re.findall(r"^```(\w*)\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [Block(language, text) for language, text in fences]


def commands(page: Path) -> list[list[str]]:
    """Return the words of every command in a page's `bash` blocks; a line that ends in a backslash goes on."""
    lines = "\n".join(block.text for block in blocks(page) if block.language == "bash").replace("\\\n", " ")
    return [words for line in lines.splitlines() if (words := shlex.split(line, comments=True))]


def printed(page: Path) -> list[tuple[str, str]]:
    """Return every `python` block of a page, with the `text` block that follows it as its output, or none."""
    listed = [*blocks(page), Block("", "")]
    return [
        (block.text, after.text if after.language == "text" else "")
        for block, after in pairwise(listed)
        if block.language == "python"
    ]


def links(page: Path) -> list[str]:
    """Return the targets of a page's relative links."""
    targets = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    return [target for target in targets if not target.startswith(("http:", "https:", "mailto:"))]


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    outside = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", outside, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}
