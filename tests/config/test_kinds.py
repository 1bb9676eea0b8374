"""A run's kind is said once, by what its search makes; nothing else asks for a class or a `_target_`."""

import ast
from pathlib import Path

import numpy as np
import pytest

import its
from its.config.kinds import KINDS, LABELS, kind_of
from its.config.oracle_run import OracleRun
from its.config.plan import plan_of
from its.disk.run_folder import RunFolder
from its.run.build import BUILDERS
from its.search.none import NoSearch
from tests.build import blueprint_of

MODULES = sorted(Path(its.__file__).parent.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_kinds_are_never_told_apart_by_class_or_target(path: Path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
            assert "Schedule" not in ast.dump(node.args[1])
        if isinstance(node, ast.Compare):
            sides = [side for side in (node.left, *node.comparators) if isinstance(side, ast.Subscript)]
            assert not any(isinstance(side.slice, ast.Constant) and side.slice.value == "_target_" for side in sides)


def test_kinds_have_a_builder_each():
    assert {*map(type, KINDS.values()), OracleRun} == BUILDERS.keys()


def test_kinds_give_image_runs_and_grid_searches_their_label_and_plan(tmp_path: Path):
    images = blueprint_of(tmp_path, "guidance=tfg", "images=30", "shard=10")
    grids = blueprint_of(tmp_path, "search=schedule", "search.num_samples=7")
    assert images.label.keys() == grids.label.keys() == set(LABELS)
    assert (images.label["search"], grids.label["verifier"], grids.label["budget"]) == (
        "random+tfg",
        "fid",
        "evolution",
    )
    assert (images.work.missing, images.work.files) == (3, "shards")
    assert grids.work.images == 7 * grids.search.evaluations
    assert " sets missing" in plan_of(grids).line()


def test_blueprint_knows_a_finished_run_by_its_summary(tmp_path: Path):
    blueprint = blueprint_of(tmp_path, "images=30")
    RunFolder(blueprint.folder).store.write("shards/00000000.safetensors", {"index": np.arange(30)})
    summary = '{{"images": {}, "asked": "{}", "pool": {}, "curve": [{{"nfe": 1}}]}}'
    (blueprint.folder / "curve.csv").write_text("nfe\n1\n")
    for images, asked, pool, finished in (
        (30, blueprint.metrics_config_hash, "false", True),
        (30, blueprint.former_metrics_config_hash, "true", True),
        (30, "other", "false", False),
        (20, blueprint.metrics_config_hash, "false", False),
    ):
        (blueprint.folder / "metrics.json").write_text(summary.format(images, asked, pool))
        assert bool(blueprint.finished) == finished
    wanting = blueprint_of(tmp_path, "images=30", "keep_candidates=true")
    (blueprint.folder / "metrics.json").write_text(summary.format(30, blueprint.metrics_config_hash, "false"))
    assert wanting.folder == blueprint.folder
    assert not wanting.finished


@pytest.mark.parametrize("damage", ["[]", "{", "null", '{"images": 30, "nfe": []}'])
def test_damaged_summary_finishes_no_run(tmp_path: Path, damage: str):
    for words, file in ((["images=30"], "metrics.json"), (["search=schedule", "images=30"], "schedule.json")):
        blueprint = blueprint_of(tmp_path, *words)
        blueprint.folder.mkdir(parents=True)
        (blueprint.folder / file).write_text(damage)
        assert not blueprint.finished
        assert (blueprint.folder / file).read_text() == damage


def test_kind_of_refuses_what_is_no_search_or_makes_something_else():
    class Other(NoSearch):
        makes = "video"

    with pytest.raises(ValueError, match=r"search dict does not inherit its.Search"):
        kind_of({})
    with pytest.raises(ValueError, match=r"Other.makes is 'video'; a search makes one of grids, images"):
        kind_of(Other())
