"""A folder of an earlier version is adopted by the `mv` that the run prints; `tests/config/before` is such a run.

It was made by commit 973017c: `python run.py images=4 shard=2 sampler.steps=2 search=none "budget.samplings=[1]"
"~metric.kid" "~metric.prc" "~metric.isc"`, and has lost its pictures. Its model did not derive eps_hat again.
"""

import random
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from its.config.folder import check_folder, claim, older_folder
from its.run.shards import ledger_of
from tests.build import CONF, arrays_in, blueprint_of, contents, numbers

BEFORE = Path(__file__).parent / "before"
WORDS = (
    "shard=2",
    "sampler.steps=2",
    "search=none",
    "budget.samplings=[1]",
    "~metric.kid",
    "~metric.prc",
    "~metric.isc",
    "model.rederive_eps=false",
)


def run(out_dir: Path, *words: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "run.py", f"out_dir={out_dir}", *WORDS, *words]
    return subprocess.run(command, cwd=CONF.parent, text=True, capture_output=True, timeout=300)


@pytest.mark.long
def test_run_script_continues_a_folder_of_an_earlier_version_after_mv(tmp_path: Path):
    folder = blueprint_of(tmp_path, *WORDS, "images=4").folder
    older = folder.parent / "seed=0-31bbfaa9"
    shutil.copytree(BEFORE, older)
    planned, refused = run(tmp_path, "images=4", "plan=true"), run(tmp_path, "images=4")
    assert f"begun by an earlier version: mv {older} {folder}" in planned.stdout
    assert refused.returncode == 1
    assert not folder.exists()
    [line] = [line for line in (refused.stdout + refused.stderr).splitlines() if ": mv " in line]
    subprocess.run(shlex.split(line.partition(": mv ")[2].join(("mv ", ""))), check=True)

    before = contents(folder)
    again = run(tmp_path, "images=4")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "nothing to do: 4 images and their curve are there" in again.stdout + again.stderr
    assert "an earlier version made this, and no source is on record" in again.stdout + again.stderr
    assert contents(folder) == before

    unsaid = run(tmp_path, "images=6")
    assert unsaid.returncode == 1
    assert "of some no source is on record" in unsaid.stdout + unsaid.stderr
    longer = run(tmp_path, "images=6", "allow_edited=true")
    assert longer.returncode == 0, longer.stdout + longer.stderr
    assert [row["edited_sources"] for row in numbers(folder)] == ["1"]
    kept = {name: content for name, content in before.items() if name.startswith("shards/")}
    assert kept
    assert kept.items() <= contents(folder).items(), "those that were there are not made again"
    alone = run(tmp_path / "alone", "images=6")
    assert alone.returncode == 0
    made = blueprint_of(tmp_path / "alone", *WORDS, "images=6").folder
    for name in ("shards/00000000.safetensors", "shards/00000002.safetensors", "shards/00000004.safetensors"):
        there, here = (arrays_in(path / name) for path in (folder, made))
        there["ledger"] = ledger_of(there)
        assert all(np.array_equal(there[key], here[key]) for key in there), (
            "it has no other arrays but those added since"
        )


def test_older_folder_finds_only_a_folder_of_the_same_run(tmp_path: Path):
    blueprint = blueprint_of(tmp_path, *WORDS)
    shutil.copytree(BEFORE, blueprint.folder.parent / "seed=0-31bbfaa9")
    assert older_folder(blueprint.folder, blueprint.record) == blueprint.folder.parent / "seed=0-31bbfaa9"
    for words in (["sampler.eta=1"], ["seed=1"], ["budget.samplings=[2]"], ["sampler.steps=3"]):
        other = blueprint_of(tmp_path, *WORDS, *words)
        assert older_folder(other.folder, other.record) is None
    blueprint.folder.mkdir()
    assert older_folder(blueprint.folder, blueprint.record) is None


def test_claim_refuses_another_configuration(tmp_path: Path):
    blueprint = blueprint_of(tmp_path, *WORDS)
    claim(blueprint.folder, blueprint.config)
    claim(blueprint.folder, blueprint.config)
    with pytest.raises(ValueError, match=r"says something else than this command about shard"):
        check_folder(blueprint.folder, {**blueprint.config, "shard": 3})


def test_claim_makes_the_same_configuration_again_from_whatever_became_of_it(tmp_path: Path):
    blueprint = blueprint_of(tmp_path, *WORDS)
    claim(blueprint.folder, blueprint.config)
    path = blueprint.folder / "config.yaml"
    whole, luck = path.read_bytes(), random.Random(0)
    *body, _ = whole.splitlines(keepends=True)
    for kind in range(60):
        place = luck.randrange(len(whole))
        flipped = whole[:place] + bytes([whole[place] ^ 1 << luck.randrange(8)]) + whole[place + 1 :]
        damaged = flipped if kind % 2 else whole[:place]
        if damaged == b"".join(body):  # without its checksum it is what an earlier version wrote
            continue
        path.write_bytes(damaged)
        claim(blueprint.folder, blueprint.config)
        assert path.read_bytes() == whole
        (aside,) = blueprint.folder.glob("config.yaml.damaged-*")
        assert aside.read_bytes() == damaged
        aside.unlink()


@pytest.mark.parametrize("damage", [b"\xff\xfe", b"a: [", b"seed: 0\ndataset: {}\n", b"- 1\n"])
def test_damaged_record_belongs_to_no_run(tmp_path: Path, damage: bytes):
    blueprint = blueprint_of(tmp_path, *WORDS)
    beside = blueprint.folder.parent / "seed=0-00000000"
    beside.mkdir(parents=True)
    (beside / "config.yaml").write_bytes(damage)
    claim(blueprint.folder, blueprint.config)
    (blueprint.folder / "config.yaml").write_bytes(damage)
    claim(blueprint.folder, blueprint.config)
    (aside,) = blueprint.folder.glob("config.yaml.damaged-*")
    assert (beside / "config.yaml").read_bytes() == aside.read_bytes() == damage
