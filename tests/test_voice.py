"""Prose that a stranger reads once: first lines state what a thing is or does, names are nouns and verbs.

`python tests/test_voice.py` prints the counts, and each docstring and name that counts.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILES = sorted(
    [*(ROOT / "its").rglob("*.py"), *(ROOT / "scripts").glob("*.py"), *(ROOT / "hydra_plugins").rglob("*.py")]
)

RIDDLE = re.compile(r"(What|Whether|Of|From|Where|Which|How|When|Who|Why)\b")
"""Openings of a first line that leave its subject to be guessed."""

PARTICIPLES = re.compile(r"found|told|made|given|kept|own|one|said|wanted|known|asked|done|left|seen|taken|held|drawn")
"""Names of variables that say neither what they hold nor what it is for."""


def first_lines() -> Iterator[tuple[str, str]]:
    """Yield where each docstring stands, and its first line."""
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (text := ast.get_docstring(node)):
                yield f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}", text.splitlines()[0]


def variables() -> Iterator[tuple[str, str]]:
    """Yield where each variable is assigned, and its name."""
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield f"{path.relative_to(ROOT)}:{node.lineno}", node.id


def test_voice_docstrings_open_with_their_subject():
    lines = list(first_lines())
    riddles = [line for line in lines if RIDDLE.match(line[1])]
    assert len(riddles) < 0.01 * len(lines), riddles


def test_voice_docstrings_end_their_first_sentence():
    assert not [line for line in first_lines() if not line[1].rstrip("`\"'").endswith((".", ":", "!", "?", ")"))]


def test_voice_variables_are_nouns():
    names = list(variables())
    participles = [name for name in names if PARTICIPLES.fullmatch(name[1])]
    assert len(participles) < 0.008 * len(names), participles


def main() -> None:
    """Print the counts, and each docstring and name that counts."""
    lines, names = list(first_lines()), list(variables())
    riddles = [line for line in lines if RIDDLE.match(line[1])]
    participles = [name for name in names if PARTICIPLES.fullmatch(name[1])]
    for where, text in (*riddles, *participles):
        print(f"{where}  {text}")
    print(f"{len(riddles)} of {len(lines)} first lines are riddles: {len(riddles) / len(lines):.1%}")
    print(
        f"{len(participles)} of {len(names)} names are participles: {1000 * len(participles) / len(names):.1f} in 1,000"
    )


if __name__ == "__main__":
    main()
