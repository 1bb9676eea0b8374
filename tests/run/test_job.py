"""A command's last word is what went wrong in it, whatever older results there are to show."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.build import CONF, make_experiment

SIZE = ("images=8", "shard=4", "sampler.steps=2", "budget.samplings=[1]", "~metric.kid", "~metric.prc", "~metric.isc")

OWN = """
from dataclasses import dataclass
from its import advance
from its.search.random import Random
@dataclass(frozen=True)
class Own(Random):
    def run(self, image):
        yield advance(image.start())
        raise KeyError("a mistake of mine")
"""


def run(out_dir: Path, *words: str, **environment: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "run.py", f"out_dir={out_dir}", *SIZE, *words],
        cwd=CONF.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
    )
    return done.returncode, done.stdout.rstrip()


def test_refused_run_ends_with_its_error_and_not_with_an_older_table(tmp_path):
    make_experiment(tmp_path, *SIZE).run()
    code, said = run(tmp_path, "shard=2", "reporting=each")
    assert code == 1
    assert "random " in said, "the report of what is there"
    assert said.splitlines()[-1].startswith("failed: ValueError: ")
    assert "shard" in said.splitlines()[-1]


@pytest.mark.long
@pytest.mark.parametrize("words", [["workers=2"], ["-m", "search=own,none"]], ids=["workers", "sweep"])
def test_mistake_in_a_search_is_told_once_with_its_traceback(tmp_path, words):
    (tmp_path / "mine.py").write_text(OWN)
    (tmp_path / "conf" / "search").mkdir(parents=True)
    (tmp_path / "conf" / "search" / "own.yaml").write_text("_target_: mine.Own\n")
    place = f"hydra.searchpath=[file://{tmp_path / 'conf'}]"
    code, said = run(tmp_path / "out", "search=own", f"plugins=[{tmp_path / 'mine.py'}]", place, *words)
    assert code == 1
    assert said.count("a mistake of mine") == 2, "its line in the traceback, and its message"
    assert "mine.py:9: Own, image 0: raised KeyError: 'a mistake of mine'" in said
    assert said.splitlines()[-1] == '    raise KeyError("a mistake of mine")'
