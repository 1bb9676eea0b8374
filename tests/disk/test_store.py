"""A run's files of arrays, and the lines that say what they should be."""

import json
import zlib
from hashlib import sha256

import numpy as np
import pytest
from safetensors.numpy import save

from its.disk.array_file import CODECS, digests_of
from its.disk.store import DamagedFile, Store

ZLIB = zlib.compressobj

NAME = "shards/00000000.safetensors"
ARRAYS = {"index": np.arange(4)}


def test_store_reads_lines_of_an_earlier_version(tmp_path):
    Store(tmp_path).write(NAME, ARRAYS)
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text(manifest.read_text().partition(', "check"')[0] + "}\n")
    assert Store(tmp_path).read(NAME)["index"].tolist() == [0, 1, 2, 3]
    assert Store(tmp_path).is_complete()


def test_store_passes_over_half_a_line_and_appends_behind_it(tmp_path):
    store = Store(tmp_path)
    store.note({"first": 0, "images": 1, "seconds": 1.0})
    with (tmp_path / "timing.jsonl").open("a") as file:
        file.write('{"first": 4, "ima')
    store.note({"first": 8, "images": 1, "seconds": 2.0})
    assert [note["first"] for note in Store(tmp_path).notes()] == [0, 8]
    assert not Store(tmp_path).is_complete()


def test_store_names_a_line_of_another_value_once(tmp_path, caplog):
    store = Store(tmp_path)
    store.note({"first": 0, "images": 1, "seconds": 1.0, "type": "cpu"})
    path = tmp_path / "timing.jsonl"
    path.write_text(path.read_text().replace("cpu", "cpv"))
    reader = Store(tmp_path)
    assert reader.notes() == reader.notes() == []
    assert len(caplog.records) == 1
    reader.tidy()
    assert Store(tmp_path).is_complete()
    (kept,) = tmp_path.glob("timing.jsonl.damaged-*")
    assert "cpv" in kept.read_text()


def test_store_writes_nothing_through_a_linked_folder(tmp_path):
    (tmp_path / "theirs").mkdir()
    run = tmp_path / "run"
    run.mkdir()
    (run / "shards").symlink_to(tmp_path / "theirs")
    Store(run).write(NAME, ARRAYS)
    assert list((tmp_path / "theirs").iterdir()) == []
    assert Store(run).read(NAME) is not None
    assert len(list(run.glob("shards.damaged-*"))) == 1


def test_store_copies_the_lines_behind_a_link_and_leaves_them(tmp_path):
    run = tmp_path / "run"
    Store(run).write(NAME, ARRAYS)
    theirs = tmp_path / "theirs"
    (run / "manifest.jsonl").rename(theirs)
    (run / "manifest.jsonl").symlink_to(theirs)
    before = theirs.read_bytes()
    Store(run).write("shards/00000004.safetensors", ARRAYS)
    assert theirs.read_bytes() == before
    assert Store(run).is_complete()


def test_store_knows_a_file_by_its_line_and_its_size(tmp_path):
    Store(tmp_path).write(NAME, ARRAYS)
    path = tmp_path / NAME
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"x")
    assert Store(tmp_path).is_complete(), "sizes are looked at, bytes are not"
    assert list(Store(tmp_path).damage()) == [NAME]
    with pytest.raises(DamagedFile, match=r"is not what manifest\.jsonl says"):
        Store(tmp_path).read(NAME)
    path.write_bytes(content[:-1])
    assert not Store(tmp_path).is_complete()


def test_store_believes_no_line_about_a_file_outside_the_run(tmp_path):
    (tmp_path / "mine").write_text("mine")
    run = tmp_path / "run"
    run.mkdir()
    (run / "manifest.jsonl").write_text('{"file": "../mine", "sha256": "0", "bytes": 4}\n')
    Store(run).put_away()
    assert (tmp_path / "mine").read_text() == "mine"


def test_tidy_leaves_foreign_temporary_files(tmp_path):
    (tmp_path / ".mine.tmp").touch()
    Store(tmp_path).tidy()
    assert (tmp_path / ".mine.tmp").exists()


def test_digests_tell_arrays_whatever_packs_them(tmp_path, monkeypatch):
    images = {"images": np.tile(np.arange(8, dtype=np.uint8), (4, 8, 1))[..., None]}
    here, there = Store(tmp_path / "here"), Store(tmp_path / "there")
    here.write(NAME, images)
    with monkeypatch.context() as other:
        other.setattr(zlib, "compressobj", lambda *given: ZLIB(1))
        there.write(NAME, images)
    assert (tmp_path / "here" / NAME).read_bytes() != (tmp_path / "there" / NAME).read_bytes()
    assert here.digests(NAME) == there.digests(NAME) == digests_of(images)
    assert here.digests(NAME) != digests_of({"images": images["images"] + 1})
    assert here.digests("shards/00000004.safetensors") == {}


@pytest.mark.parametrize("last", [False, True])
def test_store_of_two_machines_with_other_zlibs_reads_whichever_file_stands_there(tmp_path, monkeypatch, last):
    """Both enter their lines, then both put their files, in either order."""
    run, images = tmp_path / "run", {"images": np.zeros((4, 8, 8, 1), np.uint8)}
    files = []
    with monkeypatch.context() as other:
        Store(run).write(NAME, images)
        files.append((run / NAME).read_bytes())
        other.setattr(zlib, "compressobj", lambda *given: ZLIB(0))
        Store(run).write(NAME, images)
        files.append((run / NAME).read_bytes())
    assert files[0] != files[1]
    (run / NAME).write_bytes(files[last])
    for _ in range(2):
        store = Store(run)
        assert store.is_complete()
        assert store.damage() == {}
        assert store.read(NAME)["images"].tobytes() == images["images"].tobytes()
        store.tidy()
    assert len((run / "manifest.jsonl").read_text().splitlines()) == 2


def test_tidy_keeps_one_line_of_a_file_that_was_made_anew(tmp_path):
    store = Store(tmp_path)
    for k in (3, 4, 3, 5):
        store.write(NAME, {"index": np.arange(k)})
    store.tidy()
    assert len((tmp_path / "manifest.jsonl").read_text().splitlines()) == 1
    assert Store(tmp_path).read(NAME)["index"].tolist() == [0, 1, 2, 3, 4]


def test_store_makes_nothing_again_that_a_later_version_has_packed(tmp_path):
    content = save({"index": np.arange(3)}, {CODECS: '{"index": {"codec": "later"}}'})
    path = tmp_path / NAME
    path.parent.mkdir()
    path.write_bytes(content)
    line = {"file": NAME, "sha256": sha256(content).hexdigest(), "bytes": len(content)}
    (tmp_path / "manifest.jsonl").write_text(json.dumps(line) + "\n")
    with pytest.raises(ValueError, match=r"00000000\.safetensors cannot be read: index is packed by codec 'later'"):
        Store(tmp_path).read_intact(NAME)
