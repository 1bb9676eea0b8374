"""The type of a run's folder: one place that knows names, and what a run is finished with."""

import ast
import json
from collections import defaultdict
from pathlib import Path

import pytest

from its.disk.array_names import shard_name, shard_ranges
from its.disk.run_folder import CONFIG, FAILURE, SCHEDULE, SHARE, SUMMARY, RunFolder
from its.disk.run_folders import run_folders
from its.disk.store import MANIFEST, TIMING

ROOT = Path(__file__).parents[2]
SOURCES = [*sorted((ROOT / "its").rglob("*.py")), *sorted((ROOT / "scripts").glob("*.py"))]
NAMES = (
    CONFIG,
    SUMMARY,
    FAILURE,
    SCHEDULE,
    SHARE,
    MANIFEST,
    TIMING,
    "curve.csv",
    "curve.png",
    "samples_",
    "per_image.safetensors",
    "shards/",
    "pool/",
    "features/",
    "sets/",
    "rescored.json",
    "renders",
)
FOREIGN = {"its/config/help.py"}
"""It reads conf/config.yaml, which is Hydra's."""


def literals(path: Path) -> list[str]:
    """Every string of a module that is not a docstring, nor text below an attribute."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    strings = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return [node.value for node in strings if id(node) not in prose]


@pytest.mark.parametrize("name", NAMES)
def test_run_folder_file_names_stand_in_one_module_each(name):
    places = defaultdict(list)
    for path in SOURCES:
        for text in literals(path):
            if text.startswith(name) and str(path.relative_to(ROOT)) not in FOREIGN:
                places[str(path.relative_to(ROOT))].append(text)
    assert len(places) == 1, dict(places)


def summary(folder: Path, **entries: object) -> RunFolder:
    run = RunFolder(folder)
    run.write_summary({"images": 10, "measured": "m", "asked": "a", "curve": [{"nfe": 1.0}], **entries})
    return run


@pytest.mark.parametrize(
    ("stored", "given", "same"),
    [
        ({}, {}, True),
        ({}, {"images": 11}, False),
        ({}, {"metrics_fingerprint": "m", "metrics_config_hash": "a"}, True),
        ({}, {"metrics_fingerprint": "other"}, False),
        ({}, {"metrics_config_hash": "other"}, False),
        ({}, {"candidates": True}, False),
        ({"pool": True}, {"candidates": True}, True),
        ({"pool": True}, {"candidates": False}, True),
    ],
)
def test_read_curve_is_none_unless_the_run_is_finished_as_asked(tmp_path, stored, given, same):
    run = summary(tmp_path, **stored)
    assert (run.read_curve(**{"images": 10, "candidates": False, **given}) == [{"nfe": 1.0}]) == same


def test_read_curve_of_an_unreadable_summary_is_none(tmp_path):
    assert RunFolder(tmp_path).read_curve(images=1, candidates=False) is None
    (tmp_path / "metrics.json").write_text("{")
    assert RunFolder(tmp_path).read_curve(images=1, candidates=False) is None


def test_run_folder_state_follows_the_files(tmp_path):
    run = RunFolder(tmp_path / "run")
    assert run.state == "absent"
    run.path.mkdir()
    run.config.touch()
    assert run.state == "begun"
    run.write_failure("ValueError: no", traceback="…")
    assert (run.state, run.read_failure()) == ("failed", "ValueError: no")
    assert json.loads((run.path / "failed.json").read_text())["traceback"] == "…"
    summary(run.path)
    assert run.state == "finished"
    assert not run.failure.exists()


def test_run_folders_finds_every_run_and_nothing_below_one(tmp_path):
    for name in ("b/run/config.yaml", "a/run/failed.json", "c/metrics.json", "c/renders/x/metrics.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "wandb/x/files").mkdir(parents=True)
    (tmp_path / "wandb/x/files/config.yaml").touch()
    assert [run.path for run in run_folders(tmp_path)] == [tmp_path / name for name in ("a/run", "b/run", "c")]


def runs_of(folder, *names):
    """Make runs of these names."""
    for name in names:
        (folder / name).mkdir(parents=True)
        (folder / name / "metrics.json").touch()


def found(folder):
    return [run.path.relative_to(folder).as_posix() for run in run_folders(folder)]


def test_run_folders_follow_links_to_runs_and_to_folders_of_runs(tmp_path):
    runs_of(tmp_path, "elsewhere/deep/x", "elsewhere/deep/y", "alone", "demo/b/own")
    (tmp_path / "demo/a").symlink_to("../elsewhere")
    (tmp_path / "demo/c").symlink_to(tmp_path / "alone")
    (tmp_path / "demo/nothing").symlink_to("nowhere")
    assert found(tmp_path / "demo") == ["a/deep/x", "a/deep/y", "b/own", "c"]
    (tmp_path / "link").symlink_to("demo")
    assert found(tmp_path / "link") == ["a/deep/x", "a/deep/y", "b/own", "c"]


def test_run_folders_end_at_cycles_and_count_a_run_once_by_its_own_path(tmp_path):
    runs_of(tmp_path, "b/x/run", "b/y/run")
    for name, to in {
        "a": "b",
        "b/x/up": "..",
        "b/self": ".",
        "c": "b/y/run",
        "d": "a/x",
        "b/x/run/in": "../..",
    }.items():
        (tmp_path / name).symlink_to(to)
    assert found(tmp_path) == ["b/x/run", "b/y/run"]


def test_run_folders_take_the_first_of_two_links(tmp_path):
    runs_of(tmp_path, "elsewhere/run")
    for name in ("demo/b", "demo/a"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).symlink_to(tmp_path / "elsewhere")
    assert found(tmp_path / "demo") == ["a/run"]


def test_features_of_are_those_of_images_or_of_candidates(tmp_path):
    for name in ("features/a/00000010.safetensors", "features/b/00000010.safetensors", "pool/a/00000010.safetensors"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    run = RunFolder(tmp_path)
    assert len(run.features_of("shards/00000010.safetensors")) == 2
    assert run.features_of("pool/00000010.safetensors") == [tmp_path / "pool/a/00000010.safetensors"]
    assert run.features_of("shards/00000020.safetensors") == []


def test_shard_ranges_cover_every_problem_once():
    assert [list(indices) for indices in shard_ranges(5, 2)] == [[0, 1], [2, 3], [4]]
    assert [shard_name(indices.start) for indices in shard_ranges(5, 4)] == [
        "shards/00000000.safetensors",
        "shards/00000004.safetensors",
    ]
