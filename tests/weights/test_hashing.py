"""Weights are read once: what is remembered of a file holds for as long as nothing about it has changed."""

import builtins
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from its.weights import fingerprint, hashing
from its.weights.hashing import sha256_of_file

ROOT = Path(__file__).parents[2]
ANSWER = "import sys; from its.weights import fingerprint; print(*map(fingerprint, sys.argv[1:]))"


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that has settled long ago, before a cache of its own; each call is that of another process."""
    monkeypatch.setenv("ITS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(hashing.time, "time", lambda: time.time_ns() / 1e9 + 3600)
    monkeypatch.setattr(hashing, "_sha256", hashing._sha256.__wrapped__)
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"a" * 1000)
    return path


@pytest.fixture
def opened() -> Iterator[list[str]]:
    """Names of the files that are opened, in order, by whatever call of Python's."""
    names, watching = list[str](), [True]  # a hook cannot be taken away
    sys.addaudithook(lambda event, given: names.append(str(given[0])) if watching and event == "open" else None)
    yield names
    watching.clear()


def test_sha256_of_file_reads_no_byte_the_second_time(weights, opened):
    before = sha256_of_file(weights)
    assert str(weights) in opened
    opened.clear()
    assert sha256_of_file(weights) == before == sha256(b"a" * 1000).hexdigest()
    assert opened
    assert str(weights) not in opened


def rewritten(path: Path) -> None:
    """Other bytes of the same number, at the same time, in the same inode: only ctime tells."""
    status = path.stat()
    path.write_bytes(b"b" * 1000)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def replaced(path: Path) -> None:
    """Another file of the same size and time under the same name."""
    status, other = path.stat(), path.with_name("other")
    other.write_bytes(b"b" * 1000)
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(path)


def linked(path: Path) -> None:
    """A link in the file's place, to another."""
    replaced(path.rename(path.with_name("first")))
    path.symlink_to(path.with_name("first"))


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_bytes(b"b" * 1000),
        lambda path: path.write_bytes(b"a" * 999),
        lambda path: path.open("ab").write(b"b"),
        rewritten,
        replaced,
        linked,
    ],
)
def test_sha256_of_file_sees_every_change(weights, change: Callable[[Path], object]):
    before = sha256_of_file(weights)
    change(weights)
    assert sha256_of_file(weights) == sha256(weights.read_bytes()).hexdigest() != before


@pytest.mark.parametrize("field", ["size", "mtime", "ctime", "inode", "path"])
def test_sha256_of_file_believes_a_note_of_this_very_file_alone(weights, tmp_path, field):
    """Each part of the key is compared, whatever a real disk would change together."""
    true = sha256_of_file(weights)
    [note] = (tmp_path / "cache" / "weights").iterdir()
    entry = {key: value for key, value in json.loads(note.read_text()).items() if key != "check"} | {"sha256": "0" * 64}
    note.write_text(json.dumps(entry))
    assert sha256_of_file(weights) == "0" * 64, "a note of before, without a checksum, is believed"
    note.write_text(json.dumps(entry | {field: entry[field] * 2}))
    assert sha256_of_file(weights) == true


def test_sha256_of_file_remembers_nothing_of_a_file_that_has_only_just_changed(weights, tmp_path, monkeypatch):
    for seconds in (0.0, 9.0, -3600.0):
        monkeypatch.setattr(hashing.time, "time", lambda seconds=seconds: weights.stat().st_mtime + seconds)
        sha256_of_file(weights)
        assert not (tmp_path / "cache").exists()
    monkeypatch.setattr(hashing.time, "time", lambda: weights.stat().st_mtime + 60)
    sha256_of_file(weights)
    assert (tmp_path / "cache").exists()


def test_sha256_of_file_remembers_nothing_of_a_file_that_changes_while_it_is_read(weights, tmp_path, monkeypatch):
    whole = hashing.file_digest
    monkeypatch.setattr(hashing, "file_digest", lambda *given: (whole(*given), weights.write_bytes(b"c"))[0])
    sha256_of_file(weights)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"sha256": 3}', b'{"sha256": "x"}'])
def test_sha256_of_file_passes_over_a_damaged_note(weights, tmp_path, content):
    true = sha256_of_file(weights)
    [note] = (tmp_path / "cache" / "weights").iterdir()
    whole = note.read_bytes()
    for damaged in (content, whole[: len(whole) // 2], whole.replace(b"a", b"b", 1)):
        note.write_bytes(damaged)
        assert sha256_of_file(weights) == true
        assert note.read_bytes() == whole, "it is written anew"


@pytest.mark.parametrize("cache", ["/proc/nowhere", "{tmp}/a file/below"])
def test_sha256_of_file_needs_no_cache(weights, tmp_path, monkeypatch, cache):
    (tmp_path / "a file").touch()
    monkeypatch.setenv("ITS_CACHE", cache.format(tmp=tmp_path))
    assert sha256_of_file(weights) == sha256(b"a" * 1000).hexdigest()


def test_fingerprint_of_a_folder_remembers_each_of_its_files(weights, tmp_path, opened):
    folder = tmp_path / "pipeline"
    for name in ("unet/a.safetensors", "vae/a.safetensors", "model_index.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    before = fingerprint(str(folder))
    opened.clear()
    assert fingerprint(str(folder)) == before
    assert not [name for name in opened if name.startswith(str(folder))]
    rewritten(folder / "vae/a.safetensors")
    assert fingerprint(str(folder)) != before


@pytest.mark.long
def test_fingerprint_is_the_same_of_twenty_processes_at_once(tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(os.urandom(20_000_000))
    time.sleep(hashing.SETTLED_S + 1)
    environment = {**os.environ, "ITS_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", ANSWER, str(path)]
    processes = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(20)]
    assert {process.communicate()[0].strip() for process in processes} == {sha256(path.read_bytes()).hexdigest()}
    [note] = (tmp_path / "cache" / "weights").iterdir()
    assert json.loads(note.read_text())["sha256"] == sha256(path.read_bytes()).hexdigest()


def test_opened_sees_what_is_opened(weights, opened):
    builtins.open(weights).close()
    assert str(weights) in opened
