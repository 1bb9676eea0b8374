"""Packages of one's own: by place or by name, and what is refused before anything of them runs."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from its.config.composed import composed
from its.config.instantiate import instantiate
from its.process.modules import spec_of
from tests.build import CONF, blueprint_of

SEARCH = (
    "from dataclasses import dataclass\nfrom its.search.random import Random\n"
    "@dataclass(frozen=True)\nclass Mine(Random):\n    note: int = 0\n"
)


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch) -> Iterator[Path]:
    """A folder to work in; what a test has Python find is forgotten after it."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    forget(tmp_path)


def forget(folder: Path) -> None:
    """Have Python know nothing of the packages in a folder."""
    sys.path[:] = [place for place in sys.path if not place.startswith(str(folder))]
    for name, module in [*sys.modules.items()]:
        spec = getattr(module, "__spec__", None)
        places = [str(getattr(spec, "origin", "")), *map(str, getattr(spec, "submodule_search_locations", None) or ())]
        if any(place.startswith(str(folder)) for place in places):
            del sys.modules[name]
    spec_of.cache_clear()


def package(folder: Path, *files: str) -> Path:
    """Write a package of one search, in the first of these files, and return its folder."""
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(SEARCH if name == files[0] else "")
    return folder


def made(name: str, entry: str) -> object:
    """The search that a configuration names in the package of an entry."""
    blueprint = blueprint_of(Path("out"), f"search._target_={name}.Mine", f"plugins=[{entry}]")
    return instantiate({"_target_": f"{name}.Mine"}, blueprint.packages)


FORMS = {
    "with __init__": (["part.py", "__init__.py"], "own_a", "{folder}", "own_a.part"),
    "without __init__": (["part.py"], "own_b", "{folder}", "own_b.part"),
    "slash at its end": (["part.py"], "own_c", "{folder}/", "own_c.part"),
    "quoted": (["part.py"], "own_d", "'{folder}'", "own_d.part"),
    "relative": (["part.py"], "own_e", "./a b, c/own_e", "own_e.part"),
    "one file": (["own_f.py"], "", "{folder}/own_f.py", "own_f"),
    "one file here": (["../own_g.py"], "x", "own_g.py", "own_g"),
    "home": (["part.py"], "own_h", "~/a b, c/own_h", "own_h.part"),
}


@pytest.mark.parametrize(("files", "name", "entry", "module"), FORMS.values(), ids=FORMS)
def test_plugins_take_a_place(places: Path, monkeypatch, files: list[str], name: str, entry: str, module: str):
    monkeypatch.setenv("HOME", str(places))
    spaced = "own_e" in entry or "own_h" in entry
    folder = package(places / ("a b, c" if spaced else "") / name, *files)
    entry = f'"{entry}"' if spaced else entry
    assert type(made(module, entry.format(folder=folder))).__module__ == module


def test_plugins_are_found_behind_everything_else(places: Path):
    package(places / "mine_behind", "part.py")
    (places / "torch").mkdir()
    before = [*sys.path]
    made("mine_behind.part", "./mine_behind")
    made("mine_behind.part", "./mine_behind")
    assert sys.path == [*before, str(places)]


def test_plugins_alone_say_whose_code_runs(places: Path):
    package(places / "unlisted", "part.py")
    package(places / "listed", "part.py")
    with pytest.raises(ValueError, match=r"in listed; list your own package in plugins=\[...\] on the command line"):
        made("unlisted.part", "./listed")
    assert not {"unlisted", "listed"} & sys.modules.keys()


REFUSED = {
    "nothing there": ("./gone", "/gone, and nothing is there; give a package's own folder"),
    "no name": ("./my-methods", "cannot import a package called 'my-methods'; call it by letters"),
    "a keyword": ("./class", "cannot import a package called 'class'"),
    "a file of a package": ("./mine/__init__.py", "cannot import a package called '__init__'"),
    "no code": ("./empty", "/empty, in which there is no .py file; give the folder in which your code lies"),
    "no module": ("./notes.txt", "cannot import a package called 'notes.txt'"),
    "an installed package": ("./torch", f"another torch first: {Path(spec_of('torch').origin).parent}; rename yours"),
    "a standard module": ("./random.py", f"another random first: {spec_of('random').origin}; rename yours"),
    "one built in": ("./sys", "another sys first: built-in; rename yours"),
    "its": ("./its", f"another its first: {CONF.parent / 'its'}; rename yours"),
    "a script of its": ("./render.py", f"another render first: {CONF.parent / 'scripts' / 'render.py'}"),
    "a folder of the clone": ("./docs", f"another docs first: {CONF.parent / 'docs'}"),
    "another plugin": ("./a/twice,./b/twice", "/b/twice, and Python finds another twice first: .*/a/twice"),
    "one beside another plugin": ("./a/one,./b/two", "/b/two, and Python finds another two first: .*/a/two"),
    "a folder and a file": ("./b/both.py", r"/both\.py, and Python finds another both first: .*/b/both;"),
    "an unknown name": ("nowhere", "no package of that name is installed; .*/path/to/nowhere"),
    "a name of a folder here": ("unpacked", r"no package of that name is installed; .*: plugins=\[.*/unpacked\]"),
    "an address": ("file:///my_methods", "nothing is there"),
}


@pytest.mark.parametrize(("entries", "said"), REFUSED.values(), ids=REFUSED)
def test_plugins_refuse_what_python_would_not_find_there(places: Path, entries: str, said: str):
    for name in (
        "my-methods",
        "class",
        "mine",
        "torch",
        "sys",
        "its",
        "docs",
        "a/twice",
        "b/twice",
        "a/one",
        "unpacked",
    ):
        package(places / name, "part.py")
    for name in ("a/two", "b/two", "unpacked"):
        package(places / name, "part.py")
    package(places / "b" / "both", "__init__.py")
    package(places, "random.py", "render.py", "notes.txt", "mine/__init__.py", "b/both.py")
    (places / "empty" / "conf").mkdir(parents=True)
    with pytest.raises(ValueError, match=said):
        composed([f"plugins=[{entries}]"])


def test_plugins_do_not_name_a_run_by_their_place(places: Path):
    package(places / "one" / "moves", "part.py")
    words = ("search._target_=moves.part.Mine", "+search.note=3")
    first = blueprint_of(places, *words, "plugins=[one/moves]")
    os.rename("one", "other")
    forget(places)
    second = blueprint_of(places, *words, "plugins=[other/moves]")
    assert first.folder == second.folder
    assert "moves" not in str(first.folder)


def test_words_of_a_run_name_places_in_full(places: Path, monkeypatch):
    package(places / "in_full", "part.py")
    (places / "conf dir" / "search").mkdir(parents=True)
    words = ["plugins=[./in_full]", "hydra.searchpath=['file://conf dir']"]
    blueprint = blueprint_of(Path("out"), *words)
    monkeypatch.chdir(CONF.parent / "docs")
    assert set(blueprint.overrides) == {
        f"plugins=[{places}/in_full]",
        f"hydra.searchpath=['file://{places}/conf dir']",
    }
    assert blueprint.command.startswith("python ../run.py ")
    monkeypatch.chdir(places)
    assert blueprint.command.startswith(f"python {CONF.parent / 'run.py'} ")
