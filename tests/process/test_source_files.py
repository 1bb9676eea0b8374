"""A source is files by content: what modules are made from, and nothing that is installed."""

import sys
from pathlib import Path

import pytest

from its.process import beside, modules, source_files
from its.process.source_files import SourceFiles

PACKAGE = {
    "mine/__init__.py": "",
    "mine/search.py": "import os\nfrom typing import TYPE_CHECKING\nfrom . import near\nfrom mine.far import f as g\n"
    "if TYPE_CHECKING:\n    import mine.never\nfrom its import guess_from\nimport numpy\n",
    "mine/near.py": "def late():\n    try:\n        import beside\n    finally:\n        pass\n",
    "mine/far.py": "from .deep.down import x\nf = 1\n",
    "mine/deep/__init__.py": "",
    "mine/deep/down.py": "x = 1\n",
    "mine/never.py": "",
    "mine/other.py": "",
    "beside.py": "",
    "byname.py": "import importlib\n",
    "lots/__init__.py": "",
    "lots/a.py": "import importlib\nb = importlib.import_module('lots.b')\n",
    "lots/b.py": "",
}

REACHED = {"mine", "mine.search", "mine.near", "mine.far", "mine.deep", "mine.deep.down", "beside"}


def forget() -> None:
    """Let this process find files anew, as another would."""
    for cached in (modules.spec_of, source_files.digest_of, source_files._imported, source_files._installed):
        cached.cache_clear()
    source_files._lazy_names.cache_clear()
    beside.files_beside.cache_clear()
    beside.parsed.cache_clear()


@pytest.fixture
def package(tmp_path: Path, monkeypatch) -> Path:
    for name, text in PACKAGE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in PACKAGE:
        monkeypatch.delitem(sys.modules, name.split("/")[0].removesuffix(".py"), raising=False)  # another test's
    forget()
    yield tmp_path
    forget()


@pytest.mark.usefixtures("package")
def test_source_files_follow_imports_wherever_they_stand():
    found = set(SourceFiles.of(["mine.search"]).digests)
    assert {module for module in found if module.partition(".")[0] != "its"} == REACHED
    assert "its.model.denoiser" in found, "where its.guess_from is defined"
    assert "its" not in found
    assert "its.report.frame" not in found, "the face imports it for load_sweep alone"
    assert "mine" not in sys.modules


@pytest.mark.usefixtures("package")
def test_source_files_leave_apart_what_is_not_named():
    whole = SourceFiles.of(["mine.search"], lambda module: module in ("mine.far", "mine.search"))
    assert REACHED - set(whole.digests) == {"mine.far", "mine.deep", "mine.deep.down"}


@pytest.mark.usefixtures("package")
def test_source_files_take_the_package_of_a_module_that_imports_by_name():
    assert set(SourceFiles.of(["lots.a"]).digests) == {"lots", "lots.a", "lots.b"}


ODD = {
    "whole": ("import its\nclass Mine(its.Search):\n    pass\n", {"its.search.search"}),
    "star": ("from its import *\nclass Mine(Search):\n    pass\n", {"its.search.search"}),
    "by name": ("from importlib import import_module\nx = import_module('beside').x\n", {"beside"}),
    "folder without init": ("from spread.out import x\n", {"spread.out"}),
    "in such a folder": ("import spread.more.far\n", {"spread.more.far"}),
    "not Python": ("try:\n    import old\nexcept SyntaxError:\n    pass\n", {"old"}),
    "tables": (
        "from pathlib import Path\ndef x(k):\n    return (Path(__file__).parent / 'spread' / f't{k}.json').open()\n",
        {"odd:spread/t1.json", "odd:spread/t2.json"},
    ),
    "resource": ("import importlib.resources as r\nx = r.files('spread') / 't1.json'\n", {"odd:spread/t1.json"}),
    "executed": ("exec(open(__file__.replace('odd', 'x')).read())\nHERE = 'beside.py'\n", {"odd:beside.py"}),
}


@pytest.mark.parametrize("kind", ODD)
def test_source_files_see_what_is_read_in_odd_ways(package: Path, kind: str):
    text, expected = ODD[kind]
    for name in ("more/far.py", "out.py", "t1.json", "t2.json", "u.json"):
        (package / "spread" / name).parent.mkdir(parents=True, exist_ok=True)
        (package / "spread" / name).write_text("x = 1\n")
    (package / "old.py").write_text("print 'of Python 2'\n")
    (package / "odd.py").write_text(text)
    whole = SourceFiles.of(["odd"])
    theirs = {name for name in whole.digests if not name.startswith("its")}
    assert theirs == {"odd"} | {name for name in expected if not name.startswith("its")}
    assert expected <= set(whole.digests)
    assert SourceFiles.read(whole.text) == whole
    for name in expected & theirs:
        path = package / (name.partition(":")[2] or f"{name.replace('.', '/')}.py")
        path.write_text("x = 2\n")
        forget()
        assert SourceFiles.of(["odd"]).differences(whole) == [name]
        path.write_text("x = 1\n" if name != "old" else "print 'of Python 2'\n")


@pytest.mark.parametrize("name", ["mine/search.py", "mine/deep/__init__.py", "beside.py"])
def test_source_files_have_another_name_after_an_edit(package: Path, name: str):
    before = SourceFiles.of(["mine.search"])
    (package / name).write_text((package / name).read_text() + "# edited\n")
    assert SourceFiles.of(["mine.search"]).name == before.name, "what is loaded counts"
    assert before.is_here
    forget()
    after = SourceFiles.of(["mine.search"])
    assert after.name != before.name
    assert not before.is_here
    assert before.differences(after) == [name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")]


def test_source_files_keep_their_name_beside_other_files_and_elsewhere(package: Path, monkeypatch):
    before = SourceFiles.of(["mine.search"])
    (package / "mine" / "other.py").write_text("edited = 1\n")
    (package / "mine" / "new.py").touch()
    (package / "away").mkdir()
    for name in ("mine", "beside.py"):
        (package / name).rename(package / "away" / name)
    monkeypatch.syspath_prepend(str(package / "away"))
    forget()
    assert SourceFiles.of(["mine.search"]).name == before.name


@pytest.mark.usefixtures("package")
def test_source_files_are_read_as_they_were_written():
    source = SourceFiles.of(["mine.search"])
    assert SourceFiles.read(source.text) == source
    assert SourceFiles.read(source.text).name == source.name
