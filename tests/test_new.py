"""The files that `scripts/new.py` writes run and pass their test; a name that would break them is refused."""

import shlex
from pathlib import Path

import pytest

from scripts.new import KINDS, check_name, class_name
from tests.forked import Finished, forked
from tests.pages import ROOT
from tests.test_readme import rows

SMALL = ("images=4", "shard=4", "sampler.steps=4", "metric=fid", "reporting=none")


def new(folder: Path, *words: str) -> Finished:
    return forked(["python", str(ROOT / "scripts" / "new.py"), *words], folder)


def test_new_search_runs_and_passes_its_test(tmp_path: Path):
    written = new(tmp_path, "search", "greedy", "--into", "ours")
    assert written.code == 0, written.text
    *files, run, test = written.text.splitlines()
    names = ("ours/greedy.py", "ours/conf/search/greedy.yaml", "ours/test_greedy.py")
    assert files == [str(tmp_path / name) for name in names]
    assert not [file for file in files if "thinning" in Path(file).read_text().lower()]
    assert "my_methods" not in run + test

    # Run it from elsewhere, less the search that it is compared with, and test it.
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    single = [word.replace("random,", "") for word in shlex.split(run) if word != "-m"]
    done = forked([*single, *SMALL], elsewhere)
    assert [row["method"] for row in rows(done.text)] == ["greedy", "greedy"], done.text
    place, _, words = test.partition(" && ")
    done = forked(shlex.split(words), Path(place.removeprefix("cd ")))
    assert (done.code, "2 passed" in done.text) == (0, True), done.text


@pytest.mark.parametrize("kind", KINDS)
def test_new_overwrites_nothing(tmp_path: Path, kind: str):
    assert new(tmp_path, kind, "greedy").code == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert len(before) == 3
    next(path for path in before if path.name == "greedy.py").unlink()
    again = new(tmp_path, kind, "greedy")
    assert (again.code, "is there already; choose another name" in again.text) == (1, True)
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == {
        path for path in before if path.name != "greedy.py"
    }


def test_new_needs_a_package_that_python_can_import(tmp_path: Path):
    for folder in ("c-d", "torch"):
        refused = new(tmp_path, "search", "greedy", "--into", folder)
        assert (refused.code, "its last part names your package" in refused.text) == (1, True)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Greedy", "it has small letters"),
        ("2x", "it has small letters"),
        ("greedy-2", "it has small letters"),
        ("../greedy", "it has small letters"),
        ("import", "no word of Python or YAML"),
        ("true", "no word of Python or YAML"),
        ("null", "no word of Python or YAML"),
        ("inf", "no word of Python or YAML"),
        ("random", "search=random is a choice of `its` already"),
        ("torch", "torch is a package or module already"),
        ("types", "types is a package or module already"),
        ("my_methods", "my_methods is a package or module already"),
        ("search", "the class of search would be Search"),
    ],
)
def test_new_refuses_a_name(name: str, reason: str):
    with pytest.raises(ValueError, match=reason):
        check_name("search", name, Path("my_methods"), {"Search", "Engine"})


def test_new_takes_a_name_that_only_prose_has():
    check_name("search", "drop_2", Path("my_methods"), {"Search"})
    assert class_name("drop_2") == "Drop2"
