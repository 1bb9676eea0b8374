"""What a killed writer has left goes at the next run; what is being written stays."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from its.disk.leftovers import OLD_S, drop_leftovers, temporary_name
from its.disk.npz import write_npz
from its.disk.store import Store, write_atomic
from its.process.source_tree import ROOT
from its.report.report import make_report
from tests.build import make_experiment

WRITER = """
import sys, time
from pathlib import Path
from its.disk.leftovers import temporary_name
temporary_name(Path(sys.argv[1])).write_bytes(b"half")
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture
def writer():
    """Processes that are in the midst of writing a file."""
    processes = []

    def start(path: Path) -> subprocess.Popen:
        path.parent.mkdir(parents=True, exist_ok=True)
        process = subprocess.Popen([sys.executable, "-c", WRITER, path], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()


def temporaries(folder: Path) -> list[Path]:
    return sorted(folder.rglob(".*.tmp"))


def test_drop_leftovers_removes_a_dead_writers_file_and_no_living_ones(tmp_path: Path, writer):
    dead, _ = writer(tmp_path / "a" / "dead.png"), writer(tmp_path / "a" / "living.png")
    dead.kill()
    dead.wait()
    drop_leftovers(tmp_path)
    [left] = temporaries(tmp_path)
    assert "living.png" in left.name


def test_drop_leftovers_knows_another_machines_files_by_their_age_and_leaves_foreign_names(tmp_path: Path):
    here = socket.gethostname()
    young, old = (tmp_path / f".{name}.x.else.where.7.0123abcd.tmp" for name in ("young", "old"))
    foreign = [tmp_path / name for name in (".x.tmp", f".x.{here}.tmp", f".x.{here}.99999999.tmp", ".tmp", "x.tmp")]
    for path in (young, old, *foreign):
        path.touch()
    os.utime(old, (time.time() - OLD_S - 60,) * 2)
    drop_leftovers(tmp_path)
    assert set(tmp_path.iterdir()) == {young, *foreign}


def test_temporary_name_is_that_of_every_writer(tmp_path: Path, monkeypatch):
    import numpy as np

    seen = []
    monkeypatch.setattr(Path, "replace", lambda self, target: seen.append(self.name))
    write_atomic(tmp_path / "a", b"")
    write_npz(tmp_path / "b.npz", {"x": np.zeros(1)})
    for name, path in zip(seen, ("a", "b.npz"), strict=True):
        assert name.startswith(f".{path}.{socket.gethostname()}.{os.getpid()}.")
        assert len(name) == len(temporary_name(tmp_path / path).name)


def test_make_report_and_store_drop_what_a_kill_has_left(tmp_path: Path, writer, capsys):
    run = make_experiment(
        tmp_path, "dataset=mixture", "model=mixture", "images=10", "sampler.steps=2", "~metric.kid", "~metric.prc"
    )
    run.run()
    for path in (tmp_path / "default" / "report" / "index.html", run.folder / "curve.csv"):
        process = writer(path)
        process.kill()
        process.wait()
    assert len(temporaries(tmp_path)) == 2
    make_report(tmp_path / "default")
    assert [path.parent for path in temporaries(tmp_path)] == [run.folder]
    Store(run.folder).tidy()
    assert not temporaries(tmp_path)
