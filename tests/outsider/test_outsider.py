"""A stranger's package, copied to a folder outside the clone and run from another, by the words of README and pages.

`shapes/` has its own flow-matching transformer on its own noise path and in its own file format, grey drawings in
closed form, a verifier, a network that measures, and a search. Of `its` it knows the public face alone.
"""

import ast
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest

import its
from tests.build import contents, numbers
from tests.forked import Finished, forked
from tests.pages import ROOT
from tests.test_readme import rows

HERE = Path(__file__).parent / "shapes"

OWN = ("dataset=drawings", "model=vit", "sampler=euler", "verifier=taste")
CAPS = "budget.samplings=[1,2]"


class Outside(NamedTuple):
    """A stranger's place: the package and its weights in one folder, and another that commands are typed in."""

    package: Path
    weights: Path
    elsewhere: Path

    @property
    def words(self) -> list[str]:
        """What stands in every command: whose code may run, and where choices are."""
        return [f"plugins=[{self.package}]", f"hydra.searchpath=[file://{self.package}/conf]"]

    def __call__(self, script: str, *words: str) -> Finished:
        """Run a script of the clone."""
        command = ["python", str(ROOT / script), *words, *self.words]
        return forked(command, self.elsewhere, ITS_WEIGHTS=str(self.weights))

    def start(self, script: str, *words: str) -> subprocess.Popen:
        """Start it in a process of its own."""
        return subprocess.Popen(
            [sys.executable, str(ROOT / script), *words, *self.words],
            cwd=self.elsewhere,
            env={**os.environ, "OMP_NUM_THREADS": "1", "ITS_WEIGHTS": str(self.weights)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, experiment: str) -> Path:
        """The folder of the only run of an experiment."""
        [config] = (self.elsewhere / "outputs" / experiment).rglob("seed=*/config.yaml")
        return config.parent


def done(finished: Finished) -> str:
    """The text of a command that has ended well."""
    assert finished.code == 0, finished.text
    return finished.text


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Outside:
    """The package outside the clone, trained there by its own script."""
    home = tmp_path_factory.mktemp("stranger")
    place = Outside(home / "shapes", home / "weights", home / "elsewhere")
    shutil.copytree(HERE, place.package, ignore=shutil.ignore_patterns("__pycache__"))
    for folder in (place.weights, place.elsewhere):
        folder.mkdir()
    done(forked(["python", "-m", "shapes.train", str(place.weights)], home))
    return place


@pytest.mark.parametrize("file", sorted(HERE.glob("*.py")), ids=lambda file: file.stem)
def test_outsider_knows_the_public_face_alone(file: Path):
    """But for the solver's check, which is a test: the pages name rooms for those."""
    statements = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ImportFrom)]
    named = {alias.name for node in statements if node.module == "its" for alias in node.names}
    assert named <= set(its.__all__)
    rooms = {node.module for node in statements if str(node.module).startswith("its.")}
    assert not rooms or file.stem == "check"


def test_outsider_network_is_sampled_as_by_its_own_solver(outside: Outside):
    command = ["python", "-m", "shapes.check", str(outside.weights / "vit.npz")]
    differences = re.findall(r"class \d: (\S+)", done(forked(command, outside.package.parent)))
    assert len(differences) == 4
    assert max(map(float, differences)) < 1e-5


def test_outsider_plans_and_tries_a_sweep(outside: Outside):
    words = ("search=random,scouts", *OWN, CAPS, "images=20", "name=first")
    plan = done(outside("run.py", "-m", *words, "plan=true"))
    lines = [line.split()[0] for line in plan.splitlines() if " NFE to spend" in line]
    assert lines[:2] == ["random", "scouts"], "and the sweep's total"
    assert "400 NFE to spend" in plan
    assert not [*(outside.elsewhere / "outputs").glob("[!.]*")]
    table = rows(done(outside("run.py", *words[1:], "search=scouts", "smoke=true")))
    assert [row["NFE cap"] for row in table] == ["4", "8"]
    assert outside.run("smoke").is_relative_to(outside.elsewhere / "outputs" / "smoke" / "first" / "drawings")


def test_outsider_run_is_killed_and_resumed(outside: Outside):
    words = ("search=scouts", *OWN, CAPS, "images=160", "shard=8", "batch=8", "metric=fid")
    process = outside.start("run.py", *words, "name=killed")
    shards = outside.elsewhere / "outputs" / "killed"
    while process.poll() is None and not [*shards.rglob("shards/*.safetensors")]:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    text, _ = process.communicate()
    assert process.returncode == -signal.SIGKILL, text
    assert 1 <= len([*shards.rglob("shards/*.safetensors")]) < 20
    done(outside("run.py", *words, "name=killed"))
    done(outside("run.py", *words, "name=whole"))
    killed, whole = outside.run("killed"), outside.run("whole")
    assert contents(killed) == contents(whole)
    assert numbers(killed) == numbers(whole)
    assert "nothing to do" in done(outside("run.py", *words, "name=killed"))


@pytest.mark.long
def test_outsider_workers_leave_the_files_of_one(outside: Outside):
    words = ("search=random", *OWN, CAPS, "images=40", "shard=8", "keep_candidates=true")
    for workers in (1, 2):
        process = outside.start("run.py", *words, f"name=by_{workers}", f"workers={workers}")
        text, _ = process.communicate()
        assert process.returncode == 0, text
    assert contents(outside.run("by_1")) == contents(outside.run("by_2"))
    assert numbers(outside.run("by_1")) == numbers(outside.run("by_2"))


@pytest.mark.long
def test_outsider_run_is_rescored_and_rendered(outside: Outside):
    words = ("search=random", *OWN, "budget.samplings=[1,4]", "images=40", "name=candidates")
    done(outside("run.py", *words, "keep_candidates=true"))
    run = outside.run("candidates")
    forgotten = forked(["python", str(ROOT / "scripts/rescore.py"), str(run)], outside.elsewhere)
    assert (forgotten.code, f"add '{outside.words[0]}' '{outside.words[1]}'" in forgotten.text) == (1, True)
    done(outside("scripts/rescore.py", str(run), "verifier=null_rewards"))
    [rescored] = (run / "rescored").glob("null_rewards-*/rescored.json")
    assert json.loads(rescored.read_text())
    table = done(outside("scripts/render.py", str(run), "sampler.steps=50"))
    assert re.search(r"\b40\s+40\s+50\b", table), table


@pytest.mark.long
def test_outsider_sweep_is_reported_and_drawn(outside: Outside):
    words = ("-m", "search=none,random,scouts,zero_order", "seed=0,1", *OWN, "budget.samplings=[1,2,4]", "images=40")
    process = outside.start("run.py", *words, "name=sweep")
    text, _ = process.communicate()
    assert process.returncode == 0, text
    assert {row["method"] for row in rows(text)} == {"none", "random", "scouts", "zero_order"}

    # The same report again, and a figure for print.
    report = outside.elsewhere / "outputs" / "sweep" / "report"
    before = (report / "table.md").read_bytes()
    done(forked(["python", str(ROOT / "scripts/report.py"), "outputs/sweep"], outside.elsewhere))
    assert (report / "table.md").read_bytes() == before
    figure = [str(ROOT / "scripts/figure.py"), "outputs/sweep", "--metric", "fid", "accuracy", "--out", "fig.pdf"]
    done(forked(["python", *figure], outside.elsewhere))
    assert (outside.elsewhere / "fig.pdf").read_bytes().startswith(b"%PDF")
    assert "scouts" in (outside.elsewhere / "fig.txt").read_text()
