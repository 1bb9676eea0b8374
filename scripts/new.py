"""Write the files of a method of your own to start from: those of docs/own-<kind>.md, under another name.

    python scripts/new.py search greedy

It writes `my_methods/greedy.py`, `my_methods/conf/search/greedy.yaml` and `my_methods/test_greedy.py`, and prints the
command that runs the search and the one that tests it. A file that is there is never overwritten.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from importlib.machinery import PathFinder
from keyword import iskeyword
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser

from its.process.command import Parser, command
from its.process.source_tree import ROOT

KINDS = ("search", "verifier")
"""Kinds whose page has one file, one YAML and one test."""

PACKAGE = "my_methods"
"""The folder of a stranger's methods, in the pages and by default."""

NAME = re.compile(r"[a-z][a-z0-9_]*")


def files_of(page: Path) -> dict[str, str]:
    """Return the files that a page prints, each below a line that ends with its name and a colon."""
    fenced = re.compile(rf"`({PACKAGE}/[\w./-]+)`:\n\n```\w+\n(.*?)^```", re.DOTALL | re.MULTILINE)
    return dict(fenced.findall(page.read_text(encoding="utf-8")))


def commands_of(page: Path) -> list[str]:
    """Return the commands that a page prints, as they are typed; a line that ends in a backslash goes on."""
    blocks = re.findall(r"^```bash\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in re.sub(r" *\\\n *", " ", block).splitlines()]


def named(text: str, example: str, name: str, folder: Path) -> str:
    """Return a text of a page with a name for the example's, and the places of this machine for those of the page."""
    words = {
        "/path/to/its": str(ROOT),
        f"/path/to/{PACKAGE}": str(folder),
        "/path/to": str(folder.parent),
        PACKAGE: folder.name,
        example: name,
        class_name(example): class_name(name),
    }
    longest_first = sorted(words, key=len, reverse=True)
    return re.sub("|".join(map(re.escape, longest_first)), lambda match: words[match[0]], text)


def class_name(name: str) -> str:
    """Return the name of the class in the module `name`."""
    return "".join(part.capitalize() for part in name.split("_"))


def check_name(kind: str, name: str, folder: Path, imports: Iterable[str]) -> None:
    """Refuse a name that is no choice of a group, is one already, or hides a module or another name of the files.

    Args:
        imports: names that the files import.

    Raises:
        ValueError: naming the rule that is broken.
    """
    another = "choose another name"
    if not NAME.fullmatch(name) or iskeyword(name) or not is_text(name):
        raise ValueError(
            f"the name is {name!r}; it has small letters, digits and underscores, such as greedy_2, and is no word of "
            "Python or YAML"
        )
    if (ROOT / "conf" / kind / f"{name}.yaml").exists():
        raise ValueError(f"{kind}={name} is a choice of `its` already; {another}")
    if name == folder.name or is_module(name):
        raise ValueError(f"{name} is a package or module already, which {name}.py would hide; {another}")
    if class_name(name) in imports:
        raise ValueError(f"the class of {name} would be {class_name(name)}, which these files import; {another}")


def is_text(name: str) -> bool:
    """Return whether a word of the command line is text, and not `true`, `null` or a number."""
    return OverridesParser.create().parse_override(f"key={name}").value() == name


def is_module(name: str) -> bool:
    """Return whether Python itself has a module of this name, or one is installed."""
    spec = PathFinder.find_spec(name, sys.path[1:])  # the first is this script's folder
    return name in sys.stdlib_module_names or (spec is not None and spec.origin is not None)


def imported(text: str) -> set[str]:
    """Return the names that a file imports from modules; none if it is no Python."""
    return set(re.findall(r"\w+", " ".join(re.findall(r"^from .* import (.*)$", text, re.MULTILINE))))


@command
def main() -> None:
    # Read the command line.
    parser = Parser(__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("name", help="such as greedy")
    parser.add_argument("--into", type=Path, default=Path(PACKAGE), metavar="FOLDER", help=f"default: {PACKAGE}")
    options = parser.parse_args()
    page, folder = ROOT / "docs" / f"own-{options.kind}.md", options.into.expanduser().absolute()

    # Name the page's files anew.
    texts = files_of(page)
    example = Path(next(iter(texts))).stem
    imports = set().union(*map(imported, texts.values())) - {class_name(example)}
    check_name(options.kind, options.name, folder, imports)
    if not folder.name.isidentifier() or is_module(folder.name):
        raise ValueError(
            f"--into is {options.into}; its last part names your package: letters, digits and underscores, and no "
            "module that is installed"
        )
    texts = {named(path, example, options.name, folder): text for path, text in texts.items()}
    files = {folder.parent / path: named(text, example, options.name, folder) for path, text in texts.items()}

    # Write them all, or none.
    present = [path for path in files if path.exists()]
    if present:
        raise ValueError(f"{present[0]} is there already; choose another name, or another folder: --into FOLDER")
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(path)
    for line in commands_of(page):
        print(named(line, example, options.name, folder))


if __name__ == "__main__":
    main()
