"""Images of any origin are measured by what words of run.py name, and a run by its own words."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from its.dataset.digits import Digits
from scripts import evaluate, standardize
from tests.build import make_experiment

PIXELS = "dataset.report.data={_target_: its.dataset.mixture.Mixture, size: 8}"
"""A value of `dataset/report=mixture` that fits digits."""

BARE = """
import numpy as np
from its import Extractor


class Bare(Extractor):
    name = "bare"

    def __call__(self, images):
        return {"features": images.reshape(len(images), -1).astype(np.float32)}
"""
"""A file with an extractor of features alone."""

SMALL = ("images=12", "shard=12", "sampler.steps=2", "budget.samplings=[1]", "search=none", "metric=standard")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory):
    """A finished run of digits, and its row."""
    experiment = make_experiment(tmp_path_factory.mktemp("out"), *SMALL)
    return experiment.folder, experiment.run()[-1]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    """Call scripts/evaluate.py; return the numbers that it prints."""

    def call(*words: object) -> dict[str, float]:
        monkeypatch.setattr(sys, "argv", ["evaluate.py", *map(str, words), "--json"])
        evaluate.main()
        return json.loads(capsys.readouterr().out)

    return call


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """Real digits that no run made, in a `.npz`."""
    images, labels = Digits().images()
    np.savez(tmp_path / "sample.npz", arr_0=images[:40], arr_1=labels[:40])
    return tmp_path / "sample.npz"


def test_evaluate_measures_a_run_by_its_own_words(run, measured):
    folder, row = run
    numbers = measured("digits", folder)
    assert numbers.pop("protocol").startswith("12 images of seed=0-")
    assert {"fid", "kid", "isc", "precision", "recall", "accuracy"} <= set(numbers)
    assert numbers == pytest.approx({name: row[name] for name in numbers}, rel=1e-6)


def test_evaluate_takes_other_words_in_place_of_the_runs(run, measured):
    folder, row = run
    assert measured("digits", folder, "metric=fid")["fid"] == pytest.approx(row["fid"])
    assert set(measured(folder, folder, "--metrics", "fid,prc")) >= {"fid", "precision"}
    words = (
        "metric=fid",
        "dataset/report=mixture",
        "dataset.report.data={_target_: its.dataset.mixture.Mixture, size: 8}",
    )
    assert measured("digits", folder, *words)["fid"] != pytest.approx(row["fid"])


def test_evaluate_measures_any_images_by_the_network_of_a_dataset(sample, measured):
    numbers = measured("digits", sample, "dataset=digits", "metric=standard")
    assert numbers["accuracy"] > 0.9
    assert "fid" in measured(sample, sample, "dataset=folder", "dataset/report=digits", "metric=fid")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["dataset=digits", "--device", "cpu"], "--device stands beside words of run.py; say it as device="),
        (["dataset=digits", "--metrics", "fid"], "--metrics stands beside words of run.py; say it as metric="),
        (
            ["dataset=digits", "metric=openai"],
            "sfid reads spatial .*; choose a dataset/report=",
        ),
        (["dataset=digits", "seed=0,1"], "seed=0,1 has several values"),
        (["dataset=digits", "dataset.report._target_=os.system"], "must be defined in its"),
        (["dataset=digits", "dataset/report=mixture", "metric=fid"], "dataset.report is given .* cannot take them"),
        (["dataset=folder", "dataset/report=digits"], "'digits' is neither cifar10-train"),
        (["--metrics", "fd"], "metric 'fd' is not among"),
    ],
)
def test_evaluate_refuses_words_by_name(sample, measured, words, message):
    with pytest.raises(SystemExit, match=message):
        measured("digits", sample, *words)


def test_evaluate_asks_for_what_a_datasets_own_reference_lacks(sample, measured):
    with pytest.raises(SystemExit, match=r"dataset.reference.path is missing; say it: dataset.reference.path=\.\.\."):
        measured("folder", sample, "dataset=folder", "dataset/report=digits")


def test_evaluate_leaves_out_what_nobody_named(tmp_path: Path, measured, caplog):
    images, _ = Digits().images()
    np.savez(tmp_path / "classless.npz", arr_0=images[:40])
    with caplog.at_level("INFO"):
        assert "accuracy" not in measured("digits", tmp_path / "classless.npz", "dataset=digits")
    assert "not measured: accuracy needs the class of each image, and image 0 has none" in caplog.text


def test_report_is_given_whole_in_place_of_the_former(tmp_path: Path):
    data = PIXELS.partition("=")[2]
    node = f"dataset.report={{_target_: its.metric.extractor.MixtureFeatures, data: {data}}}"
    experiment = make_experiment(tmp_path, *SMALL[:-1], "metric=fid", "dataset.report_width=68", node)
    assert experiment.instruments.extractor.name == "pixels"
    assert any(word.startswith("+dataset.report=") for word in experiment.command.replace("'", "").split())


def test_report_that_cannot_serve_metrics_is_refused_with_the_words_that_leave_them_out(tmp_path: Path):
    (tmp_path / "bare.py").write_text(BARE)
    words = (*SMALL, f"plugins=[{tmp_path / 'bare.py'}]", "dataset.report={_target_: bare.Bare}")
    words += ("dataset.report_width=64",)
    said = r"metric.isc reads logits of images, and bare makes .* leave them out: ~metric.isc ~metric.accuracy"
    with pytest.raises(ValueError, match=said):
        make_experiment(tmp_path / "out", *words)
    [row] = make_experiment(tmp_path / "out", *words, "~metric.isc", "~metric.accuracy").run()
    assert {"fid", "kid", "precision", "recall"} <= set(row)


def test_standardize_takes_the_runs_own_words(tmp_path: Path, monkeypatch, capsys):
    words = [*SMALL[:-1], "metric=fid", f"out_dir={tmp_path}", "verifier=ensemble"]
    words += ["+verifier@verifier.members.c=null_rewards", "verifier.members.c.salt=4"]

    def call(*arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", ["standardize.py", *map(str, arguments)])
        standardize.main()
        return capsys.readouterr().out

    with pytest.raises(SystemExit, match=r"has no images yet; make them first: python .*run.py images=12"):
        call(*words)
    experiment = make_experiment(tmp_path, *words[:-3], *words[-3:])
    experiment.run()
    text = call(*words)
    assert text.startswith(
        '+verifier@verifier.members.c=null_rewards verifier.members.c.salt=4 verifier=zscore "verifier.statistics={a:['
    )
    assert call(experiment.folder) == text
    for strange in ((tmp_path,), ("nowhere",), (experiment.folder, "search=none")):
        with pytest.raises(SystemExit, match="is no run's folder alone; give the one that ends in seed"):
            call(*strange)
