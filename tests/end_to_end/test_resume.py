"""A run's files do not depend on how often it was interrupted, repeated or extended."""

import csv
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from its.weights import locate
from tests.build import contents, make_experiment, numbers

SMALL = ("images=120", "shard=20", "sampler.steps=4", "budget.samplings=[1,2,4]", "batch=32", "metric.kid.subsets=4")
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("search", ["random", pytest.param("bfs_resample", marks=pytest.mark.long)])
def test_resume_of_a_finished_run_writes_nothing_and_runs_are_identical(experiment, search):
    first, second = experiment("a", f"search={search}", *SMALL), experiment("b", f"search={search}", *SMALL)
    first.run()
    second.run()
    assert contents(first.folder) == contents(second.folder)
    assert numbers(first.folder) == numbers(second.folder)
    before = {path: path.stat().st_mtime_ns for path in first.folder.rglob("*")}
    experiment("a", f"search={search}", *SMALL).run()
    assert {path: path.stat().st_mtime_ns for path in first.folder.rglob("*")} == before


@pytest.mark.parametrize("images", [60, 50])
def test_resume_with_more_images_equals_one_run(experiment, images):
    short = experiment("a", *SMALL, f"images={images}")
    short.run()
    extended = experiment("a", *SMALL)
    assert extended.folder == short.folder
    extended.run()
    at_once = experiment("b", *SMALL)
    at_once.run()
    ours, theirs = contents(extended.folder), contents(at_once.folder)
    assert ours == theirs
    assert numbers(extended.folder) == numbers(at_once.folder)


def test_resume_with_fewer_images_measures_the_first_ones(experiment):
    long = experiment("a", *SMALL)
    long.run()
    short = experiment("a", *SMALL, "images=50")
    short.run()
    alone = experiment("b", *SMALL, "images=50")
    alone.run()
    assert numbers(short.folder) == numbers(alone.folder)


def test_resume_measures_anew_with_other_report_weights(experiment, tmp_path):
    weights = tmp_path / "report.safetensors"
    state = load_file(locate("digits/report.safetensors"))
    save_file(state, weights)
    words = (*SMALL, "images=20", "search=none", "~metric.prc", f"dataset.report.network.weights={weights}")
    first = experiment("a", *words)
    before = first.run()
    save_file({name: value if name.startswith("head") else value * 1.5 for name, value in state.items()}, weights)
    again, alone = experiment("a", *words), experiment("b", *words)
    assert again.folder == first.folder
    assert again.instruments.fingerprint != first.instruments.fingerprint
    found, wanted = again.run(), alone.run()
    assert [row["fid"] for row in found] == [row["fid"] for row in wanted]
    assert found[0]["fid"] != before[0]["fid"]


def damage(path: Path, kind: str) -> None:
    content = path.read_bytes()
    if kind == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "missing":
        path.unlink()
    else:
        position = int(kind) * len(content) // 100
        path.write_bytes(content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :])


SELDOM = [pytest.param(kind, marks=pytest.mark.long) for kind in ("empty", "missing", "0", "1", "99")]
"""Kinds of damage that the default tier leaves out."""


@pytest.mark.parametrize("kind", ["truncated", "50", *SELDOM])
def test_resume_names_and_remakes_a_damaged_file(experiment, caplog, kind):
    run = experiment("a", *SMALL, "images=40")
    run.run()
    whole = contents(run.folder)
    for name in ("shards/00000020.safetensors", f"features/{run.instruments.extractor.name}/00000000.safetensors"):
        damage(run.folder / name, kind)
        experiment("a", *SMALL, "images=40").run()
        (run.folder / "metrics.json").unlink()
        experiment("a", *SMALL, "images=40").run()
        assert contents(run.folder) == whole
        if kind != "missing":
            assert name in caplog.text


def test_resume_after_random_kills_equals_an_undisturbed_run(tmp_path):
    """One process forks the run again and again, and kills each fork with SIGKILL at a random moment."""
    whole = make_experiment(tmp_path / "whole", *SMALL)
    started = time.perf_counter()
    whole.run()
    seconds = time.perf_counter() - started
    arguments = [str(tmp_path / "killed"), str(seconds), *SMALL]
    subprocess.run([sys.executable, "-m", "tests.end_to_end.kill", *arguments], cwd=ROOT, check=True)
    resumed = make_experiment(tmp_path / "killed", *SMALL)
    resumed.run()
    assert contents(resumed.folder) == contents(whole.folder)
    assert numbers(resumed.folder) == numbers(whole.folder)


def test_resume_keeps_an_edited_configuration_aside_and_goes_on(experiment, caplog):
    small = (*SMALL, "images=20")
    run = experiment("a", *small)
    run.run()
    config, whole = run.folder / "config.yaml", contents(run.folder)
    edited = config.read_text().replace("seed: 0", "seed: 1")
    config.write_text(edited)
    experiment("a", *small).run()
    (aside,) = run.folder.glob("config.yaml.damaged-*")
    assert aside.read_text() == edited
    aside.unlink()
    assert contents(run.folder) == whole
    assert "config.yaml is damaged: it is not what was written" in caplog.text


def test_resume_without_a_line_of_timing_leaves_seconds_empty(experiment, caplog):
    small = (*SMALL, "images=40")
    run = experiment("a", *small)
    run.run()
    timing = run.files.timing
    timing.write_text(timing.read_text().replace('"cpu"', '"cpv"', 1))
    rows = experiment("a", *small).run()
    assert [row["seconds"] for row in rows] == [None] * 3
    assert {row["seconds"] for row in csv.DictReader(run.files.curve.open())} == {""}
    assert "timing.jsonl has a damaged line" in caplog.text
    assert "timing.jsonl has no line of shards/00000000.safetensors: the curve's seconds stay empty" in caplog.text
    before = {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")}
    experiment("a", *small).run()
    assert {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")} == before
