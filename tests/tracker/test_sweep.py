"""Sweeps of the command line with W&B: what is on disk afterwards, and what is the same as without."""

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from its.tracker.chart import spec
from tests.build import CONF, contents, make_experiment, numbers

SMALL = ("images=40", "shard=20", "sampler.steps=4", "budget.samplings=[1,2]", "batch=32", "~metric.kid", "~metric.prc")
SECRETS = {"HF_TOKEN": "its-canary-one", "MY_PASSWORD": "its-canary-two", "WANDB_API_KEY": "c" * 32 + "anary333"}
WARNING = "W&B failed, results are whole"
CLOCKS = ("_timestamp", "_runtime")


def job(folder: Path, *overrides: str, before: tuple[str, ...] = (), **environment: str) -> subprocess.Popen[str]:
    """Start a job, or a sweep, below `folder / "out"`, with W&B's own files below `folder`."""
    own = {
        "WANDB_CACHE_DIR": str(folder / "cache"),
        "WANDB_CONFIG_DIR": str(folder / "config"),
        "NETRC": str(folder / "netrc"),
        "OMP_NUM_THREADS": "1",
    }
    clean = {key: value for key, value in os.environ.items() if not key.startswith("WANDB_")}
    command = [*before, sys.executable, "run.py", f"out_dir={folder / 'out'}", *SMALL, *overrides]
    return subprocess.Popen(
        command,
        cwd=CONF.parent,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**clean, **own, **environment},
    )


def sweep(folder: Path, *overrides: str, before: tuple[str, ...] = (), **environment: str) -> tuple[int, str]:
    """Exit code of a sweep of two searches, and what it printed."""
    jobs = job(folder, "-m", "search=none,random", *overrides, before=before, **environment)
    printed, _ = jobs.communicate(timeout=900)
    return jobs.returncode, printed


def runs(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.glob("out/default/digits/**/metrics.json"))


def same_results(one: Path, other: Path) -> bool:
    pairs = list(zip(runs(one), runs(other), strict=True))
    return len(pairs) == 2 and all(contents(a) == contents(b) and numbers(a) == numbers(b) for a, b in pairs)


def records(core: Path, run: Path) -> list[dict]:
    """The records of a W&B file as wandb's own reader prints them."""
    (file,) = run.glob("run-*.wandb")
    done = subprocess.run(
        [core, "leet", "inspect", "--no-observability", "--json", "--run-file", file, run.parent],
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    """The runs of the sweep without a tracker."""
    folder = tmp_path_factory.mktemp("plain")
    for search in ("none", "random"):
        make_experiment(folder / "out", f"search={search}", *SMALL).run()
    return folder


def test_wandb_sweep_offline_holds_all_results_and_no_secret(plain, tmp_path, wandb_core):
    code, printed = sweep(tmp_path, "tracker=wandb", **SECRETS, WANDB_MODE="offline")
    assert code == 0, printed
    folder = tmp_path / "out" / "default" / "wandb"
    assert f"wandb leet {folder}" in printed
    assert f"wandb sync {folder}" in printed
    assert same_results(plain, tmp_path)
    written = sorted(folder.glob("offline-run-*"))
    assert len(written) == 3
    drawn = []
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
        drawn += [[row[column] for column in ("nfe_cap", "nfe", "fid", "isc")] for row in rows]
    (chart,) = [path for path in written if path.name.endswith("default-sweep")]
    configs = [record["config"]["update"] for record in records(wandb_core, chart) if record["type"] == "config"]
    assert spec() in [update.get("chart") for update in configs]
    (panel,) = [update[key]["panel_config"] for update in configs for key in update if key.endswith(".nfe_curves")]
    assert panel["panelDefId"] == "its-nfe-curves"
    (table,) = chart.glob("files/media/table/nfe_curves_table*.json")
    assert sorted(row[-4:] for row in json.loads(table.read_text())["data"]) == sorted(drawn)
    for path in (path for path in tmp_path.rglob("*") if path.is_file()):
        assert not [name for name, secret in SECRETS.items() if secret.encode() in path.read_bytes()], path


@pytest.fixture
def harmless(plain, tmp_path):
    """See that a sweep with a blocked W&B is the plain one, with one line more."""

    def check(*overrides: str, before: tuple[str, ...] = (), **environment: str) -> None:
        code, printed = sweep(tmp_path, "tracker=wandb", *overrides, before=before, **environment)
        assert code == 0, printed
        assert printed.count(WARNING) == 1
        assert same_results(plain, tmp_path)

    return check


@pytest.mark.long
def test_wandb_sweep_is_unharmed_by_a_hanging_wandb(harmless, tmp_path):
    (tmp_path / "impostor").mkdir()
    (tmp_path / "impostor" / "wandb.py").write_text("import time\ntime.sleep(1000)\n")
    harmless("tracker.timeout=1", PYTHONPATH=str(tmp_path / "impostor"))


@pytest.mark.long
def test_wandb_sweep_is_unharmed_by_a_silent_server(harmless):
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        harmless("tracker.timeout=20", WANDB_BASE_URL=url, **SECRETS)


@pytest.mark.long
def test_wandb_sweep_is_unharmed_without_a_network(harmless):
    harmless("tracker.timeout=20", before=("unshare", "-rn"), **SECRETS)


@pytest.mark.long
def test_wandb_sweep_is_unharmed_by_a_full_disk_for_wandb_files(harmless, tmp_path):
    (tmp_path / "tiny").mkdir()
    mount = f'mount -t tmpfs -o size=64k none {tmp_path / "tiny"} && exec "$@"'
    harmless(
        before=("unshare", "-rm", "bash", "-c", mount, "bash"), WANDB_DIR=str(tmp_path / "tiny"), WANDB_MODE="offline"
    )


@pytest.mark.long
def test_wandb_sweep_keeps_the_exit_code_of_failed_runs(tmp_path):
    (tmp_path / "impostor").mkdir()
    (tmp_path / "impostor" / "wandb.py").write_text("raise RuntimeError\n")
    words = ("-m", "search=none,bfs_resample", "sampler.eta=0", "tracker=wandb")
    jobs = job(tmp_path, *words, PYTHONPATH=str(tmp_path / "impostor"))
    printed, _ = jobs.communicate(timeout=900)
    assert jobs.returncode == 1
    assert printed.count("failed: search=bfs_resample: ValueError: ") == 1
    assert printed.count(WARNING) == 1


@pytest.mark.long
def test_wandb_sweep_continues_the_run_of_a_requeued_job(tmp_path, wandb_core):
    overrides = ("search=random", "images=400", "tracker=wandb")
    first = job(tmp_path, *overrides, WANDB_MODE="offline")
    until(lambda: list(tmp_path.glob("out/**/shards/00000020*")))
    first.send_signal(signal.SIGSTOP)
    until(lambda: list(tmp_path.glob("out/default/wandb/offline-run-*/run-*")))
    first.kill()
    first.communicate(timeout=60)
    (begun,) = tmp_path.glob("out/default/wandb/offline-run-*")
    until(lambda: "exit" in {record["type"] for record in records(wandb_core, begun)})
    again = job(tmp_path, *overrides, WANDB_MODE="offline")
    printed, _ = again.communicate(timeout=900)
    assert again.returncode == 0, printed
    (continued,) = set(tmp_path.glob("out/default/wandb/offline-run-*")) - {begun}
    (run,) = runs(tmp_path)
    rows = []
    for path in (begun, continued):
        found = records(wandb_core, path)
        assert {record["run"]["run_id"] for record in found if record["type"] == "run"} == {
            f"default-{run.name.rpartition('-')[2]}"
        }
        rows.append(
            [
                {key: value for key, value in record["history"]["item"].items() if key not in CLOCKS}
                for record in found
                if record["type"] == "history"
            ]
        )
    assert 2 <= len(rows[0]) < 20
    assert rows[1][: len(rows[0])] == rows[0]
    assert [item.get("throughput/images") for item in rows[1]] == [*range(20, 401, 20), None, None]
    assert ["fid" in item for item in rows[1]] == [False] * 20 + [True] * 2


def until(done) -> None:
    """Wait for something on disk."""
    for _ in range(12000):
        if done():
            return
        time.sleep(0.01)
    raise TimeoutError(done)
