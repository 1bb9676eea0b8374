"""Libraries ask for a temporary folder; where the machine has none, a run brings its own."""

import os
import tempfile
from pathlib import Path

from its.process.scratch import need_temporary_folder


def test_need_temporary_folder_leaves_one_that_is_there(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    need_temporary_folder(tmp_path / "out")
    assert tempfile.gettempdir() == str(tmp_path)
    assert not (tmp_path / "out").exists()


def test_need_temporary_folder_says_and_makes_its_own_where_all_are_full(tmp_path: Path, monkeypatch, caplog):
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/proc/nowhere"])
    monkeypatch.setenv("TMPDIR", "/proc/nowhere")
    need_temporary_folder(tmp_path)
    assert "No usable temporary directory found in ['/proc/nowhere']" in caplog.text
    assert Path(tempfile.mkdtemp()).parent == tmp_path / ".tmp"
    assert os.environ["TMPDIR"] == str(tmp_path / ".tmp")
