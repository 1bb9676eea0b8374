"""A run under the FID oracle: what it delivers is chosen once its candidates are there, and by nothing else."""

import logging
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

import its.disk.store
from its.config.oracle_run import OracleRun
from its.disk.delivered import image_names
from its.disk.run_folder import RunFolder
from its.metric.features import Moments
from its.metric.fid import frechet_distance
from its.moving.audit import audit
from its.moving.merge import Merge
from its.pixels import from_uint8
from its.process.workers import Worker
from its.rerun.finished_run import FinishedRun
from its.rerun.image_sets import RunImages
from its.rerun.rescore import rescore
from tests.build import arrays_in, blueprint_of, contents, make_experiment, numbers
from tests.rerun.test_rescore import Killed, rescoring_of

WORDS = (
    "dataset=mixture",
    "model=mixture",
    "images=22",
    "shard=8",
    "sampler.steps=4",
    "budget.samplings=[1,2,4]",
    "batch=16",
    "~metric.kid",
    "~metric.prc",
    "~metric.isc",
)
ORACLE = "verifier=oracle_fid"
JUDGE = ("dataset.classifier.cls_name=ReportNet", "dataset.classifier.weights=digits/report.safetensors")


@pytest.fixture(autouse=True)
def without_figures(monkeypatch):
    """Drawing would take more time than all the rest."""
    monkeypatch.setattr("its.report.figures.curve_figure", lambda *given: b"")
    monkeypatch.setattr("its.rerun.rescore.comparison_figure", lambda runs: {"png": b""})


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    run = make_experiment(tmp_path_factory.mktemp("finished"), *WORDS, ORACLE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("its.report.figures.curve_figure", lambda *given: b"")
        run.run()
    return run


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The same search by the pool's own verifier, with its candidates."""
    run = make_experiment(tmp_path_factory.mktemp("plain"), *WORDS, "verifier=null_rewards", "keep_candidates=true")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("its.report.figures.curve_figure", lambda *given: b"")
        run.run()
    return run


def images_at(folder, names, cap) -> np.ndarray:
    """The images of shards at a cap."""
    parts = [arrays_in(folder / name) for name in names]
    return np.concatenate([arrays["images"][arrays["pick"][:, cap]] for arrays in parts])


def test_oracle_experiment_searches_as_its_pools_verifier_would(finished, plain):
    """Shards, candidates and their features are those of that run, and so is all that was spent."""
    own, other = contents(finished.folder), contents(plain.folder)
    of_search = [name for name in other if name.startswith(("shards/", "pool/", "features/"))]
    assert len(of_search) == 12
    assert all(own[name] == other[name] for name in of_search)
    spent = ("nfe_cap", "nfe", "nfe_backward", "verifier_calls", "decoder_calls", "flops", "images")
    for row, of_plain in zip(numbers(finished.folder), numbers(plain.folder), strict=True):
        assert [row[key] for key in spent] == [of_plain[key] for key in spent]


def test_oracle_experiment_measures_the_chosen_images_and_lowers_their_fid(finished, plain):
    rows, before = numbers(finished.folder), numbers(plain.folder)
    assert [float(row["oracle_candidates"]) for row in rows] == [1, 2, 4]
    assert rows[0]["fid"] == before[0]["fid"], "one candidate leaves no choice"
    assert float(rows[-1]["fid"]) < 0.8 * float(before[-1]["fid"]), (
        "with two candidates of 22 images it may go either way"
    )
    names = image_names(RunFolder(finished.folder))
    assert len(names) == 3
    for cap, row in enumerate(rows):
        features = finished.instruments.extractor(images_at(finished.folder, names, cap))["features"]
        fid = frechet_distance(Moments.of(features), finished.instruments.reference.load().moments)
        assert float(row["fid"]) == pytest.approx(fid, rel=1e-9)


def test_oracle_experiment_with_one_candidate_is_the_run_without_it(tmp_path):
    words = (*WORDS, "search=none", "budget.samplings=[1]")
    with_oracle, without = (make_experiment(tmp_path, *words, word) for word in (ORACLE, "verifier=null_rewards"))
    for run in (with_oracle, without):
        run.run()
    names = image_names(RunFolder(with_oracle.folder))
    for name, own in zip(names, RunFolder(without.folder).shard_names, strict=True):
        chosen, shard = arrays_in(with_oracle.folder / name), arrays_in(without.folder / own)
        assert all(np.array_equal(chosen[key], shard[key]) for key in shard if key not in ("start", "noise"))
    [row], [other] = numbers(with_oracle.folder), numbers(without.folder)
    assert {key: value for key, value in row.items() if key not in ("oracle", "oracle_candidates")} == other


def test_oracle_experiment_is_called_an_oracle_wherever_it_appears(finished, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    blueprint = blueprint_of(tmp_path, *WORDS, "search=zero_order", ORACLE, "verifier@verifier.pool=classifier")
    assert "an oracle over what a search by classifier finds" in blueprint.work.method
    make_experiment(tmp_path, *WORDS, "images=2", ORACLE).run()
    assert "every candidate is stored, as by keep_candidates=true" in caplog.text
    assert "oracle: 2 images chosen among 4 candidates at cap 8" in caplog.text
    summary = RunFolder(finished.folder).read_summary()
    assert "an upper bound and no method; the candidates of random do not depend on rewards" in summary["oracle"]
    assert "oracle" in str(finished.folder)


def test_oracle_experiment_has_its_pools_verifier_and_what_measures_in_its_name(tmp_path):
    pool = "verifier@verifier.pool=classifier"
    words = [(ORACLE,), (ORACLE, pool), (ORACLE, "verifier.pool.salt=1"), (ORACLE, "+dataset.statistics=x.npz")]
    folders = [blueprint_of(tmp_path, *WORDS, *more).folder for more in words]
    assert len({folder.name for folder in folders}) == 4
    assert len({folder.parent for folder in folders}) == 1


@pytest.mark.parametrize("rank", [0, pytest.param(1, marks=pytest.mark.long)])
def test_oracle_experiment_is_the_same_with_two_workers(tmp_path, finished, rank):
    """Each makes half of the shards, in whichever order; the last one to end chooses."""
    runs = [make_experiment(tmp_path, *WORDS, ORACLE) for _ in range(2)]
    for position in (rank, 1 - rank):
        runs[position].worker = Worker(position, 2)
    runs[rank].share = Worker(rank, 2)
    runs[rank].run()
    runs[1 - rank].run()
    whole = {name: content for name, content in contents(tmp_path).items() if name.endswith(".safetensors")}
    expected = contents(finished.folder.parents[6])
    assert whole == {name: expected[name] for name in whole}
    assert sum("chosen" in name for name in whole) == 3
    assert numbers(runs[0].folder) == numbers(finished.folder)


def test_oracle_experiment_resumes_after_a_kill_at_any_write_of_its_choice(tmp_path, finished, monkeypatch):
    """The n-th life dies at its n-th write; candidates are there, and the choice is begun anew."""
    copied = make_experiment(tmp_path, *WORDS, ORACLE)
    for name in ("shards", "pool", "features", "sources", "manifest.jsonl", "timing.jsonl", "config.yaml"):
        source, target = finished.folder / name, copied.folder / name
        copied.folder.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    write_atomic = its.disk.store.write_atomic
    for life in range(40):
        left = [life]

        def write(path, content, left=left):
            if not left[0]:
                raise Killed
            left[0] -= 1
            write_atomic(path, content)

        monkeypatch.setattr(its.disk.store, "write_atomic", write)
        try:
            make_experiment(tmp_path, *WORDS, ORACLE).run()
        except Killed:
            continue
        break
    assert life > 3
    names = {name for name in contents(finished.folder) if name.endswith(".safetensors")}
    assert names == {name for name in contents(copied.folder) if name.endswith(".safetensors")}
    assert all(contents(copied.folder)[name] == contents(finished.folder)[name] for name in names)
    assert numbers(copied.folder) == numbers(finished.folder)


def test_oracle_experiment_reads_its_choice_for_other_metrics_and_keeps_it_beside_that_of_more_images(
    tmp_path, finished, monkeypatch
):
    shutil.copytree(finished.folder, make_experiment(tmp_path, *WORDS, ORACLE).folder)
    with monkeypatch.context() as patch:
        patch.setattr("its.run.set_choice.SetChoice.picks", None)
        more = make_experiment(tmp_path, *[word for word in WORDS if word != "~metric.isc"], ORACLE)
        more.run()
    assert "isc" in numbers(more.folder)[0]
    before = image_names(RunFolder(more.folder))
    larger = make_experiment(tmp_path, *WORDS, "images=30", ORACLE)
    larger.run()
    assert larger.folder == more.folder
    now = image_names(RunFolder(larger.folder))
    assert (len(before), len(now)) == (3, 4)
    assert all((larger.folder / name).exists() for name in before), "what was chosen of fewer images is not replaced"
    assert not set(before) & set(now)


def test_rescore_by_the_oracle_is_what_a_run_under_it_delivers(tmp_path, finished, plain):
    rescoring = rescoring_of(plain.folder, ORACLE)
    rescore(rescoring, tmp_path / "target", "a command")
    names = image_names(RunFolder(finished.folder))
    for cap in range(3):
        ours = images_at(tmp_path / "target", RunFolder(tmp_path / "target").shard_names, cap)
        assert np.array_equal(ours, images_at(finished.folder, names, cap))
    kept = numbers(tmp_path / "target")
    assert [row["fid"] for row in kept] == [row["fid"] for row in numbers(finished.folder)]
    assert [row["reward_mean"] for row in kept] == [row["reward_mean"] for row in numbers(finished.folder)]
    assert "do not depend on rewards" in rescoring.meaning
    assert "oracle" in rescoring.meaning


def test_rescore_of_a_run_under_the_oracle_takes_its_pool(tmp_path, finished, plain):
    """By its own verifier it is the same again; by the pool's, the curve of the search."""
    for words, other in (((), finished), (("verifier=null_rewards",), plain)):
        target = tmp_path / f"target{len(words)}"
        rescore(rescoring_of(finished.folder, *words), target, "a command")
        assert [row["fid"] for row in numbers(target)] == [row["fid"] for row in numbers(other.folder)]


def test_rescore_by_the_oracle_of_a_search_that_went_by_rewards_is_the_best_of_its_pool(tmp_path):
    run = make_experiment(tmp_path, *WORDS, "search=zero_order", "keep_candidates=true", "images=6")
    run.run()
    meaning = rescoring_of(run.folder, ORACLE).meaning
    assert (
        "an upper bound and no method: the best of the pool of zero_order, which chose its way by classifier" in meaning
    )
    with pytest.raises(ValueError, match="those of this run were found by classifier; leave it out"):
        rescoring_of(run.folder, ORACLE, "verifier@verifier.pool=null_rewards")


def test_run_images_of_a_run_under_the_oracle_are_the_chosen_ones(tmp_path, finished):
    names = image_names(RunFolder(finished.folder))
    batches = RunImages(finished.folder).batches(100)
    assert np.array_equal(np.concatenate([images for images, _ in batches]), images_at(finished.folder, names, -1))
    folder = shutil.copytree(finished.folder, tmp_path / "begun")
    (folder / "metrics.json").unlink()
    with pytest.raises(ValueError, match=r"an oracle chooses the images of .*; finish the run by its own command"):
        RunImages(folder)
    with pytest.raises(ValueError, match="chosen by an oracle of sets, oracle_fid, which keeps no starting points"):
        FinishedRun.of(finished.folder).require_starts()


def test_audit_of_a_run_under_the_oracle_makes_candidates_and_choice_again(tmp_path, finished):
    folder = make_experiment(tmp_path, *WORDS, ORACLE).folder
    shutil.copytree(finished.folder, folder)
    assert audit(FinishedRun.of(folder), (), 8, seed=1).different == []
    name = image_names(RunFolder(folder))[1]
    arrays = arrays_in(folder / name)
    arrays["row"][0] += 1
    RunFolder(folder).store.write(name, arrays, source=RunFolder(folder).store.source(name))
    assert f"{name} is not what an oracle chooses here" in audit(FinishedRun.of(folder), (), 2, seed=1).different


@pytest.mark.long
def test_merge_of_shares_leaves_the_choice_to_the_whole(tmp_path, finished):
    folders = []
    for k in (1, 2):
        run = make_experiment(tmp_path / str(k), *WORDS, ORACLE, f"share={k}/2")
        run.run()
        assert not (run.folder / "chosen").exists()
        folders.append(run.folder)
    Merge.of(folders).run()
    run = make_experiment(tmp_path / "1", *WORDS, ORACLE)
    run.run()
    assert numbers(run.folder) == numbers(finished.folder)
    assert Merge.of([run.folder, folders[1]]).run() == 0


REFUSED = {
    "as a guide": (["verifier@guide=oracle_fid"], "guide is an oracle of sets, which scores no image by itself"),
    "as a member": (
        ["verifier=ensemble", "verifier@verifier.members.a=oracle_fid"],
        r"verifier\.members\.a is an oracle",
    ),
    "as its own pool": ([ORACLE, "verifier@verifier.pool=oracle_fid"], r"verifier\.pool is an oracle of sets"),
    "without a pool": (
        [ORACLE, "verifier.pool=null"],
        "verifier.pool is None; it is the verifier that",
    ),
    "without images": ([ORACLE, "store.images=none"], "store.images=none leaves images out"),
    "beside sets": ([ORACLE, "search=schedule"], "search=schedule judges sets itself"),
    "a pool by the judge": (
        ["dataset=digits", "model=digits", ORACLE, "verifier@verifier.pool=classifier", *JUDGE],
        r"the verifier selects by digits/report\.safetensors, and the same network reports",
    ),
    "noisy rows": ([ORACLE, "verifier@verifier.pool=noisy_classifier"], "scores noisy rows|brings none"),
    "over a ranking": (
        [ORACLE, "search=fk", "sampler.eta=1", "verifier@verifier.pool=ensemble"],
        "verifier=ensemble is relative",
    ),
}


@pytest.mark.parametrize(("words", "message"), REFUSED.values(), ids=REFUSED)
def test_oracle_run_refuses_what_it_cannot_choose_among(tmp_path, words, message):
    with pytest.raises(ValueError, match=message):
        blueprint_of(tmp_path, *WORDS, *words)


def test_oracle_run_is_a_kind_of_its_own(tmp_path, finished):
    assert isinstance(blueprint_of(tmp_path, *WORDS, ORACLE).kind, OracleRun)
    assert replace(finished).keeps_candidates


def test_oracle_experiment_holds_verifiers_out_of_the_chosen_images(tmp_path, finished):
    run = make_experiment(tmp_path, *WORDS, ORACLE, "verifier@report=classifier")
    rows = run.run()
    names = image_names(RunFolder(run.folder))
    assert contents(run.folder)[names[0]] == contents(finished.folder)[image_names(RunFolder(finished.folder))[0]]
    verifier = run.instruments.held_out[0].verifier
    labels = np.concatenate([arrays_in(run.folder / name)["label"] for name in names])
    for cap, row in enumerate(rows):
        images = from_uint8(torch.from_numpy(images_at(run.folder, names, cap)))
        scores = verifier.reward(images, labels.tolist())
        assert row["report_classifier"] == pytest.approx(scores.double().mean().item())
