"""A run as it travels: made in halves on two machines, killed on the way, joined, packed, and audited by a stranger."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from its.disk.run_folder import RunFolder
from its.disk.sealed import sealed, unsealed
from its.moving.remade import Remaking
from its.rerun.finished_run import FinishedRun
from tests.build import SMALL

ROOT = Path(__file__).parents[2]
CHEAP = (f"plugins=[{ROOT}/scripts/cheap/cheap_256.py]", f"hydra.searchpath=[{ROOT}/scripts/cheap/conf]")
WORDS = (
    *CHEAP,
    "dataset=cheap_256",
    "dataset.reference.count=100",
    "model=cheap_256",
    "verifier=cheap_256",
    "sampler=euler",
    "sampler.steps=4",
    "~metric.isc",
    "~metric.accuracy",
    "~metric.prc",
    "~metric.kid",
    "images=64",
    "shard=8",
    "batch=16",
    "budget.samplings=[1,2]",
)

pytestmark = pytest.mark.long


def call(*words: object, cwd: Path = ROOT, code: int = 0) -> str:
    """Run a script of ours as a person does, and return what it prints."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(ROOT / str(words[0])), *map(str, words[1:])]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def folder_in(out_dir: Path) -> Path:
    [config] = out_dir.rglob("config.yaml")
    return config.parent


def kill_half_way(*words: str, out_dir: Path) -> None:
    """Begin a run, and kill it when some of its shards are there."""
    command = [sys.executable, "run.py", *WORDS, *words, f"out_dir={out_dir}"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while len([*out_dir.rglob("shards/*.safetensors")]) < 2:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.fixture(scope="module")
def packed(tmp_path_factory) -> Path:
    """The pack of a run that was joined from two halves, of which one was killed; checked against the whole run."""
    place = tmp_path_factory.mktemp("machines")
    kill_half_way(out_dir=place / "one")
    call("run.py", *WORDS, f"out_dir={place}/one")
    kill_half_way("share=1/2", out_dir=place / "here")
    for name, share in (("here", "1/2"), ("there", "2/2")):
        assert f"share {share} is there, 4 shards" in call(
            "run.py", *WORDS, f"share={share}", f"out_dir={place}/{name}"
        )

    # Join, and measure by the command that is said.
    here, there, one = (folder_in(place / name) for name in ("here", "there", "one"))
    said = call("scripts/merge.py", here, there)
    assert "4 shards joined; all shards from the first on hold 64 images" in said
    assert "images=64" in said
    call("run.py", *WORDS, f"out_dir={place}/here")
    joined, whole = RunFolder(here), RunFolder(one)
    assert joined.store.present() == whole.store.present()
    assert all(joined.store.digests(name) == whole.store.digests(name) != {} for name in whole.store.present())
    curves = [[{**row, "seconds": 0} for row in run.read_summary()["curve"]] for run in (joined, whole)]
    assert curves[0] == curves[1]

    # Pack, and leave nothing else.
    pack = tmp_path_factory.mktemp("stranger") / "run.tar"
    call("scripts/pack.py", here, pack)
    shutil.rmtree(place)
    return pack


def test_audit_of_a_pack_in_another_folder_says_what_was_equal(packed):
    said = call("scripts/audit.py", packed, "--seed", 1, *CHEAP, cwd=packed.parent)
    assert "16 of 64 problems (--seed 1), made again at all 2 caps, to the bit" in said
    assert len(said.splitlines()) == 1
    assert [path.name for path in packed.parent.iterdir()] == [packed.name]


def test_audit_of_another_machines_package_asks_for_it(packed):
    assert "if they are yours, add 'plugins=[cheap_256.py]'" in call("scripts/audit.py", packed, code=1)


def test_unpacked_run_is_measured_and_reported_elsewhere(packed, tmp_path):
    call("scripts/pack.py", "--unpack", packed, tmp_path / "theirs" / "run")
    run = FinishedRun.of(tmp_path / "theirs" / "run")
    said = call(
        "scripts/evaluate.py",
        "cheap_256",
        run.folder,
        *CHEAP,
        "~metric.isc",
        "~metric.accuracy",
        "~metric.prc",
        "~metric.kid",
        "dataset.reference.count=100",
        cwd=tmp_path,
    )
    assert f"{run.summary['curve'][-1]['fid']:.7g}" in said
    assert "random" in call("scripts/report.py", tmp_path / "theirs", cwd=tmp_path)
    call("scripts/figure.py", tmp_path / "theirs", "--metric", "fid", "--out", tmp_path / "fid.pdf", cwd=tmp_path)
    call("scripts/pack.py", run.folder, tmp_path / "again.tar", cwd=tmp_path)


@pytest.mark.parametrize("forgery", ["pixel", "reward", "row"])
def test_audit_script_finds_a_forgery(packed, tmp_path, forgery):
    call("scripts/pack.py", "--unpack", packed, tmp_path / "run")
    run = FinishedRun.of(tmp_path / "run")
    [first, *_] = Remaking(run, None).draw(16, seed=3)
    name, row = f"shards/{first // 8 * 8:08d}.safetensors", first % 8
    if forgery == "row":
        table = run.files.curve
        table.write_text(table.read_text().replace(",64,", ",65,", 1))
    else:
        arrays = run.files.store.read(name)
        if forgery == "pixel":
            arrays["images"][arrays["pick"][row, 0], 7, 7, 1] ^= 1
        else:
            arrays["reward"][[row, row - 1]] = arrays["reward"][[row - 1, row]]
        run.files.store.write(name, arrays, source=run.files.store.source(name))
    said = call("scripts/audit.py", run.folder, "--seed", 3, *CHEAP, code=1)
    expected = {
        "pixel": f"image {first} is not what its shard says: 1 of 196608 values by up to 1 at cap 0",
        "reward": f"image {first} is not what its shard says: reward",
        "row": "curve.csv is not the table of the curve in metrics.json",
    }
    assert f"differs: {expected[forgery]}" in said


def test_rescore_of_an_unpacked_run_is_what_it_is_at_home(tmp_path):
    words = (*SMALL, "images=12", "shard=6", "keep_candidates=true", "~metric.isc")
    call("run.py", *words, f"out_dir={tmp_path}/home")
    call("scripts/pack.py", folder_in(tmp_path / "home"), tmp_path / "run.tar")
    call("scripts/pack.py", "--unpack", tmp_path / "run.tar", tmp_path / "away")
    for folder in (folder_in(tmp_path / "home"), tmp_path / "away"):
        call("scripts/rescore.py", folder, "verifier=null_rewards", "verifier.salt=3")
    home, away = ([*folder.glob("**/rescored/*/curve.csv")] for folder in (tmp_path / "home", tmp_path / "away"))
    assert home[0].read_text() == away[0].read_text()


def test_audit_of_a_forged_line_of_timing_names_the_seconds(packed, tmp_path):
    call("scripts/pack.py", "--unpack", packed, tmp_path / "run")
    path = tmp_path / "run" / "timing.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(sealed(unsealed(line) | {"seconds": 0.001}) for line in lines))
    said = call("scripts/audit.py", tmp_path / "run", "--images", 1, *CHEAP, code=1)
    assert "timing.jsonl is not the file whose sha256 metrics.json has" in said
    assert "seconds in row 0 of the curve is" in said
