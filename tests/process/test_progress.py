"""How far a run is, in a process's own words and in those of one that watches others."""

import fcntl
import logging
import os
import pty
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from its.process import alive as signs
from its.process import board as boards
from its.process.alive import alive, tell
from its.process.board import Board
from its.process.progress import Count, Progress, in_words
from its.process.source_tree import ROOT

SHOW = """
import logging, sys, time
from pathlib import Path
from its.process import alive as signs, board
from its.process.board import Board
from its.process.streams import keep_streams
keep_streams()
logging.basicConfig(level="INFO", stream=sys.stdout, format="%(message)s")
board.REFRESH_S = signs.BEAT_S = 0.05
with signs.alive(Path("run")), Board() as shown:
    signs.tell(images=10, missing=8, made=4, nfe=40, seconds=2.0)
    with shown.watching("search=a", Path("run")), shown.watching("search=b", Path("other")):
        time.sleep(0.5)
        logging.getLogger().info("a line of the log")
        time.sleep(0.3)
"""


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_count_adds_up_processes_that_share_a_run():
    both = Count.of([Count(100, 80, 30, 300, 10.0), Count(100, 80, 10, 100, 8.0)])
    assert both == Count(100, 80, 40, 400, 10.0)
    assert both.line() == "60/100 images, 4.0 images/s, 40 NFE/s, 10 s left"
    assert Count.of([Count(100, 80, 79, 0, 1.0), Count(100, 80, 10, 0, 1.0)]).done == 100, "made twice counts once"
    assert Count(100, 80).line() == "20/100 images"


def test_in_words_says_what_comes_before_and_after_the_images():
    assert in_words([{}, {}]) == "starting"
    assert in_words([vars(Count(9, 9, 9, 9, 9.0)), {}]) == "9/9 images, measuring"
    assert in_words([vars(Count(9, 9, 3, 9, 1.0)), {}]).startswith("3/9 images, 3.0 images/s")


def test_progress_counts_images_that_were_there_before(caplog):
    caplog.set_level("INFO")
    progress = Progress(images=10, missing=4)
    for number in range(4):
        progress.update(nfe=5 * (number + 1))
    progress.close()
    assert "10/10 images, " in caplog.text
    assert ", 0 s left" in caplog.text


def test_progress_is_silent_where_another_process_shows_it(caplog, monkeypatch):
    monkeypatch.setenv("ITS_RANK", "0")
    caplog.set_level("INFO")
    Progress(images=1, missing=1).close()
    assert not caplog.text


def test_board_logs_a_line_for_each_run_and_says_which_it_is(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(boards, "INTERVAL_S", 0.05)
    monkeypatch.setattr(signs, "BEAT_S", 0.02)
    caplog.set_level(logging.INFO)
    with alive(tmp_path / "a"), Board() as board:
        with board.watching("search=a", tmp_path / "a"), board.watching("search=b", tmp_path / "b"):
            tell(**vars(Count(10, 8, 4, 40, 2.0)))
            shown = {"search=a: 6/10 images, 2.0 images/s, 20 NFE/s, 2 s left", "search=b: starting"}
            until(lambda: shown <= {record.message for record in caplog.records})
        caplog.clear()
        time.sleep(0.2)
    assert not caplog.records, "runs that are over"


@pytest.mark.long
def test_board_on_a_terminal_keeps_a_line_for_each_run_below_the_log(tmp_path: Path):
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", SHOW]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=terminal, stderr=terminal, env=environment)
    os.close(terminal)
    text = b""
    while chunk := _read(controller):
        text += chunk
    assert process.wait() == 0
    shown = text.decode()
    assert "search=a: 6/10 images, 2.0 images/s, 20 NFE/s, 2 s left" in shown
    assert "search=b: starting" in shown
    assert "\x1b[A" in shown, "the cursor goes back up to the first line"
    assert "\x1b[Aa line of the log\r\n" in shown, "above them, once they are taken away"


def _read(controller: int) -> bytes:
    try:
        return os.read(controller, 4096)
    except OSError:  # the other side is closed
        return b""
