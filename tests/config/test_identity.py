"""A run's folder is named by what decides its images, and by nothing else."""

import shutil
from pathlib import Path

import pytest

from its.config import names
from its.config.identity import differences, hash8, identity, of_before
from its.weights import locate
from tests.build import CONF, blueprint_of

MIXTURE = ["dataset=mixture", "model=mixture"]

FOLDERS = {
    "seed=0-763f2df9": [],
    "seed=0-985fc2fe": ["search=zero_order", "budget=nfe_800"],
    "seed=0-ddf3208f": ["search=bfs_resample", "sampler.eta=1", "guidance=tfg"],
    "seed=0-8dc0352c": ["search=none", "sampler=heun", "model=digits"],
    "seed=3-370f7144": ["model=digits", "model.guidance_scale=2", "seed=3"],
    "seed=0-730e8861": ["guidance=cg", "verifier@guide=noisy_classifier", "search=more_steps"],
    "seed=0-759da4d4": ["search=schedule", "sampler.eta=0"],
    "seed=0-0efd43c9": [*MIXTURE, "search=ses"],
    "seed=0-370020d6": [*MIXTURE, "model.path=flow", "sampler=euler", "dataset.classes=[1,2]", "search=schedule"],
    "seed=0-ad6cd7cc": ["experiment=phase1_cifar10"],
    "seed=0-9ce8664c": ["dataset=cifar10", "model=edm_cifar10", "sampler=edm", "verifier=vit_cifar10"],
}
"""Written down once; a move of a module, a new option or a new loader leaves every one of them as it is."""


@pytest.mark.parametrize(("folder", "words"), FOLDERS.items(), ids=FOLDERS)
def test_folder_of_keeps_the_recorded_names(tmp_path: Path, folder: str, words: list[str]):
    assert blueprint_of(tmp_path, *words, planning=True).folder.name == folder


def name_of(tmp_path: Path, *words: str) -> str:
    return blueprint_of(tmp_path, *words, planning=True).folder.name


SAME = {
    "an integer as a float": (["sampler.eta=1"], ["sampler.eta=1.0"]),
    "speed": ([], ["search.block=3"]),
    "place": ([], ["device=cuda", "batch=7", "rows=500", "workers=3", "reporting=none", "images=3"]),
    "candidates": ([], ["keep_candidates=true"]),
    "a classifier that nothing asks": (
        [],
        ["dataset.noisy_classifier.weights=digits/report.safetensors", "dataset.noisy_classifier.cls_name=ReportNet"],
    ),
    "a classifier that no verifier asks": (
        ["verifier=null_rewards"],
        ["verifier=null_rewards", "dataset.classifier.weights=digits/report.safetensors"],
    ),
    "what measures": ([], ["dataset.report.name=other", "metric=fid", "dataset.report_width=3"]),
    "the network's own type and layout": (
        [],
        ["model.dtype=float32", "model.channels_last=false", "model.compile=false"],
    ),
    "an option at its default": ([], ["+model.null_class=null", "+verifier.output=log_probability"]),
    "the guide of nothing": ([], ["verifier@guide=null_rewards"]),
    "verifier and budget of a search over grids": (
        ["search=schedule", "sampler.eta=0"],
        ["search=schedule", "sampler.eta=0", "verifier.network=null", "budget.samplings=[3]"],
    ),
}


@pytest.mark.parametrize(("words", "others"), SAME.values(), ids=SAME)
def test_identity_ignores_options_that_change_no_image(tmp_path: Path, words: list[str], others: list[str]):
    assert name_of(tmp_path, *words) == name_of(tmp_path, *others)


OTHER = {
    "eta": ["sampler.eta=1"],
    "classes": ["dataset.classes=3"],
    "true for one": ["model.conditional=true", "model.guidance_scale=1"],
    "guide": ["guidance=tfg", "verifier@guide=null_rewards"],
    "type of the network": ["model.dtype=bfloat16"],
    "layout of the network": ["model.channels_last=true"],
    "compiled network": ["model.compile=true"],
    "caps": ["budget.samplings=[1,2]"],
    "seed": ["seed=1"],
    "weights": ["dataset.classifier.weights=digits/report.safetensors", "allow_same_scorer=true"],
    "report of a search over grids": ["search=schedule", "dataset.report.name=other"],
}


def test_identity_differs_between_runs_with_other_images(tmp_path: Path):
    folders = {name_of(tmp_path, *words) for words in OTHER.values()}
    guided, grids = name_of(tmp_path, "guidance=tfg"), name_of(tmp_path, "search=schedule")
    assert len(folders | {name_of(tmp_path), guided, grids}) == len(OTHER) + 3


def test_identity_uses_the_content_of_weights_and_not_their_path(tmp_path: Path):
    copy = shutil.copy(locate("digits/verifier.safetensors"), tmp_path / "copy.safetensors")
    moved = blueprint_of(tmp_path, f"dataset.classifier.weights={copy}")
    assert moved.folder == blueprint_of(tmp_path).folder
    assert str(copy) in moved.record["weights"], "the record says where they were"
    with Path(copy).open("ab") as file:
        file.write(b" ")
    assert blueprint_of(tmp_path, f"dataset.classifier.weights={copy}").folder != moved.folder


def test_differences_name_a_default_that_has_changed(tmp_path: Path):
    """A record holds the defaults of its classes, so that a new default is not taken for the old one."""
    record = blueprint_of(tmp_path).record
    assert record["verifier"]["output"] == "log_probability", "of which the YAML says nothing"
    assert "output" not in identity(record)["verifier"]
    old = {**record, "verifier": {**record["verifier"], "output": "logit"}}
    assert differences(old, record) == ["verifier"]


def test_identity_names_a_plugin_by_its_dotted_path(tmp_path: Path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "from its.search.none import NoSearch\n"
        "from its.types import SpeedOnly\n"
        "from dataclasses import dataclass\n"
        "@dataclass(frozen=True)\n"
        "class Mine(NoSearch):\n"
        "    width: int = 3\n"
        "    block: SpeedOnly[int] = 2\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    words = ("search=none", "search._target_=mine.Mine", "plugins=[mine]")
    plain = blueprint_of(tmp_path, *words)
    assert identity(plain.record)["search"] == {"is": "mine.Mine"}
    assert name_of(tmp_path, *words, "+search.width=3", "+search.block=9") == plain.folder.name
    assert name_of(tmp_path, *words, "+search.width=4") != plain.folder.name


def test_names_hold_every_target_of_the_configuration():
    targets = {
        line.split("_target_:")[1].strip()
        for file in CONF.rglob("*.yaml")
        for line in file.read_text().splitlines()
        if "_target_: its." in line
    }
    today = {dotted[0] for dotted in names.NAMES.values()}
    makers = {target for target in targets if target.startswith("its.twins.") or target.endswith(".twin")}
    assert targets - makers - {"its.run.job.Closing"} <= today


def test_names_list_each_dotted_path_once():
    every = [dotted for several in names.NAMES.values() for dotted in several]
    assert len(every) == len(set(every))


def test_of_before_reads_records_of_earlier_versions(tmp_path: Path):
    record = blueprint_of(tmp_path).record
    old = {**record, "search": {**record["search"], "keep_pool": False, "block": 3}}
    old["dataset"] = {**record["dataset"], "name": "digits", "classifier": {"_target_": "its.model.digits.load"}}
    old["verifier"] = names.in_first_names(record["verifier"])
    assert old["verifier"]["network"]["_target_"] == "its.model.digits.load"
    assert hash8(identity(of_before(old))) == hash8(identity(record))


def test_identity_survives_a_renamed_parameter(tmp_path: Path, monkeypatch):
    before = blueprint_of(tmp_path).record
    monkeypatch.setattr(names, "PARAMETERS", {"verifier/classifier": {"network": "scorer"}})
    node = dict(before["verifier"])
    today = {**before, "verifier": {**node, "scorer": node.pop("network")}}
    today["verifier"].pop("network")
    assert identity(today) == identity(before)
    assert of_before(before)["verifier"].keys() == today["verifier"].keys()
    assert names.in_first_names(today["verifier"]).keys() == before["verifier"].keys()
