"""Joining parts of a run: what is joined is the run that one machine would have made, and all else is refused."""

import os
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from its.disk.run_folder import RunFolder
from its.disk.sealed import sealed, sealed_yaml, unsealed
from its.moving.merge import Merge
from tests.build import SMALL, contents, make_experiment, numbers

WORDS = (*SMALL, "dataset=mixture", "model=mixture", "images=20", "shard=4", "keep_candidates=true", "~metric.isc")


ZLIB = zlib.compressobj


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """`whole`, `first` and `second`: a run, and its two halves; of each the folder of the run."""
    root = tmp_path_factory.mktemp("made")
    for name, words in (("whole", ()), ("first", ("share=1/2",)), ("second", ("share=2/2",))):
        experiment = make_experiment(root / "out" / name, *WORDS, *words)
        experiment.run()
        shutil.copytree(experiment.folder, root / name)
    return root


@pytest.fixture
def halves(made, tmp_path) -> tuple[Path, Path]:
    """Two halves in folders of their own, the first where its run looks for it."""
    target = make_experiment(tmp_path, *WORDS).folder
    shutil.copytree(made / "first", target)
    return target, Path(shutil.copytree(made / "second", tmp_path / "second"))


def relined(path: Path, **changes: object) -> None:
    """Write the lines of a `.jsonl` again, with other entries and right checksums."""
    lines = [unsealed(line) | changes for line in path.read_text().splitlines(keepends=True)]
    path.write_text("".join(map(sealed, lines)))


def test_merge_of_two_halves_is_the_run_of_one_machine(made, halves):
    target, other = halves
    before = contents(other)
    assert len(RunFolder(target).shard_names) == 3
    merge = Merge.of(halves)
    assert (merge.run(), merge.images) == (2, 20)
    assert contents(other) == before
    run = make_experiment(target.parents[6], *WORDS)
    assert merge.command == run.command
    run.run()
    whole = contents(made / "whole")
    assert {name: content for name, content in contents(target).items() if name != "share.json"} == whole
    assert numbers(target) == numbers(made / "whole")
    timed = [note["first"] for note in RunFolder(target).store.notes()]
    assert sorted(timed) == [0, 4, 8, 12, 16]


def test_merge_again_adds_nothing(halves):
    Merge.of(halves).run()
    before = {path: path.read_bytes() for path in halves[0].rglob("*") if path.is_file()}
    assert Merge.of(halves).run() == 0
    assert {path: path.read_bytes() for path in halves[0].rglob("*") if path.is_file()} == before


class Killed(BaseException):
    """The process ends here."""


@contextmanager
def killed_after(steps: int) -> Iterator[None]:
    """End the block after so many writes, syncs, openings and renames; say nothing of it."""
    left = iter(range(steps))

    def ending(call):
        def step(*given, **named):
            if next(left, None) is None:
                raise Killed
            return call(*given, **named)

        return step

    with pytest.MonkeyPatch.context() as patch, suppress(Killed):
        for owner, name in ((os, "write"), (os, "fsync"), (os, "open"), (Path, "replace")):
            patch.setattr(owner, name, ending(getattr(owner, name)))
        yield
        left = iter(())


@pytest.mark.long
def test_merge_goes_on_wherever_it_was_killed(made, halves):
    """Every write, sync and rename of it is once the last thing that it does."""
    target, kills = halves[0], 0
    whole = {name for half in halves for name in RunFolder(half).store.present()}
    while True:
        shutil.rmtree(target)
        shutil.copytree(made / "first", target)
        ready = Merge.of(halves)
        with killed_after(kills):
            ready.run()
            break
        kills += 1
        assert all(sentence.endswith("is gone") for sentence in RunFolder(target).store.damage().values())
        Merge.of(halves).run()
        store = RunFolder(target).store
        assert store.is_complete()
        assert store.present() == whole
        assert all((target / name).read_bytes() == (made / "whole" / name).read_bytes() for name in store.present())
        assert sorted(note["first"] for note in store.notes()) == [0, 4, 8, 12, 16]
    assert kills > 30


def test_merge_joins_files_that_another_zlib_has_packed(made, halves, monkeypatch):
    """Overlapping shards are the same if their arrays are, whatever their bytes."""
    target, other = halves
    first = RunFolder(made / "first").store
    with monkeypatch.context() as context:
        context.setattr(zlib, "compressobj", lambda *given: ZLIB(0))
        for name in first.present():
            RunFolder(other).store.write(name, first.read(name), source=first.source(name))
    shutil.copy(made / "whole" / "timing.jsonl", other / "timing.jsonl")
    name = "shards/00000000.safetensors"
    assert (target / name).read_bytes() != (other / name).read_bytes()
    before = (target / name).read_bytes()
    Merge.of(halves).run()
    assert (target / name).read_bytes() == before
    assert RunFolder(target).store.damage() == {}


def edit_config(target: Path, other: Path) -> None:
    path = other / "config.yaml"
    body = path.read_text().rpartition("# sha256")[0].replace("steps: 3", "steps: 4")
    path.write_text(sealed_yaml(body))


def edit_shard_size(target: Path, other: Path) -> None:
    path = other / "config.yaml"
    path.write_text(sealed_yaml(path.read_text().rpartition("# sha256")[0].replace("shard: 4", "shard: 5")))


def change_pixel(target: Path, other: Path) -> None:
    path = other / "shards/00000004.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def forge_overlap(target: Path, other: Path) -> None:
    """A shard that both have, with one other reward, and a line that says so."""
    store, name = RunFolder(target).store, "shards/00000000.safetensors"
    arrays = store.read(name)
    arrays["reward"] = arrays["reward"] + np.eye(*arrays["reward"].shape)
    RunFolder(other).store.write(name, arrays, source=store.source(name))
    RunFolder(other).store.note({"first": 0, "images": 4, "seconds": 1.0, "type": "cpu"})


def forge_digests(target: Path, other: Path) -> None:
    relined(other / "manifest.jsonl", arrays={"index": "0" * 64})


def link_to_itself(target: Path, other: Path) -> None:
    shutil.rmtree(other)
    other.symlink_to(target)


def grow_last_shard(target: Path, other: Path) -> None:
    """A shard of which the other has only the first images."""
    store, name = RunFolder(target).store, "shards/00000008.safetensors"
    arrays = {key: array[:2] for key, array in store.read(name).items()}
    RunFolder(other).store.write(name, arrays, source=store.source(name))
    RunFolder(other).store.note({"first": 8, "images": 2, "seconds": 1.0, "type": "cpu"})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (edit_config, r"config\.yaml differ in sampler; only parts of one run"),
        (edit_shard_size, r"config\.yaml differ in shard"),
        (lambda target, other: (other / "config.yaml").unlink(), r"has no config\.yaml"),
        (lambda target, other: (other / "config.yaml").open("a").write("x: 1\n"), r"config\.yaml is damaged"),
        (change_pixel, r"00000004\.safetensors is not what manifest\.jsonl says"),
        (lambda target, other: (other / "manifest.jsonl").unlink(), r"has no line in manifest\.jsonl"),
        (forge_overlap, r"shards/00000000\.safetensors is not the same in .*: reward differ"),
        (forge_digests, r"does not hold the arrays that manifest\.jsonl says"),
        (grow_last_shard, r"shards/00000008\.safetensors is not the same"),
        (lambda target, other: relined(other / "manifest.jsonl", source="0123456789ab"), r"were made by source 0123"),
        (lambda target, other: relined(other / "manifest.jsonl", source=""), r"no source is on record of"),
        (lambda target, other: relined(other / "timing.jsonl", type="NVIDIA H200"), r"2 types of device.*H200"),
        (lambda target, other: (other / "timing.jsonl").unlink(), r"does not say on what device shards/00000004"),
        (link_to_itself, r"is given twice"),
        (lambda target, other: shutil.rmtree(other), r"has no config\.yaml"),
    ],
)
def test_merge_refuses_before_it_writes(halves, change, words):
    change(*halves)
    before = {path: path.read_bytes() for path in halves[0].rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match=words):
        Merge.of(halves)
    assert {path: path.read_bytes() for path in halves[0].rglob("*") if path.is_file()} == before


def test_merge_of_a_half_that_was_killed_between_line_and_file(halves):
    """The line of a file that never came is no damage."""
    for half in halves:
        (half / RunFolder(half).shard_names[-1]).unlink()
    merge = Merge.of(halves)
    assert (merge.run(), merge.images) == (1, 12)


@pytest.mark.parametrize("share", ["0/2", "3/2", "1", "a/b", "1/2/3", "-1/2", "1/0"])
def test_share_is_refused_unless_it_is_one(tmp_path, share):
    with pytest.raises(ValueError, match=r"share is .*; it is "):
        make_experiment(tmp_path, *WORDS, f"share='{share}'")


def test_share_is_planned_for_what_it_makes(tmp_path):
    plans = [make_experiment(tmp_path, *WORDS, *words) for words in ((), ("share=2/3",))]
    assert plans[0].folder == plans[1].folder
    assert plans[1].command == plans[0].command
