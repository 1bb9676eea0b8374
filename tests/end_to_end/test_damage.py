"""Whatever becomes of a finished run's files: the same command repairs it, or names it; never silence, never stuck.

The run is small and has everything: shards, candidates, features of both, curve, pictures, a report of its experiment.
After each damage the same command runs again with `verify=true`, in this process, and the report is made again. Then

- every file holds the bytes that it held before. Only where a shard was made again, or a line of the timing file was
  lost, which must be named, may seconds differ: files that tell of them are compared without (`timeless`);
- the command, once more, says that nothing is left to do.
"""

import csv
import io
import json
import logging
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from its.report.report import make_report
from its.run import job
from tests.build import blueprint_of, make_experiment

WORDS = (
    "images=8",
    "shard=4",
    "batch=16",
    "dataset=mixture",
    "model=mixture",
    "dataset.images.std=0.5",
    "sampler.steps=4",
    "search=random",
    "budget.samplings=[1,2]",
    "keep_candidates=true",
    "~metric.prc",
    "~metric.isc",
    "metric.kid.subsets=2",
)
DERIVED = ("timing.jsonl", "inputs.json", "index.html", "curves.parquet", "table.md", "table.tex")
DERIVED = (*DERIVED, *(f"{figure}.{kind}" for figure in ("fid_vs_seconds", "pareto") for kind in ("pdf", "png")))
"""Files that tell of seconds throughout."""

Damage = Callable[[bytes, random.Random], bytes]


class Here:
    """The same in this process: what `run.py` does once Hydra has composed the configuration.

    Args:
        reports: whether the experiment's report is made too.
    """

    def __init__(self, out_dir: Path, caplog: pytest.LogCaptureFixture, *, reports: bool) -> None:
        self.out_dir, self.caplog, self.reports = out_dir, caplog, reports

    def __call__(self) -> str:
        """Run with verify=true, and report; return what was said."""
        self.caplog.clear()
        with self.caplog.at_level(logging.INFO):
            blueprint = blueprint_of(self.out_dir, *WORDS, "verify=true")
            blueprint.check_folder()
            sentence = job._finished(blueprint)
            if sentence:
                logging.info(sentence)
            else:
                run = make_experiment(self.out_dir, *WORDS, "verify=true")
                run.run()
                run.files.store.put_away()
            if self.reports:
                make_report(self.out_dir / "default")
        return self.caplog.text

    def files(self) -> dict[str, bytes]:
        """Every file but what was set aside, by its path."""
        paths = [path for path in sorted(self.out_dir.rglob("*")) if path.is_file() and ".damaged-" not in str(path)]
        names = {path.relative_to(self.out_dir).as_posix(): path.read_bytes() for path in paths}
        return {name: content for name, content in names.items() if self.reports or "/report/" not in name}

    def restore(self, whole: dict[str, bytes]) -> None:
        """Put everything back."""
        for name, content in whole.items():
            (self.out_dir / name).write_bytes(content)
        for path in sorted(self.out_dir.rglob("*.damaged-*")):
            path.unlink()


def flip(content: bytes, luck: random.Random) -> bytes:
    place, bit = luck.randrange(len(content)), luck.randrange(8)
    return content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :]


def cut(content: bytes, luck: random.Random) -> bytes:
    return content[: luck.randrange(len(content))]


def timeless(name: str, content: bytes) -> Any:
    """A file's content without seconds; nothing of a file that is full of them."""
    file = Path(name).name
    if file in DERIVED:
        return None
    if file in ("curve.csv", "curves.csv"):
        return [{**row, "seconds": ""} for row in csv.DictReader(io.StringIO(content.decode()))]
    if file == "metrics.json":
        summary = json.loads(content)
        summary["curve"] = [{**row, "seconds": None} for row in summary["curve"]]
        summary["files"] |= dict.fromkeys(("timing.jsonl", "curve.csv"))
        return {**summary, "check": ""}
    return content


def damaged(whole: dict[str, bytes], damage: Damage, times: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Yield one damaged file after another; they take turns, so that none is spared."""
    luck = random.Random(seed)
    names = [name for _ in range(1 + times // len(whole)) for name in luck.sample(sorted(whole), len(whole))]
    yield from ((name, damage(whole[name], luck)) for name in names[:times])


def survive(here: Here, damage: Damage, times: int, seed: int) -> None:
    """Damage, run again, compare, run once more, restore."""
    whole = here.files()
    for name, content in damaged(whole, damage, times, seed):
        (here.out_dir / name).write_bytes(content)
        said, after = here(), here.files()
        assert {Path(other).name for other in after.keys() ^ whole.keys()} <= set(DERIVED), name

        # The same bytes, but for seconds where they were measured again or lost.
        changed = {other for other in after.keys() & whole.keys() if after[other] != whole[other]}
        if changed:
            assert " images/s" in said or "timing.jsonl" in said, (name, changed)
            assert not [other for other in changed if timeless(other, after[other]) != timeless(other, whole[other])], (
                name
            )
        if name.endswith("timing.jsonl"):
            assert "timing.jsonl" in said
        assert "nothing to do: 8 images and their curve are there" in here(), name
        here.restore(whole)


@pytest.fixture(scope="module")
def out_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The out_dir of a finished run, and of its experiment's report where a test has made it."""
    folder = tmp_path_factory.mktemp("whole")
    make_experiment(folder, *WORDS).run()
    return folder


@pytest.fixture
def finished(out_dir: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Path]:
    """The same, put back afterwards."""
    here = Here(out_dir, caplog, reports=True)
    whole = here.files()
    yield out_dir
    for path in sorted(out_dir.rglob("*.damaged-*")):
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
    here.restore(whole)


def test_verify_repairs_or_names_damaged_files(finished, caplog):
    here = Here(finished, caplog, reports=False)
    survive(here, flip, 14, seed=0)
    survive(here, cut, 6, seed=1)


def folder(path: Path) -> None:
    path.mkdir()
    (path / "mine").touch()


KINDS: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.touch(),
    "gone": lambda path: None,
    "NUL": lambda path: path.write_bytes(bytes(100)),
    "no UTF-8": lambda path: path.write_bytes(b"\xff\xfe{"),
    "foreign JSON": lambda path: path.write_text('{"images": [1], "curve": {}, "file": 1}\n'),
    "deep JSON": lambda path: path.write_text("[" * 100_000),
    "a folder": folder,
    "a loop": lambda path: path.symlink_to(path.name),
    "a link": lambda path: path.symlink_to(elsewhere(path)),
}
NAMES = ("config.yaml", "curve.csv", "metrics.json", "per_image.safetensors", "manifest.jsonl", "timing.jsonl")
NAMES = (*NAMES, "shards/00000000.safetensors", "pool/00000004.safetensors", "curve.png", "samples_4.png")
PAIRS = [(name, kind) for name in NAMES for kind in KINDS]
OFTEN = [pair for k, pair in enumerate(PAIRS) if k % 13 == 0]


def elsewhere(path: Path) -> Path:
    """Somebody else's file, beside the experiment."""
    target = path.parents[[parent.name for parent in path.parents].index("default") + 1] / "mine"
    target.write_text("mine")
    return target


@pytest.mark.parametrize(
    ("name", "kind"), [pair if pair in OFTEN else pytest.param(*pair, marks=pytest.mark.long) for pair in PAIRS]
)
def test_verify_repairs_what_stands_in_the_place_of_a_file(finished, caplog, name, kind):
    here = Here(finished, caplog, reports=False)
    whole = here.files()
    (path,) = finished.rglob(name)
    path.unlink()
    KINDS[kind](path)
    said, after = here(), here.files()
    assert path.name in said or after == whole
    mine = finished / "mine"
    assert not mine.exists() or mine.read_text() == "mine", "nothing is written through a link"
    mine.unlink(missing_ok=True)
    assert whole.keys() - after.keys() <= {name for name in whole if name.endswith("timing.jsonl")}
    both = after.keys() & whole.keys()
    assert [other for other in both if timeless(other, after[other]) != timeless(other, whole[other])] == []
    assert "nothing to do: 8 images and their curve are there" in here()


@pytest.mark.long
@pytest.mark.parametrize(("damage", "times"), [(flip, 200), (cut, 50)])
def test_verify_repairs_or_names_damaged_files_of_run_and_report(finished, caplog, damage, times):
    make_report(finished / "default")
    survive(Here(finished, caplog, reports=True), damage, times, seed=2)
