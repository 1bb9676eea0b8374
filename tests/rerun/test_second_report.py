"""A second network measures beside the first: in a run, against its own statistics, and by scripts/evaluate.py."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from its.config.dataset_words import settled_dataset
from its.dataset.image_set import Loaded
from its.dataset.mixture import Mixture
from its.disk.array_names import features_name, shard_name
from its.metric.dinov2 import Dinov2Features
from its.metric.features import Moments
from its.metric.fid import frechet_distance
from its.metric.reference import extract_reference
from its.twins import dinov2 as twin
from scripts import evaluate, prepare_reference
from tests.build import arrays_in, blueprint_of, make_experiment

RUN = (
    "dataset=mixture",
    "model=mixture",
    "metric=fd_dinov2",
    "search=none",
    "verifier=null_rewards",
    "images=6",
    "shard=3",
)
WORDS = (*RUN, "sampler.steps=2", "budget.samplings=[1]", "dataset.second_width=16", "dataset.second_report.rows=3")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dinov2") / "network"
    twin.write(str(folder), width=16, layers=1)
    return folder


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten exact samples of the mixture."""
    images, labels = Mixture().reference()
    path = tmp_path_factory.mktemp("real") / "real.npz"
    np.savez(path, arr_0=images[:10], arr_1=labels[:10])
    return path


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    """Call a script's main with words; return what it prints."""

    def call(script, *words: object) -> str:
        monkeypatch.setattr(sys, "argv", [script.__name__, *map(str, words)])
        script.main()
        return capsys.readouterr().out

    return call


def test_second_report_measures_a_run_in_the_same_pass(tmp_path: Path, weights, real, command):
    statistics = tmp_path / "dinov2.npz"
    command(prepare_reference, real, statistics, "--network", "dinov2", "--weights", weights)
    words = (*WORDS, f"dataset.second_report.weights={weights}", f"dataset.second_statistics={statistics}")
    run = make_experiment(tmp_path, *words)
    [row] = run.run()

    # By hand, of the images on disk.
    network = Dinov2Features(str(weights))
    images = np.concatenate([arrays_in(run.folder / shard_name(first))["images"] for first in (0, 3)])
    reference = extract_reference(Loaded("real", np.load(real)["arr_0"], np.load(real)["arr_1"]), network)
    expected = frechet_distance(Moments.of(network(images)["features"]), reference.moments)
    assert row["fd_dinov2"] == pytest.approx(expected, rel=1e-4)
    assert row["fid"] != row["fd_dinov2"]
    features = arrays_in(run.folder / features_name(run.instruments.extractor.name, 0))
    assert features["second"].shape == (3, 16)
    assert run.instruments.extractor.name == f"pixels+{network.name}"

    # The protocol says both references, and evaluate.py comes to the same.
    entries = json.loads((run.folder / "metrics.json").read_text())["protocol"]
    assert entries["labels"] == "balanced"
    assert entries["resolution"] == "4x4"
    assert entries["reference"] == "5,000 images of the dataset at 4x4 (lossless)"
    assert entries["second_reference"] == "statistics dinov2.npz of 10 images at 4x4"
    numbers = json.loads(command(evaluate, "mixture", run.folder, "--json"))
    assert numbers["fd_dinov2"] == pytest.approx(row["fd_dinov2"], rel=1e-6)
    assert "labels 4 classes of 1 to 2" in numbers["protocol"]
    assert "of the second statistics dinov2.npz" in numbers["protocol"]
    other = json.loads(command(evaluate, real, run.folder, "--json"))
    assert other["fd_dinov2"] == pytest.approx(expected, rel=1e-4), "another reference, measured by both networks"


def test_second_report_refuses_statistics_of_another_network(tmp_path: Path, weights, real, command):
    twin.write(str(tmp_path / "other"), width=16, layers=2)
    command(prepare_reference, real, tmp_path / "s.npz", "--network", "dinov2", "--weights", tmp_path / "other")
    words = (*WORDS, f"dataset.second_report.weights={weights}", f"dataset.second_statistics={tmp_path / 's.npz'}")
    with pytest.raises(ValueError, match=r"s.npz was made with weights of sha256 .* measured by dinov2-"):
        make_experiment(tmp_path, *words)


def test_second_report_is_asked_for_by_name_where_it_lacks(tmp_path: Path):
    words = [word for word in WORDS if not word.startswith(("metric=", "dataset.second"))]
    node = "+metric.other={_target_: its.metric.second_fd.SecondFd, column: fd_other}"
    with pytest.raises(ValueError, match=r"metric.other reads second of images.*set dataset.second_report"):
        make_experiment(tmp_path, *words, "metric=fid", node)


def test_second_report_changes_no_folder_and_no_word_of_before(tmp_path: Path):
    one, other = (
        blueprint_of(tmp_path, *RUN[:2], *RUN[3:], metric, planning=True) for metric in ("metric=fid", RUN[2])
    )
    assert one.folder == other.folder
    assert other.plain["dataset"]["report_width"] == one.plain["dataset"]["report_width"] + 1024
    dataset = {"name": "x", "report": {"_target_": "a"}, "images": None}
    assert settled_dataset(dataset) == dataset


def test_prepare_reference_refuses_what_dinov2_does_not_make(tmp_path: Path, real, command):
    with pytest.raises(SystemExit, match="--network dinov2 makes neither sFID's features"):
        command(prepare_reference, real, tmp_path / "x.npz", "--network", "dinov2", "--spatial")
