"""`store.images=all|preview|none`: what is kept of images changes no number, and what needs them says so."""

import logging
from hashlib import sha256

import numpy as np
import pytest
from safetensors.numpy import load_file

from its.disk.kept import SHOWN
from its.metric.extractor import MixtureFeatures
from its.rerun.finished_run import FinishedRun
from its.rerun.image_sets import RunImages
from tests.build import blueprint_of, make_experiment, numbers

WORDS = (
    "dataset=mixture",
    "model=mixture",
    "search=zero_order",
    "sampler.eta=0",
    "sampler.steps=3",
    "images=120",
    "shard=70",
    "batch=32",
    "budget.samplings=[1,3]",
    "~metric.kid",
    "~metric.prc",
)


def made(tmp_path, kept="all", *words):
    run = make_experiment(tmp_path / kept, *WORDS, f"store.images={kept}", *words)
    run.run()
    return run


def arrays(run, first=0):
    return run.files.store.read(f"shards/{first:08d}.safetensors")


def bytes_of(run, below):
    return {path.name: path.read_bytes() for path in sorted(run.folder.glob(f"{below}/**/*.safetensors"))}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return made(tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("kept", ["preview", "none"])
def test_a_run_that_keeps_fewer_images_has_the_same_numbers(lab, tmp_path, whole, kept):
    run = made(tmp_path, kept)
    assert numbers(run.folder) == numbers(whole.folder)
    assert bytes_of(run, "features") == bytes_of(whole, "features")
    for name, array in load_file(whole.files.per_image).items():
        np.testing.assert_array_equal(load_file(run.files.per_image)[name], array)

    # A shard holds everything else, and the sha256 of each image.
    for first in (0, 70):
        ours, theirs = arrays(run, first), arrays(whole, first)
        expected = [list(sha256(image.tobytes()).digest()) for image in theirs["images"]]
        assert ours["digest"].tolist() == expected
        shown = theirs["pick"][: SHOWN - first].max() + 1 if kept == "preview" else 0
        assert len(ours.get("images", ())) == shown
        np.testing.assert_array_equal(ours.get("images", theirs["images"][:0]), theirs["images"][:shown])
        assert theirs.keys() - ours.keys() == ({"noise"} if shown else {"images", "noise"})
        assert all(np.array_equal(ours[name], theirs[name]) for name in ours.keys() - {"images", "digest"})

    # Sample grids show what is kept.
    grids = [run.files.samples(row["nfe_cap"]) for row in run.files.read_summary()["curve"]]
    assert [grid.exists() for grid in grids] == [kept == "preview"] * 2
    assert blueprint_of(tmp_path / kept, *WORDS, f"store.images={kept}").finished
    if kept == "preview":
        assert grids[0].read_bytes() == whole.files.samples(3).read_bytes()


def test_a_run_without_images_is_measured_again_and_extended(lab, tmp_path, whole):
    run = made(tmp_path, "none")
    run.files.summary.unlink()
    again = make_experiment(tmp_path / "none", *WORDS, "store.images=none")
    again.engine.run = lambda *_: pytest.fail("nothing is missing")
    again.run()
    assert numbers(again.folder) == numbers(whole.folder)
    longer, other = (made(tmp_path / x, kept, "images=150") for x, kept in (("", "none"), ("longer", "all")))
    assert longer.folder == run.folder
    assert numbers(longer.folder) == numbers(other.folder)


def test_a_shard_without_images_whose_features_are_lost_is_made_again(lab, tmp_path, caplog):
    run = made(tmp_path, "none")
    before = bytes_of(run, "features"), bytes_of(run, "shards")
    [damaged] = run.folder.glob("features/*/00000070.safetensors")
    damaged.write_bytes(b"nothing")
    with caplog.at_level(logging.WARNING):
        again = made(tmp_path, "none")
    assert "00000070.safetensors keeps no images, and its features are lost; it is made again" in caplog.text
    assert [note["first"] for note in again.files.store.notes()] == [0, 70, 70]
    assert (bytes_of(again, "features"), bytes_of(again, "shards")) == before


def test_another_extractor_of_a_run_without_images_is_refused(lab, tmp_path, monkeypatch):
    made(tmp_path, "none")
    monkeypatch.setattr(MixtureFeatures, "name", "other")
    with pytest.raises(ValueError, match="only what pixels made of them, so other cannot measure them; make them agai"):
        made(tmp_path, "none")


def test_all_images_of_a_run_that_kept_none_are_made_again(lab, tmp_path, whole):
    made(tmp_path, "none")
    assert blueprint_of(tmp_path / "none", *WORDS, "store.images=none").finished
    assert not blueprint_of(tmp_path / "none", *WORDS, "store.images=all").finished
    work = {
        kept: blueprint_of(tmp_path / "none", *WORDS, f"store.images={kept}").work
        for kept in ("none", "preview", "all")
    }
    assert [work[kept].missing for kept in work] == [0, 2, 2]
    run = make_experiment(tmp_path / "none", *WORDS, "store.images=all")
    run.run()
    assert bytes_of(run, "shards") == bytes_of(whole, "shards")
    assert blueprint_of(tmp_path / "none", *WORDS, "store.images=all").work.missing == 0
    assert blueprint_of(tmp_path / "none", *WORDS, "store.images=preview").finished


def test_images_that_come_out_as_others_than_were_measured_are_refused(lab, tmp_path):
    made(tmp_path, "none")
    run = make_experiment(tmp_path / "none", *WORDS, "store.images=all")
    run.engine.seed += 1
    with pytest.raises(ValueError, match=r"^image \d+ of shards/00000000.safetensors was not stored, and comes out"):
        run.run()


def test_what_needs_images_that_are_not_kept_says_so(lab, tmp_path):
    run = made(tmp_path, "none")
    with pytest.raises(ValueError, match=r"keeps no images.*makes them again with store.images=all"):
        RunImages(run.folder)
    with pytest.raises(ValueError, match=r"no starting points that its search moved.* store.images=all$"):
        FinishedRun.of(run.folder).require_starts()
    with pytest.raises(ValueError, match=r"store its candidates.*: python .* store.images=all keep_candidates=true$"):
        FinishedRun.of(run.folder).require_candidates()


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("store.images=some", "store.images is 'some'; choose one of none, preview, all"),
        ("store=none", "store is 'none'; it says which images are kept, as store.images=all"),
        ("+store.noise=none", "store is .*; it says which images are kept, as store.images=all"),
    ],
)
def test_check_store_refuses_what_it_does_not_know(tmp_path, word, said):
    with pytest.raises(ValueError, match=said):
        blueprint_of(tmp_path, *WORDS, word)


def test_check_store_refuses_candidates_without_images(tmp_path):
    with pytest.raises(ValueError, match=r"store.images=preview leaves images out, and keep_candidates=true stores"):
        blueprint_of(tmp_path, *WORDS, "store.images=preview", "keep_candidates=true")


def test_work_reckons_the_disk_of_images_that_are_kept(tmp_path):
    sizes = [
        blueprint_of(tmp_path, *WORDS, f"store.images={kept}").work.disk_bytes for kept in ("none", "preview", "all")
    ]
    pixels, digest = 2 * 16, 2 * 32
    assert [size - sizes[0] for size in sizes] == [0, 100 * pixels, 120 * (pixels * 5 - digest)]
