"""The documentation says what is true: names exist, links lead somewhere, code runs and prints what is printed."""

import ast
import contextlib
import io
import re
import subprocess
import tokenize
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser

from tests.pages import ROOT, anchors, commands, links, printed

PAGES = sorted((ROOT / "docs").glob("*.md"))
INDEX = ROOT / "docs" / "README.md"

DOTTED = re.compile(r"(?<![\w./@-])its(?:\.[A-Za-z_]\w*)+")
"""A name of the package."""

TESTED_ELSEWHERE = {
    "analysis.md": "tests/report/test_docs.py",
    "replay.md": "tests/engine/test_tape.py",
}
"""Pages whose code needs more than the page, and the tests that run it."""

OWN = "own-"
"""How the names of those pages begin whose code lies in files: tests/test_pages.py runs it."""


def tracked(*patterns: str) -> list[Path]:
    """Return the files of the repository that match, those that are not committed yet included."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns]
    names = subprocess.check_output(command, cwd=ROOT, text=True).splitlines()
    return sorted(ROOT / name for name in names if (ROOT / name).is_file())


def prose_of(path: Path) -> str:
    """Return what a file tells its readers: a module's docstrings and comments, all of any other file."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        return text
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    comments = [token.string for token in tokens if token.type == tokenize.COMMENT]
    strings = [
        node.value.value
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    ]
    return "\n".join([*comments, *strings])


def exists(name: str) -> bool:
    """Return whether a dotted name is a module, or what attributes of one lead to."""
    parts = name.split(".")
    thing: Any = None
    for k in range(len(parts), 0, -1):
        with contextlib.suppress(ModuleNotFoundError):
            thing, parts = import_module(".".join(parts[:k])), parts[k:]
            break
    for part in parts:
        if is_dataclass(thing) and part in {field.name for field in fields(thing)}:
            return True
        if not hasattr(thing, part):
            return part in getattr(thing, "__annotations__", {})
        thing = getattr(thing, part)
    return True


PROSE = [
    *tracked("*.md"),
    *tracked("conf/*.yaml"),
    *tracked("its/*.py", "scripts/*.py", "hydra_plugins/*.py", "run.py"),
]


@pytest.mark.parametrize("folder", ["README.md", "docs", "conf", "its", "scripts", "slurm", "hydra_plugins"])
def test_docs_name_only_things_that_exist(folder: str):
    files = [path for path in PROSE if path.relative_to(ROOT).parts[0] == folder]
    assert files
    names = {(str(path.relative_to(ROOT)), name) for path in files for name in DOTTED.findall(prose_of(path))}
    assert not sorted((path, name) for path, name in names if not exists(name))


@pytest.mark.parametrize("page", tracked("*.md"), ids=lambda path: str(path.relative_to(ROOT)))
def test_docs_links_lead_to_existing_pages_and_anchors(page: Path):
    for link in links(page):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_docs_pages_that_are_mentioned_exist():
    files = [*PROSE, *tracked("tests/*.py", "slurm/*", "*.cff", "*.toml", "*.sh")]
    mentions = {
        (str(path.relative_to(ROOT)), page)
        for path in files
        if path.name != "CHANGELOG.md"  # history
        for page in re.findall(r"\bdocs/[\w/-]+\.md\b", path.read_text(encoding="utf-8"))
    }
    assert not sorted((path, page) for path, page in mentions if not (ROOT / page).exists())


def test_docs_index_lists_every_page():
    listed = {(INDEX.parent / link).resolve() for link in links(INDEX)}
    assert not [page.name for page in PAGES if page != INDEX and page not in listed]


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if printed(page) and page.name not in TESTED_ELSEWHERE and not page.name.startswith(OWN)],
    ids=lambda path: path.name,
)
def test_docs_code_prints_what_the_page_says(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    scope: dict[str, Any] = {"__name__": "page"}
    for code, output in printed(page):
        with contextlib.redirect_stdout(io.StringIO()) as stdout:
            exec(compile(code, str(page), "exec", dont_inherit=True), scope)
        assert stdout.getvalue() == output


@pytest.mark.parametrize(("name", "test"), TESTED_ELSEWHERE.items())
def test_docs_code_not_run_here_is_run_by_another_test(name: str, test: str):
    assert name in (ROOT / test).read_text(encoding="utf-8")


def test_docs_network_of_the_page_on_models_makes_images():
    from its import Engine, Problem
    from its.sampler.ddim import DDIM
    from its.search.none import NoSearch
    from its.verifier.null_rewards import NullRewards

    scope: dict[str, Any] = {}
    [code] = [code for code, _ in printed(ROOT / "docs" / "own-model.md") if "class Straight" in code]
    exec(compile(code, "own-model.md", "exec", dont_inherit=True), scope)
    engine = Engine(scope["Straight"](), DDIM(steps=4, eta=0.0), {"select": NullRewards()}, seed=0, batch=2)
    [result] = engine.run(NoSearch(), [4], [Problem(0)])
    assert not result.outcomes[0].image.any()


def single(words: list[str]) -> list[str]:
    """Return the overrides among a command's words, with the first value of every sweep; a reader's own folders go."""
    overrides = [word for word in words if "=" in word and not set(word) & set("<>")]
    overrides = [word for word in overrides if not word.startswith(("-", "outputs/"))]
    parsed = OverridesParser.create().parse_overrides(overrides)
    return [
        f"{override.get_key_element()}={next(iter(override.sweep_string_iterator()))}"
        if override.is_sweep_override()
        else str(override.input_line)
        for override in parsed
    ]


@pytest.mark.parametrize(
    "page",
    [page for page in [*PAGES, ROOT / "slurm" / "README.md"] if commands(page)],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_docs_commands_compose(page: Path):
    pythons = [words[words.index("python") :] for words in commands(page) if "python" in words]
    programs = [words for words in pythons if words[1] != "-m" and "/my_methods/" not in words[1]]
    assert not [words[1] for words in programs if not (ROOT / words[1].removeprefix("/path/to/its/")).is_file()]
    for words in programs:
        if any(word.startswith("hydra.searchpath") for word in words) or words[1] == "scripts/figure.py":
            continue  # choices of the reader's own, and labels
        with initialize_config_dir(str(ROOT / "conf"), version_base=None):
            compose("config", single(words[2:]), return_hydra_config=True)
