"""A terminal without signs, a reader that is gone, a disk that is full: a process prints what it can and goes on."""

import os
import subprocess
import sys

import pytest

from its.process.command import command
from its.process.source_tree import ROOT

PRINTS = r"""
import logging, sys
from its.process.streams import keep_streams
keep_streams()
keep_streams()
logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s")
for k in range(2000):
    print("FID \u2193 1.0 \xb1 0.1 \u2500 \u6f22")
    logging.info("\xb1 %d", k)
sys.stdout.flush()
print("the end", file=sys.stderr)
"""


def printing(redirection: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", f'"$0" -c "$1" {redirection}', sys.executable, PRINTS],
        cwd=ROOT,
        env={**os.environ, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
    )


@pytest.mark.parametrize("environment", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C"}, {"LC_ALL": "POSIX"}])
def test_keep_streams_says_it_in_ascii_where_there_is_nothing_else(environment):
    done = printing("", **environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "FID v 1.0 +- 0.1 - ?"
    assert done.stderr == "the end\n"


HOSTILE = """
import logging, sys
from its.process.streams import keep_streams
keep_streams()
logging.basicConfig(stream=sys.stderr, format="%(message)s")
print("a\\x1b[31mred\\tb\\rc")
logging.error("\\x1b]0;title\\x07 \\x9b2J\\nline")
sys.stdout.writelines(["\\x1b[2J\\n"])
"""


def test_keep_streams_shows_signs_that_would_command_the_terminal():
    """Text of a run (a model's error, the name of a folder of images) may hold them."""
    command = [sys.executable, "-c", HOSTILE]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONIOENCODING": "utf-8"}, capture_output=True)
    assert done.stdout == rb"a\x1b[31mred" b"\tb\rc\n" rb"\x1b[2J" b"\n"
    assert done.stderr == rb"\x1b]0;title\x07 \x9b2J" b"\nline\n"


def test_keep_streams_leaves_utf_8_as_it_is():
    done = printing("", PYTHONIOENCODING="utf-8")
    assert done.stdout.splitlines()[0] == "FID ↓ 1.0 ± 0.1 ─ 漢"


@pytest.mark.parametrize(
    "redirection", ["> /dev/full", ">&-", "| true; exit ${PIPESTATUS[0]}", "| head -1; exit ${PIPESTATUS[0]}"]
)
def test_keep_streams_outlives_its_reader(redirection: str):
    done = printing(redirection, PYTHONIOENCODING="utf-8")
    assert done.returncode == 0, done.stderr
    assert done.stderr == "the end\n"


def test_keep_streams_outlives_both_streams():
    assert printing("> /dev/full 2> /dev/full").returncode == 0
    assert printing(">&- 2>&-").returncode == 0


def test_command_ends_ctrl_c_with_one_line(capsys):
    @command
    def main() -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as ending:
        main()
    assert ending.value.code == 130
    assert capsys.readouterr().err == "SIGINT: leaving\n"
