"""An audit finds every kind of forgery, and writes nothing; each is made here as well as a forger could."""

import json
import os
import re
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

from its.disk.run_folder import RunFolder
from its.disk.sealed import sealed, sealed_yaml, unsealed
from its.moving.audit import audit, opened
from its.moving.pack import pack
from its.moving.remade import Remaking
from its.rerun.finished_run import FinishedRun
from its.run.curve_files import to_csv
from its.run.kept_images import digests
from tests.build import SMALL, make_experiment

WORDS = (*SMALL, "dataset=mixture", "model=mixture", "images=20", "shard=4")
SHARD, FEATURES = "shards/00000004.safetensors", "features/pixels/00000004.safetensors"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    experiment = make_experiment(tmp_path_factory.mktemp("made"), *WORDS)
    experiment.run()
    return experiment.folder


@pytest.fixture
def folder(made, tmp_path) -> Path:
    """A copy of the run where its command would look for it."""
    copy = make_experiment(tmp_path, *WORDS).folder
    return Path(shutil.copytree(made, copy))


def differences(folder: Path, *words: str, images: int = 20) -> str:
    """The differences that an audit of every image finds, as one text; nothing in the folder changes."""

    def state() -> dict[Path, tuple[int, bytes]]:
        return {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in folder.rglob("*") if p.is_file()}

    before = state()
    found = audit(FinishedRun.of(folder), words, images, seed=1)
    assert state() == before
    assert found.equal or found.different
    return "\n".join(found.different)


def reseal(folder: Path, **changes: object) -> None:
    """Write a record that agrees with every small file, with other entries too."""
    path = folder / "metrics.json"
    entry = unsealed(path.read_text()) | changes
    entry["files"] = {name: sha256((folder / name).read_bytes()).hexdigest() for name in entry["files"]}
    path.write_text(sealed(entry, indent=1))


def rewrite(folder: Path, name: str, change: Callable[[dict[str, np.ndarray]], object]) -> None:
    """Change the arrays of a file, and give it a line that says so."""
    store = RunFolder(folder).store
    arrays = {key: np.array(array) for key, array in store.read(name).items()}
    change(arrays)
    store.write(name, arrays, source=store.source(name))
    store.tidy()


def remeasure(folder: Path) -> None:
    """Let the run's own command measure what is there now."""
    (folder / "metrics.json").unlink()
    make_experiment(folder.parents[6], *WORDS).run()


def test_audit_of_an_untouched_run_finds_all_equal(folder):
    found = audit(FinishedRun.of(folder), (), 5, seed=7)
    assert found.different == []
    assert found.remarks == []
    for what in ("10 files of arrays", "numbers of the curve", "5 of 20 problems (--seed 7)", "to the bit", "weights"):
        assert what in found.line
    assert "\n" not in found.line


def test_audit_of_a_pack_unpacks_it_elsewhere(folder, tmp_path):
    pack(FinishedRun.of(folder), tmp_path / "run.tar")
    shutil.rmtree(folder)
    before = set(tmp_path.rglob("*"))
    with opened(tmp_path / "run.tar") as run:
        assert audit(run, (), 4, seed=0).different == []
    assert set(tmp_path.rglob("*")) == before


def test_audit_draws_from_every_shard_before_it_draws_twice(folder):
    remaking = Remaking(FinishedRun.of(folder), None)
    assert sorted(index // 4 for index in remaking.draw(5, seed=0)) == [0, 1, 2, 3, 4]
    assert sorted(remaking.draw(99, seed=0)) == [*range(20)]
    assert remaking.draw(7, seed=1) == remaking.draw(7, seed=1) != remaking.draw(7, seed=2)
    assert {index for seed in range(60) for index in remaking.draw(2, seed)} == set(range(20))


def change_pixel(arrays):
    arrays["images"][int(arrays["pick"][1, 1]), 2, 1, 0] ^= 1


def swap_rewards(arrays):
    arrays["reward"][[0, 1]] = arrays["reward"][[1, 0]]


def lower_cost(arrays):
    arrays["ledger"][2, 1, 0] -= 1


def other_start(arrays):
    arrays["start"][0, 1] += 1


def forge_pixel(folder):
    rewrite(folder, SHARD, change_pixel)


def forge_pixel_and_measure(folder):
    """With the features of the forged image, and all that follows from them."""
    rewrite(folder, SHARD, change_pixel)
    (folder / FEATURES).unlink()
    remeasure(folder)


def forge_rewards(folder):
    """Swapped, so that their mean stays what it was."""
    rewrite(folder, SHARD, swap_rewards)


def forge_costs(folder):
    rewrite(folder, SHARD, lower_cost)
    remeasure(folder)


def forge_features(folder):
    """Features nearer to the reference, and the curve that follows from them."""
    rewrite(folder, FEATURES, lambda arrays: arrays["features"].__imul__(0.9))
    remeasure(folder)


def forge_numbers(folder):
    """A better FID in the record and in the table, both with right checksums."""
    run = RunFolder(folder)
    rows = run.read_summary()["curve"]
    rows[1]["fid"] *= 0.99
    run.curve.write_text(to_csv(rows))
    reseal(folder, curve=rows)


def forge_reward_mean(folder):
    run = RunFolder(folder)
    rows = run.read_summary()["curve"]
    rows[0]["reward_mean"] += 1e-5
    run.curve.write_text(to_csv(rows))
    reseal(folder, curve=rows)


def edit_table(folder):
    path = folder / "curve.csv"
    lines = path.read_text().splitlines(keepends=True)
    lines[2] = lines[2].replace("0", "1", 1)
    path.write_text("".join(lines))


def forge_table(folder):
    edit_table(folder)
    reseal(folder)


def forge_times(folder):
    path = folder / "timing.jsonl"
    notes = [unsealed(line) for line in path.read_text().splitlines(keepends=True)]
    path.write_text("".join(sealed(note | {"seconds": note["seconds"] / 2}) for note in notes))
    reseal(folder)


def forge_config(folder):
    """The run claims other noise than it was made with."""
    path = folder / "config.yaml"
    body = path.read_text().rpartition("# sha256")[0]
    path.write_text(sealed_yaml(body.replace("eta: 0.5", "eta: 0.25")))
    reseal(folder)


def forge_config_and_command(folder):
    """The same, and a command that says so."""
    path = folder / "config.yaml"
    body = path.read_text().rpartition("# sha256")[0]
    path.write_text(sealed_yaml(body.replace("\nseed: 0", "\nseed: 1").replace("seed: 0\n", "seed: 1\n")))
    reseal(folder, command=RunFolder(folder).read_summary()["command"] + " seed=1", seed="1")


def drop_shard(folder):
    """The last problems are gone, and their lines; the record still claims them."""
    (folder / "shards/00000016.safetensors").unlink()
    (folder / "features/pixels/00000016.safetensors").unlink()
    RunFolder(folder).store.tidy()


def claim_fewer(folder):
    rewrite(
        folder,
        "shards/00000016.safetensors",
        lambda arrays: arrays.update(
            {
                key: arrays[key][:2]
                for key in ("index", "label", "pick", "reward", "start", "ledger", "verdicts", "nan_rewards")
            }
        ),
    )


def duplicate_shard(folder):
    """A good shard stands in for another, with the indices of the other, and all is measured again."""
    store = RunFolder(folder).store
    arrays = store.read("shards/00000008.safetensors")
    rewrite(folder, SHARD, lambda own: own.update(arrays | {"index": own["index"]}))
    (folder / FEATURES).unlink()
    remeasure(folder)


def duplicate_file(folder):
    content = (folder / "shards/00000008.safetensors").read_bytes()
    store = RunFolder(folder).store
    (folder / SHARD).write_bytes(content)
    line = {"file": SHARD, "sha256": sha256(content).hexdigest(), "bytes": len(content), "source": store.source(SHARD)}
    with (folder / "manifest.jsonl").open("a") as file:
        file.write(sealed(line))


def other_source(folder):
    path = folder / "manifest.jsonl"
    lines = [unsealed(line) for line in path.read_text().splitlines(keepends=True)]
    path.write_text("".join(sealed(line | {"source": "0123456789ab"}) for line in lines))


def forge_label(folder):
    reseal(folder, search="ses")


def forge_images(folder):
    reseal(folder, images=24)


def point_nowhere(folder):
    """A shard whose images are told to lie where there are none."""
    rewrite(folder, SHARD, lambda arrays: arrays["pick"].__iadd__(100))


def leave_out_array(folder):
    rewrite(folder, SHARD, lambda arrays: arrays.pop("ledger"))


def claim_nonsense(folder):
    reseal(folder, images=10**15)


def forge_effects(folder):
    path = folder / "per_image.safetensors"
    save_file({name: array[::-1].copy() for name, array in load_file(path).items()}, path)
    reseal(folder)


def forge_grid(folder):
    [path, *_] = sorted(folder.glob("samples_*.png"))
    Image.new("L", Image.open(path).size).save(path)
    reseal(folder)


def drop_record(folder, name: str) -> None:
    """The record says nothing of a small file any more."""
    files = RunFolder(folder).read_summary()["files"]
    reseal(folder, files={each: digest for each, digest in files.items() if each != name})


def forge_effects_and_drop_their_record(folder):
    forge_effects(folder)
    drop_record(folder, "per_image.safetensors")


def forge_grid_and_drop_its_record(folder):
    forge_grid(folder)
    drop_record(folder, min(path.name for path in folder.glob("samples_*.png")))


def drop_sources(folder):
    path = folder / "manifest.jsonl"
    lines = [unsealed(line) for line in path.read_text().splitlines(keepends=True)]
    path.write_text("".join(sealed({key: line[key] for key in line if key != "source"}) for line in lines))


def forge_list(folder):
    [path, *_] = sorted((folder / "sources").glob("*.txt"))
    path.write_text(path.read_text().replace("a", "b", 1))


def change_any_pixel(folder):
    """Nothing else is forged."""
    path = folder / SHARD
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)


def add_file(folder):
    shutil.copy(folder / SHARD, folder / "shards/00000020.safetensors")


FORGERIES: dict[Callable[[Path], None], str] = {
    change_any_pixel: r"00000004\.safetensors is not what manifest\.jsonl says",
    forge_pixel: r"image 5 is not what its shard says: 1 of 16 values by up to 1 at cap 1",
    forge_pixel_and_measure: r"image 5 is not what its shard says: 1 of 16 values by up to 1 at cap 1",
    forge_rewards: r"image 4 .*reward .* there and .* here at cap 0",
    forge_costs: r"image 6 .*nfe 5 there and 6 here at cap 1",
    forge_features: r"image 4 .*its features in features/pixels/00000004\.safetensors are those of another image",
    forge_numbers: r"fid in row 1 of the curve is",
    forge_reward_mean: r"reward_mean in row 0 of the curve is",
    edit_table: r"curve\.csv is not the table of the curve in metrics\.json",
    forge_table: r"curve\.csv is not the table of the curve in metrics\.json",
    forge_times: r"seconds in row 0 of the curve is",
    forge_config: r"sampler of config\.yaml is not what the command on record says[\s\S]*image \d+ is not",
    forge_config_and_command: r"image \d+ is not what its shard says",
    drop_shard: r"20 images are claimed, and there are 4 shards of 4",
    claim_fewer: r"shards/00000016\.safetensors does not hold problems 16 to 19",
    duplicate_shard: r"00000008\.safetensors holds the images of shards/00000004[\s\S]*image 4 is not",
    duplicate_file: r"shards/00000004\.safetensors does not hold problems 4 to 7",
    other_source: r"manifest\.jsonl names other sources of images than metrics\.json",
    forge_label: r"search is 'ses' in metrics\.json, and 'random' here",
    forge_images: r"24 images are claimed, and there are 5 shards of 4",
    point_nowhere: r"not compared, .* numbers of the curve .* computed again: IndexError",
    leave_out_array: r"not compared, .* numbers of the curve .* computed again: KeyError",
    claim_nonsense: r"1000000000000000 images are claimed",
    forge_effects: r"of per_image\.safetensors is not what comes out here",
    forge_grid: r"samples_\d+\.png does not show the first images",
    forge_effects_and_drop_their_record: r"of per_image\.safetensors is not what comes out here",
    forge_grid_and_drop_its_record: r"samples_\d+\.png does not show the first images",
    drop_sources: r"manifest\.jsonl names other sources of images than metrics\.json",
    forge_list: r"is not the list whose name it has",
    add_file: r"00000020\.safetensors has no line in manifest\.jsonl",
}


@pytest.mark.parametrize("forge", [forge_pixel, forge_rewards, forge_numbers])
def test_audit_finds(folder, forge):
    forge(folder)
    assert_found(forge, differences(folder))


@pytest.mark.long
@pytest.mark.parametrize("forge", FORGERIES)
def test_audit_finds_every_forgery(folder, forge):
    forge(folder)
    assert_found(forge, differences(folder))


def assert_found(forge: Callable[[Path], None], text: str) -> None:
    assert re.search(FORGERIES[forge], text), text


def test_audit_runs_no_code_of_a_strangers_configuration(folder, tmp_path):
    evil, canary = tmp_path / "evil.py", tmp_path / "canary"
    evil.write_text(f"open({str(canary)!r}, 'w')\nclass Verifier:\n    pass\n")
    path = folder / "config.yaml"
    body = path.read_text().rpartition("# sha256")[0]
    for target in ("evil.Verifier", "os.system", "its.config.instantiate.instantiate", "subprocess.Popen"):
        path.write_text(sealed_yaml(body.replace("its.verifier.classifier.Classifier", target)))
        reseal(folder)
        with pytest.raises(ValueError, match=r"_target_ is .* must be defined in its"):
            audit(FinishedRun.of(folder), (), 1, seed=0)
    path.write_text(sealed_yaml(body))
    command = RunFolder(folder).read_summary()["command"]
    reseal(folder, command=f"{command} plugins=[{evil}]")
    with pytest.raises(ValueError, match=r"which each command line names anew"):
        audit(FinishedRun.of(folder), (), 1, seed=0)
    assert not canary.exists()


def test_audit_takes_words_about_the_place_alone(folder):
    with pytest.raises(ValueError, match=r"seed=1 would make another run"):
        audit(FinishedRun.of(folder), ["seed=1"], 1, seed=0)
    assert differences(folder, "device=cpu") == ""


def note_elsewhere(folder: Path, note: dict[str, object]) -> None:
    """Let every line of the timing say something else."""
    path = folder / "timing.jsonl"
    notes = [unsealed(line) for line in path.read_text().splitlines(keepends=True)]
    path.write_text("".join(sealed(each | note) for each in notes))
    reseal(folder)


@pytest.mark.parametrize(
    "note",
    [
        {"type": "NVIDIA H200"},
        pytest.param({"torch": "1.0"}, marks=pytest.mark.long),
        pytest.param({"batch": 16}, marks=pytest.mark.long),
        pytest.param({"verify_batch": 16}, marks=pytest.mark.long),
    ],
)
def test_audit_of_what_was_made_elsewhere_says_what_it_compares(folder, note):
    note_elsewhere(folder, note)
    found = audit(FinishedRun.of(folder), ["batch=8", "verify_batch=8"], 20, seed=0)
    assert found.different == []
    assert "within 2 of 255 levels" in found.line
    assert f"{next(iter(note.values()))} there and" in found.line

    # Where no image is stored either, rewards and NFE are all that is left.
    assert "no image is stored" not in found.line
    for name in RunFolder(folder).shard_names:
        rewrite(folder, name, lambda arrays: arrays.update(digest=digests(arrays["images"])))
        rewrite(folder, name, lambda arrays: arrays.pop("images"))
    unseen = audit(FinishedRun.of(folder), ["batch=8", "verify_batch=8"], 20, seed=0)
    assert "of 20 of these problems no image is stored, so that rewards and NFE alone are compared" in unseen.line


def test_audit_of_what_was_made_elsewhere_lets_a_rounding_pass_and_no_more(folder):
    note_elsewhere(folder, {"type": "NVIDIA H200"})
    rewrite(folder, SHARD, change_pixel)
    assert "values by up to" not in differences(folder, "batch=8", "verify_batch=8")
    rewrite(folder, SHARD, lambda arrays: arrays["images"].__iadd__(3))
    assert "16 of 16 values by up to 3" in differences(folder, "batch=8", "verify_batch=8")
    rewrite(folder, SHARD, lambda arrays: arrays["images"].__isub__(3))
    rewrite(folder, SHARD, lower_cost)
    assert "nfe 5 there and 6 here" in differences(folder, "batch=8", "verify_batch=8")


@pytest.mark.parametrize("kept", ["preview", pytest.param("none", marks=pytest.mark.long)])
def test_audit_compares_digests_of_images_that_are_not_stored(tmp_path, kept):
    experiment = make_experiment(tmp_path, *WORDS, f"store.images={kept}")
    experiment.run()
    assert differences(experiment.folder) == ""
    rewrite(experiment.folder, SHARD, lambda arrays: arrays["digest"].__ixor__(1))
    assert "image 4 is not what its shard says: the sha256 of its pixels at cap 0" in differences(experiment.folder)


@pytest.mark.long
def test_audit_names_other_weights(tmp_path, monkeypatch):
    from its.weights import locate

    weights = tmp_path / "w.safetensors"
    state = load_file(locate("digits/verifier.safetensors"))
    save_file(state, weights)
    words = ("images=4", "shard=4", "sampler.steps=3", "budget.samplings=[1]", "batch=8", "~metric.prc", "~metric.kid")
    experiment = make_experiment(tmp_path, *words, f"dataset.classifier.weights={weights}")
    experiment.run()
    assert differences(experiment.folder) == ""
    save_file({name: array + 1e-3 for name, array in state.items()}, weights)
    text = differences(experiment.folder)
    assert f"weights {weights} are " in text
    assert "image" in text
    weights.unlink()
    with pytest.raises(FileNotFoundError, match=r"neither in the package"):
        audit(FinishedRun.of(experiment.folder), (), 1, seed=0)


def test_audit_writes_no_folder_where_the_command_would(folder, tmp_path):
    out_dir = folder.parents[6]
    before = sorted(os.listdir(out_dir))
    differences(folder)
    assert sorted(os.listdir(out_dir)) == before
    assert json.loads((folder / "metrics.json").read_text())["images"] == 20
