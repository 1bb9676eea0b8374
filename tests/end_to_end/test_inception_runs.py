"""Runs measured by Inception, and the scripts beside them: prepare_reference, evaluate, export_samples."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from its.dataset.digits import Digits
from its.metric.inception import InceptionFeatures
from scripts import evaluate, export_samples, prepare_reference
from tests.build import make_experiment

pytestmark = pytest.mark.long

SEVERAL = 10


@pytest.fixture(scope="module")
def problem(tmp_path_factory: pytest.TempPathFactory, inception_weights: Path):
    """Overrides of a run on gray digits in a `.npz`, with random Inception weights and a cache of its own.

    Only the first 48 numbers of every array are kept: eigenvectors of 2,048 features take seconds.
    """
    folder = tmp_path_factory.mktemp("digits")
    images, labels = Digits().images()
    np.savez(folder / "real.npz", arr_0=images[:6], arr_1=labels[:6])
    whole = InceptionFeatures.__call__
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            InceptionFeatures,
            "__call__",
            lambda self, pixels: {name: array[:, :48] for name, array in whole(self, pixels).items()},
        )
        patch.setattr(InceptionFeatures, "widths", {"moments": 48, "spatial": 48})
        patch.setenv("ITS_CACHE", str(folder / "cache"))
        patch.setenv("ITS_INCEPTION", str(inception_weights))
        yield (
            folder,
            (
                "dataset=npz",
                "dataset.shape=[1,8,8]",
                f"dataset.reference.path={folder / 'real.npz'}",
                "+dataset.report.rows=5",
                "model=digits",
                "verifier=null_rewards",
                "search=none",
                f"images={SEVERAL}",
                f"shard={SEVERAL}",
                "sampler.steps=2",
                "budget.samplings=[1]",
            ),
        )


@pytest.fixture(scope="module")
def finished(problem, tmp_path_factory: pytest.TempPathFactory):
    _, overrides = problem
    run = make_experiment(tmp_path_factory.mktemp("out"), *overrides, "metric=openai", "dataset.report.spatial=true")
    return run, run.run()


def script(monkeypatch, module, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, arguments)])
    module.main()


def test_inception_run_has_every_column_of_the_evaluator(finished):
    run, (row,) = finished
    columns = {"fid", "fid_se", "sfid", "sfid_se", "isc", "precision", "recall"}
    assert columns <= set(row)
    assert all(np.isfinite(row[column]) for column in columns)
    assert row["fid"] > 0
    (name,) = [path.name for path in (run.folder / "features").iterdir()]
    assert re.fullmatch(r"inception-[0-9a-f]{8}-spatial", name)


def test_evaluate_gives_the_numbers_of_the_run(finished, problem, monkeypatch, capsys):
    run, (row,) = finished
    script(monkeypatch, evaluate, problem[0] / "real.npz", run.folder, "--metrics", "fid,sfid,openai_isc,prc", "--json")
    found = json.loads(capsys.readouterr().out)
    assert found.pop("protocol")
    assert set(found) == {"fid", "fid_se", "sfid", "sfid_se", "isc", "precision", "precision_se", "recall"}
    assert found == pytest.approx({name: row[name] for name in found}, rel=1e-6)


def test_prepare_reference_formats_give_the_same_fid(finished, problem, tmp_path, monkeypatch, capsys):
    run, (row,) = finished
    (kept,) = (problem[0] / "cache").rglob("*.npz")
    before = kept.read_bytes()
    for form in ("its", "openai", "edm", "pytorch-fid"):
        script(
            monkeypatch,
            prepare_reference,
            problem[0] / "real.npz",
            tmp_path / f"{form}.npz",
            "--spatial",
            "--format",
            form,
        )
    assert kept.read_bytes() == before, "what has been measured is not measured again"
    script(monkeypatch, export_samples, run.folder, tmp_path / "sample.npz")
    capsys.readouterr()
    measured = InceptionFeatures(rows=5)(np.load(tmp_path / "sample.npz")["arr_0"])
    monkeypatch.setattr(
        InceptionFeatures,
        "__call__",
        lambda self, images: {key: array[: len(images)] for key, array in measured.items()},
    )
    for form in ("its", "edm"):
        script(monkeypatch, evaluate, tmp_path / f"{form}.npz", tmp_path / "sample.npz", "--json")
        found = json.loads(capsys.readouterr().out)
        assert found["fid"] == pytest.approx(row["fid"], rel=1e-6)
        assert ("kid" in found, "precision" in found) == ((True, True) if form == "its" else (False, False))
    with pytest.raises(SystemExit, match=r"error: kid needs the features of every image"):
        script(monkeypatch, evaluate, tmp_path / "edm.npz", tmp_path / "sample.npz", "--metrics", "kid")
    with pytest.raises(SystemExit, match=r"it is a new file"):
        script(monkeypatch, prepare_reference, problem[0] / "real.npz", tmp_path / "edm.npz")


def test_inception_run_refuses_metrics_its_reference_cannot_serve(problem, tmp_path):
    _, overrides = problem
    statistics = tmp_path / "stats.npz"
    np.savez(statistics, mu=np.zeros(48), sigma=np.eye(48))
    alone = (
        *(entry for entry in overrides if "reference" not in entry),
        "dataset.reference=null",
        f"dataset.statistics={statistics}",
    )
    assert make_experiment(tmp_path / "out", *alone, "metric=inception", "~metric.kid", "~metric.prc").instruments
    with pytest.raises(ValueError, match=r"metric.kid needs the features of every image"):
        make_experiment(tmp_path / "out", *alone, "metric=inception")
    with pytest.raises(ValueError, match=r"metric.accuracy reads classes"):
        make_experiment(tmp_path / "out", *overrides, "metric=standard")
    with pytest.raises(ValueError, match=r"metric.sfid reads spatial"):
        make_experiment(tmp_path / "out", *overrides, "metric=openai")
    with pytest.raises(ValueError, match=r"dataset npz brings none; choose another verifier"):
        make_experiment(tmp_path / "out", *overrides, "metric=openai", "verifier=classifier")
    whole = statistics.read_bytes()
    for content in (whole[:1000], whole[:5000] + b"x" + whole[5001:], b""):
        statistics.write_bytes(content)
        with pytest.raises(ValueError, match=r"stats\.npz.*(damaged|cut short)"):
            make_experiment(tmp_path / "out", *alone, "metric=inception", "~metric.kid", "~metric.prc")
    assert not (tmp_path / "out").exists()


def test_inception_run_folder_ignores_the_reference(problem, tmp_path):
    _, overrides = problem
    first = make_experiment(tmp_path, *overrides, "metric=per_class")
    other = tmp_path / "other.npz"
    images, labels = Digits().images()
    np.savez(other, arr_0=images[9:15], arr_1=labels[9:15])
    second = make_experiment(tmp_path, *overrides, "metric=per_class", f"dataset.reference.path={other}")
    assert first.folder == second.folder
    assert first.instruments.fingerprint != second.instruments.fingerprint
    third = make_experiment(tmp_path, *overrides, "metric=per_class", "dataset.classes=[3,5]")
    assert third.folder != first.folder


def test_export_samples_writes_images_with_their_classes(finished, problem, tmp_path, monkeypatch, capsys):
    run, _ = finished
    script(monkeypatch, export_samples, run.folder, tmp_path / "png", "--limit", 3)
    names = sorted(path.name for path in (tmp_path / "png").iterdir())
    assert names == ["00000_label0.png", "00001_label1.png", "00002_label2.png"]
    script(monkeypatch, export_samples, run.folder, tmp_path / "all.npz")
    with np.load(tmp_path / "all.npz", allow_pickle=False) as file:
        assert file["arr_0"].shape == (SEVERAL, 8, 8, 1)
        assert file["arr_1"].tolist() == list(range(SEVERAL))
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "png" / names[2])), file["arr_0"][2, ..., 0])
    script(monkeypatch, export_samples, tmp_path / "all.npz", tmp_path / "grid.png")
    assert Image.open(tmp_path / "grid.png").size[0] > 5 * 48
    assert f"{SEVERAL} of {SEVERAL} images" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="is there already"):
        script(monkeypatch, export_samples, run.folder, tmp_path / "png")
