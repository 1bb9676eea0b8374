"""Held-out verifiers: columns of their own beside a run that is otherwise the same, byte for byte."""

import math

import numpy as np
import pytest
import torch

from its.disk.run_folder import RunFolder
from its.moving.audit import audit
from its.pixels import from_uint8
from its.report.terminal import run_table
from its.rerun.finished_run import FinishedRun
from its.verifier.null_rewards import NullRewards
from tests.build import SMALL, arrays_in, blueprint_of, contents, make_experiment, numbers

WORDS = ("images=6", "shard=4", *SMALL)
NULL = "+verifier@report.null=null_rewards"


def without_report(folder):
    """Bytes of what a run has but for scores, sources, its summary and pictures."""
    held = ("features/null_rewards", "sources", "manifest", "per_image", "samples")
    return {name: content for name, content in contents(folder).items() if not name.startswith(held)}


def test_held_out_scores_are_columns_of_the_chosen_images_alone(tmp_path):
    plain, run = make_experiment(tmp_path / "a", *WORDS), make_experiment(tmp_path / "b", *WORDS, NULL)
    rows, scored = plain.run(), run.run()
    assert plain.folder.relative_to(tmp_path / "a") == run.folder.relative_to(tmp_path / "b"), "the same identity"
    assert without_report(plain.folder) == without_report(run.folder)
    names = {"report_null", "report_null_se"}
    assert [{k: v for k, v in row.items() if k not in {*names, "seconds"}} for row in scored] == [
        {k: v for k, v in row.items() if k != "seconds"} for row in rows
    ], "neither NFE nor verifier calls nor FLOPs"

    # Against the stored images, one at a time.
    for cap, row in enumerate(scored):
        scores = []
        for first in (0, 4):
            arrays = arrays_in(run.files.shard(first))
            chosen = from_uint8(torch.from_numpy(arrays["images"][arrays["pick"][:, cap]]))
            scores += [NullRewards().reward(image[None], [0]).item() for image in chosen]
        assert row["report_null"] == pytest.approx(np.mean(scores))
        assert row["report_null_se"] == pytest.approx(np.std(scores, ddof=1) / math.sqrt(6))
    assert "null, held out ↑" in run_table(RunFolder(run.folder))


def test_held_out_verifier_is_asked_for_the_class_of_each_image(tmp_path):
    words = (*WORDS, "verifier=null_rewards", "verifier@report=classifier", "+report.output=correct")
    run = make_experiment(tmp_path, *words)
    rows = run.run()
    network = run.instruments.held_out[0].verifier.network
    for cap, row in enumerate(rows):
        right = []
        for first in (0, 4):
            arrays = arrays_in(run.files.shard(first))
            logits = network(from_uint8(torch.from_numpy(arrays["images"][arrays["pick"][:, cap]])))
            right += (logits.argmax(dim=1).numpy() == arrays["label"]).tolist()
        assert row["report_classifier"] == pytest.approx(np.mean(right)), "its accuracy"


def test_held_out_verifier_joins_a_finished_run(tmp_path):
    plain = make_experiment(tmp_path, *WORDS)
    plain.run()
    shard = plain.files.shard(0)
    before, made = shard.read_bytes(), shard.stat().st_mtime_ns
    run = make_experiment(tmp_path, *WORDS, NULL)
    run.engine.run = None  # nothing is sampled
    assert not blueprint_of(tmp_path, *WORDS, NULL).finished
    assert run.run()[0]["report_null"] is not None
    assert (shard.read_bytes(), shard.stat().st_mtime_ns) == (before, made)
    assert blueprint_of(tmp_path, *WORDS, NULL).finished


@pytest.mark.long
def test_held_out_scores_go_by_the_verifier_and_not_by_its_name(tmp_path):
    plain = make_experiment(tmp_path, *WORDS, NULL)
    plain.run()
    [scores] = {file.parent for file in plain.folder.glob("features/null_rewards-*/*")}
    stamp = (scores / "00000000.safetensors").stat().st_mtime_ns
    renamed = make_experiment(tmp_path, *WORDS, "+verifier@report.other=null_rewards")
    assert "report_other" in renamed.run()[0]
    assert (scores / "00000000.safetensors").stat().st_mtime_ns == stamp
    salted = make_experiment(tmp_path, *WORDS, NULL, "report.null.salt=1")
    assert salted.run()[0]["report_null"] != renamed.run()[0]["report_other"], "another setting is another file"
    again = make_experiment(tmp_path, *WORDS)
    assert not any(key.startswith("report_") for key in again.run()[0])


@pytest.mark.long
def test_held_out_scores_are_made_again_where_they_are_lost_or_damaged(tmp_path):
    run = make_experiment(tmp_path, *WORDS, NULL)
    rows = run.run()
    for file, harm in zip(sorted(run.folder.glob("features/null_rewards-*/*")), (b"", None), strict=True):
        file.unlink() if harm is None else file.write_bytes(harm)
    again = make_experiment(tmp_path, *WORDS, NULL)
    assert [row["report_null"] for row in again.run()] == [row["report_null"] for row in rows]


@pytest.mark.long
def test_held_out_verifier_scores_images_that_are_not_kept_while_they_are_there(tmp_path):
    words = (*WORDS, "store.images=none")
    kept = make_experiment(tmp_path / "a", *WORDS, NULL).run()
    lost = make_experiment(tmp_path / "b", *words, NULL)
    rows = lost.run()
    assert [row["report_null"] for row in rows] == [row["report_null"] for row in kept]
    other = make_experiment(tmp_path / "b", *words, NULL, "report.null.salt=1")
    with pytest.raises(
        ValueError, match=r"keeps no images, so verifier@report null cannot score them; make them again"
    ):
        other.run()

    # What is lost of it is made again with the images, which come out the same.
    next(iter(lost.folder.glob("features/null_rewards-*/00000000*"))).unlink()
    again = make_experiment(tmp_path / "b", *words, NULL).run()
    assert [row["report_null"] for row in again] == [row["report_null"] for row in rows]


def test_held_out_verifier_without_finite_scores_leaves_its_column_empty(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(NullRewards, "reward", lambda self, images, asked: torch.full((len(images),), torch.nan))
    run = make_experiment(tmp_path, *WORDS, NULL)
    assert run.run()[0]["report_null"] is None
    assert "verifier@report null gave no finite score to" in caplog.text
    assert {row["report_null"] for row in numbers(run.folder)} == {""}


@pytest.mark.long
def test_held_out_scores_are_part_of_an_audit(tmp_path):
    run = make_experiment(tmp_path, *WORDS, NULL)
    run.run()
    assert not audit(FinishedRun.of(run.folder), [], 2, 0).different
    path = next(iter(run.folder.glob("features/null_rewards-*/00000000*")))
    run.files.store.write(path.relative_to(run.folder).as_posix(), {"scores": np.zeros(8)}, source="other")
    [difference, *_] = audit(FinishedRun.of(run.folder), [], 2, 0).different
    assert "report_null" in difference


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["verifier@report=classifier"], r"classifier is held out, and the verifier that selects is the same"),
        (["verifier@report=noisy_classifier"], r"\(NoisyClassifier\) scores noisy rows; it is to score"),
        (["verifier@report=ensemble"], r"\(Ensemble\) only ranks the candidates of a search; hold out its"),
        (["verifier@report=null_rewards", "+verifier@report.b=zscore"], "a verifier without a name beside b"),
        (["+report.a=3"], "report.a is 3, and no verifier; several are named as"),
        (["+verifier@report.a_se=null_rewards"], "has the name 'a_se', which is to name a column"),
        (["+verifier@report.a.b=null_rewards"], r"report\.a is .*, and no verifier"),
        (["search=schedule", NULL], "verifier@report scores images that a search chose, and this search chooses none"),
        (["verifier@report=classifer"], "did you mean classifier"),
        (
            ["verifier=null_rewards", "guidance=tfg", "verifier@report=classifier"],
            r"the verifier that guides is the same \(digits/verifier\.safetensors\)",
        ),
        (["verifier=ensemble", NULL], r"the verifier that selects is the same \(its\.verifier\.null_rewards"),
    ],
)  # fmt: skip
def test_held_out_verifiers_are_refused_by_name(tmp_path, words, sentence):
    with pytest.raises(ValueError, match=sentence):
        blueprint_of(tmp_path, *words)
    if "is the" in sentence:
        assert blueprint_of(tmp_path, *words, "allow_same_scorer=true").plain["report"]
