"""200 processes that only read and write make one run of 2,000 small shards; no network, no metrics, no SLURM."""

import multiprocessing
import os
import resource
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from its.budget import COLUMNS
from its.disk.store import Store
from its.engine import Outcome, Result
from its.process.workers import Worker
from its.run.experiment import Experiment
from its.run.measure import Curve
from tests.build import contents, make_experiment

PROCESSES, SHARDS = 200, 2000
LEDGER = dict.fromkeys(COLUMNS, 1)
TINY = (f"images={2 * SHARDS}", "shard=2", "~metric.kid", "~metric.prc", "~metric.isc", "budget.samplings=[1]")


class Instant:
    """An engine that has every image at once: what is left is the store."""

    def __init__(self, engine):
        self.batch, self.rows_evaluated, self.keep_candidates = 1, 0, False
        self.model, self.verifiers = SimpleNamespace(device=torch.device("cpu")), engine.verifiers

    def run(self, search, caps, problems):
        for problem in problems:
            image = np.full((8, 8, 1), problem.index % 251, dtype=np.uint8)
            yield Result(problem, (Outcome(image, float(problem.index), LEDGER),))


def work(run: Experiment, rank: int) -> None:
    """All that a worker does but the metrics and the figure, which two hundred would draw at once."""
    torch.set_num_threads(1)
    Experiment._measure, Experiment._write_results = lambda *_: Curve([], {}), lambda *_: None
    replace(run, worker=Worker(rank, PROCESSES), engine=Instant(run.engine)).run()


@pytest.mark.slurm
def test_store_of_two_hundred_racing_processes_equals_one_process(tmp_path: Path):
    run = make_experiment(tmp_path, *TINY)
    context = multiprocessing.get_context("fork")
    started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    workers = [context.Process(target=work, args=(run, rank)) for rank in range(PROCESSES)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    wall, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / (os.cpu_count() or 1)
    print(f"{seconds:.0f} s of this machine's cores; it took {wall:.0f} s with what else ran there")
    assert [worker.exitcode for worker in workers] == [0] * PROCESSES
    assert len(list(run.folder.glob("shards/*"))) == SHARDS
    store = Store(run.folder)
    for path in sorted(run.folder.glob("shards/*")):
        assert store.read(f"shards/{path.name}") is not None
    dates = {path: path.stat().st_mtime_ns for path in run.folder.rglob("*.safetensors")}
    replace(run, engine=Instant(run.engine)).run()
    assert {path: path.stat().st_mtime_ns for path in dates} == dates, "nothing was damaged and made again"
    alone = make_experiment(tmp_path / "alone", *TINY)
    replace(alone, engine=Instant(alone.engine)).run()
    assert contents(run.folder) == contents(alone.folder)
