"""`scripts/gpu.sh`: its path on the CPU, at tiny size; what it measures on a GPU is no test's business."""

import os
import subprocess
import sys
import time
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from its.levels import Columns, Guess

ROOT = Path(__file__).parents[1]
CPU = torch.device("cpu")


@pytest.fixture
def bench(monkeypatch):
    """The module of the command."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import gpu_benchmark

    return gpu_benchmark


@pytest.fixture
def table(bench, tmp_path: Path):
    cells = [(size.name, dtype, search) for size, dtype in bench.PLAN for search in ("bare", *bench.SEARCHES)]
    return bench.Table(tmp_path, "cpu", cells, CPU)


def fill(bench, table, seconds: float = 0.02) -> list[list[str]]:
    """The rows of one network, after its cells were measured."""
    bench.fill(table, bench.DIT, "float32", CPU, tiny=True, seconds=seconds, rate=1e12)
    assert table.path.read_text(encoding="utf-8") == table.text() + "\n"
    lines = [line.strip("|").split("|") for line in table.text().splitlines() if line.startswith("| DiT")]
    return [[value.strip() for value in line] for line in lines if line[1].strip() == "float32"]


def test_gpu_benchmark_without_a_device_says_so(bench, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gpu_benchmark.py"])
    with pytest.raises(SystemExit, match="finds no CUDA device here, which is what this measures"):
        bench.main()


def test_fill_measures_every_cell_of_a_network(bench, table):
    head = next(line for line in table.text().splitlines() if line.startswith("| network"))
    names = [name.strip() for name in head.strip("|").split("|")]
    for row in fill(bench, table):
        values = dict(zip(names, row, strict=True))
        bare = values["search"] == "bare"
        assert float(values["NFE/s"]) > 0 < float(values["of matmul"])
        assert values["peak GiB"] == values["readbacks"] == values["syncs/batch"] == "not measured"
        assert (values["images/s"] == "") == (values["share × occupancy"] == "") == (values["draws"] == "") == bare
        assert (values["other company"] != "") == bare
    assert not table.failed
    assert "Not reached: UNet2DModel, ddpm-cifar10-32, float32, bare;" in table.text()


def test_bench_counts_what_the_engine_evaluates(bench):
    """Images a second are NFE a second over what an image costs: ten, and forty at four samplings."""
    made = bench.Bench(bench.DIT, "float32", CPU, tiny=True, seconds=0.02, rate=1e12)
    made.figures("bare")
    for search, nfe in (("none", 10), ("random", 40), ("rbf", 40)):
        figures = made.figures(search)
        assert figures["NFE/image"] == nfe
        assert figures["images/s"] * nfe == pytest.approx(figures["NFE/s"])
        assert 0 < figures["in network"] + figures["draws"] <= 1
        assert figures["occupancy"] == 1


@pytest.mark.parametrize(
    ("error", "why"), [(torch.OutOfMemoryError("no room"), "does not fit"), (OSError(5), "failed")]
)
def test_fill_names_cells_that_fail_or_do_not_fit(bench, table, monkeypatch, error, why):
    def figures(self, search):
        if search == "none":
            raise error
        return {"NFE/s": 1.0}

    monkeypatch.setattr(bench.Bench, "figures", figures)
    rows = fill(bench, table)
    assert [row[4].partition(":")[0] for row in rows] == ["", "", why, why, why]
    assert table.failed == (why == "failed")


def test_bench_halves_a_batch_that_does_not_fit(bench, monkeypatch):
    def call(self, x, levels: Columns, conditions):
        if len(x) > 3:
            raise torch.OutOfMemoryError("no room")
        return Guess(x, x)

    monkeypatch.setattr("its.model.denoiser.NetworkDenoiser.__call__", call)
    assert bench.Bench(bench.DIT, "float32", CPU, tiny=True, seconds=0.02, rate=1e12).batch == 2


@pytest.mark.parametrize(
    ("mistake", "company", "batch"),
    [(lambda x: 0 * x, True, True), (lambda x: x.mean(), False, False), (lambda x: 1e-3 * len(x), True, False)],
    ids=["none", "mean", "size"],
)
def test_bench_compares_the_bits_of_a_row(bench, monkeypatch, mistake, company, batch):
    made = bench.Bench(bench.DIT, "float32", CPU, tiny=True, seconds=0.02, rate=1e12)
    monkeypatch.setattr("its.model.denoiser.NetworkDenoiser.__call__", lambda self, x, *_: Guess(x, x + mistake(x)))
    figures = made.figures("bare")
    assert (figures["other company"] == "equal", figures["other batch"] == "equal") == (company, batch)


def test_minutes_end_whatever_runs(bench):
    """Also what takes any error for a compiler's."""

    def compiling():
        try:
            time.sleep(20)
        except Exception:
            return "slower"

    with bench.minutes(0.1 / 60), pytest.raises(bench.OutOfTime):
        compiling()


def test_gpu_benchmark_that_runs_out_of_time_names_what_is_missing(bench, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("OUT", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["gpu_benchmark.py", "--tiny", "--minutes", "0.002", "--seconds", "5"])
    bench.main()
    printed, [file] = capsys.readouterr().out, list(tmp_path.iterdir())
    assert file.read_text(encoding="utf-8").strip() in printed
    assert "The 0.002 minutes were over before all was measured" in printed
    assert "UNet2DModel, ADM-256, float32, random." in printed


def test_window_on_a_device_notes_what_waits_for_it(bench, monkeypatch):
    """The path of a CUDA device, whose events and warnings are stood in for."""
    from gpu import watch

    class Event(SimpleNamespace):
        def record(self):
            self.at = time.perf_counter()

        def elapsed_time(self, end):
            return 1000 * (end.at - self.at)

    modes = []
    init = watch.Watch.__init__
    monkeypatch.setattr(watch.Watch, "__init__", lambda self, _: init(self, torch.device("cuda")))
    monkeypatch.setattr(torch.cuda, "Event", lambda enable_timing: Event())
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", modes.append)
    reward = bench.Projection.reward

    def waiting(self, images, conditions):
        if modes[-1:] == ["warn"]:
            warnings.warn("called a synchronizing CUDA operation", stacklevel=1)
        return reward(self, images, conditions)

    monkeypatch.setattr(bench.Projection, "reward", waiting)
    made = bench.Bench(bench.DIT, "float32", CPU, tiny=True, seconds=0.02, rate=1e12)
    made.figures("bare")
    figures = made.figures("rbf")
    assert modes == ["warn", "default"]
    assert [line.partition(":")[0] for line in figures["waits"]] == ["tests/test_gpu_benchmark.py"]
    assert 0 < figures["syncs/batch"] <= 2
    assert 0 < figures["in network"] < 1


@pytest.mark.long
def test_gpu_command_at_tiny_size(tmp_path: Path):
    words = ["bash", "scripts/gpu.sh", "--tiny", "--seconds", "0.05"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OUT": f"{tmp_path}/out", "PYTHON": sys.executable}
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    [file] = (tmp_path / "out").iterdir()
    assert file.read_text(encoding="utf-8").strip() in done.stdout
    assert "not reached" not in done.stdout
    assert done.stdout.count("\n| ") == 36
