"""Sweeps of the command line with W&B: what is on disk afterwards, and what is the same as without."""

import csv
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.runs import CONF, contents, numbers

SMALL = ("images=40", "shard=20", "sampler.steps=4", "budget.samplings=[1,2]", "batch=32", "~metric.kid", "~metric.prc")
SECRETS = {"HF_TOKEN": "its-canary-one", "MY_PASSWORD": "its-canary-two", "WANDB_API_KEY": "c" * 32 + "anary333"}
WARNING = "W&B failed, results are whole"


def sweep(folder: Path, *overrides: str, before: tuple[str, ...] = (), **environment: str):
    """A sweep of two searches below `folder / "out"`, with W&B's own files below `folder`."""
    own = {"WANDB_CACHE_DIR": str(folder / "cache"), "WANDB_CONFIG_DIR": str(folder / "config"),
           "NETRC": str(folder / "netrc"), "OMP_NUM_THREADS": "1"}
    clean = {key: value for key, value in os.environ.items() if not key.startswith("WANDB_")}
    command = [*before, sys.executable, "run.py", "-m", "search=none,random", f"out_dir={folder / 'out'}", *SMALL]
    return subprocess.run([*command, *overrides], cwd=CONF.parent, capture_output=True, text=True,
                          env={**clean, **own, **environment}, timeout=900)


def runs(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.glob("out/default/digits/**/metrics.json"))


def same_results(one: Path, other: Path) -> bool:
    pairs = list(zip(runs(one), runs(other), strict=True))
    return len(pairs) == 2 and all(contents(a) == contents(b) and numbers(a) == numbers(b) for a, b in pairs)


def records(core: Path, run: Path) -> list[dict]:
    """The records of a W&B file as wandb's own reader prints them."""
    (file,) = run.glob("run-*.wandb")
    done = subprocess.run([core, "leet", "inspect", "--no-observability", "--json", "--run-file", file, run.parent],
                          capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    """The sweep without a tracker."""
    folder = tmp_path_factory.mktemp("plain")
    done = sweep(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_offline_files_hold_every_row_every_grid_and_the_chart_and_no_secret(plain, tmp_path, wandb_core):
    done = sweep(tmp_path, "tracker=wandb", **SECRETS, WANDB_MODE="offline")
    assert done.returncode == 0, done.stdout + done.stderr
    folder = tmp_path / "out" / "default" / "wandb"
    assert f"wandb leet {folder}" in done.stdout
    assert f"wandb sync {folder}" in done.stdout
    assert same_results(plain, tmp_path)
    written = sorted(folder.glob("offline-run-*"))
    assert len(written) == 3
    for run in runs(tmp_path):
        (mine,) = [path for path in written if path.name.endswith(run.name.rpartition("-")[2])]
        found = records(wandb_core, mine)
        history = [record["history"]["item"] for record in found if record["type"] == "history"]
        curve = [item for item in history if "fid" in item]
        with (run / "curve.csv").open() as file:
            rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
        assert [{key: float(item[key]) for key in rows[0]} for item in curve] == rows
        for item, row in zip(curve, rows, strict=True):
            grid = (run / f"samples_{row['nfe_cap']:g}.png").read_bytes()
            assert (mine / "files" / item["samples.path"]).read_bytes() == grid
        assert [item["throughput/images"] for item in history if "throughput/images" in item] == [20, 40]
        (opened,) = [record["run"] for record in found if record["type"] == "run"]
        assert opened["run_group"] == "default"
        assert opened["config"]["update"]["choices"]["search"] in opened["tags"]
    (chart,) = [path for path in written if path.name.endswith("default-sweep")]
    found = json.dumps(records(wandb_core, chart))
    assert "its-nfe-curves" in found
    (table,) = chart.glob("files/media/table/nfe_curves_table*.json")
    assert len(json.loads(table.read_text())["data"]) == 4
    for path in (path for path in tmp_path.rglob("*") if path.is_file()):
        assert not [name for name, secret in SECRETS.items() if secret.encode() in path.read_bytes()], path


def test_a_wandb_that_hangs_changes_nothing_and_is_told_in_one_line(plain, tmp_path):
    (tmp_path / "impostor").mkdir()
    (tmp_path / "impostor" / "wandb.py").write_text("import time\ntime.sleep(1000)\n")
    done = sweep(tmp_path, "tracker=wandb", "tracker.timeout=1", PYTHONPATH=str(tmp_path / "impostor"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert (done.stdout + done.stderr).count(WARNING) == 1
    assert same_results(plain, tmp_path)


@pytest.mark.long
def test_a_server_that_never_answers(plain, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        done = sweep(tmp_path, "tracker=wandb", "tracker.timeout=20", WANDB_BASE_URL=url, **SECRETS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (done.stdout + done.stderr).count(WARNING) == 1
    assert same_results(plain, tmp_path)


@pytest.mark.long
def test_no_network_at_all(plain, tmp_path):
    done = sweep(tmp_path, "tracker=wandb", "tracker.timeout=20", before=("unshare", "-rn"), **SECRETS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (done.stdout + done.stderr).count(WARNING) == 1
    assert same_results(plain, tmp_path)


@pytest.mark.long
def test_a_full_disk_for_its_files(plain, tmp_path):
    (tmp_path / "tiny").mkdir()
    mount = f'mount -t tmpfs -o size=64k none {tmp_path / "tiny"} && exec "$@"'
    done = sweep(tmp_path, "tracker=wandb", before=("unshare", "-rm", "bash", "-c", mount, "bash"),
                 WANDB_DIR=str(tmp_path / "tiny"), WANDB_MODE="offline")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (done.stdout + done.stderr).count(WARNING) == 1
    assert same_results(plain, tmp_path)
