"""Any number of workers on one folder leave the same files, and any of them may be killed."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from its.process.workers import Worker
from tests.build import CONF, contents, make_experiment, numbers
from tests.forked import FORKS

SMALL = ("images=96", "shard=12", "sampler.steps=4", "budget.samplings=[1,2]", "batch=16", "~metric.kid", "~metric.prc")


def environment(rank: int, world: int) -> dict[str, str]:
    return {**os.environ, "ITS_RANK": str(rank), "ITS_WORLD": str(world), "OMP_NUM_THREADS": "1"}


def work(out_dir: Path, rank: int, world: int) -> None:
    """One worker, in a process of its own."""
    import torch

    torch.set_num_threads(1)
    os.environ.update(ITS_RANK=str(rank), ITS_WORLD=str(world))
    make_experiment(out_dir, *SMALL).run()


def race(out_dir: Path, world: int, kill: int = 0) -> None:
    """Run `world` workers at once; SIGKILL `kill` of them at random moments."""
    workers = [FORKS.Process(target=work, args=(out_dir, rank, world)) for rank in range(world)]
    for worker in workers:
        worker.start()
    random.seed(0)
    for worker in workers[:kill]:
        time.sleep(random.uniform(0.05, 0.5))
        os.kill(worker.pid, signal.SIGKILL)
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers[kill:]] == [0] * (world - kill)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The folder of one undisturbed worker."""
    run = make_experiment(tmp_path_factory.mktemp("alone"), *SMALL)
    run.run()
    return run.folder


MANY = [pytest.param(*case, marks=pytest.mark.long) for case in ((3, 0), (16, 0))]


@pytest.mark.parametrize(("world", "kill"), [(2, 0), (3, 2), *MANY])
def test_workers_racing_leave_the_files_of_one_worker(tmp_path, alone, world, kill):
    race(tmp_path, world, kill)
    folder = make_experiment(tmp_path, *SMALL).folder
    if kill:
        make_experiment(tmp_path, *SMALL).run()
    assert contents(folder) == contents(alone)
    assert numbers(folder) == numbers(alone)


def test_workers_option_leaves_the_files_of_one_worker(tmp_path, alone):
    command = [sys.executable, "run.py", f"out_dir={tmp_path}", *SMALL, "workers=2"]
    done = subprocess.run(command, cwd=CONF.parent, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    assert contents(make_experiment(tmp_path, *SMALL).folder) == contents(alone)


ILL = """
from pathlib import Path
from its.levels import Guess
from its.model.mixture import MixtureDenoiser

class Ill(MixtureDenoiser):
    def __call__(self, x, levels, conditions):
        guess = super().__call__(x, levels, conditions)
        return Guess(guess.x0.masked_fill(x[:, :1, :1, :1] > 1.0, float("nan")), guess.eps) if ILL.exists() else guess

ILL = Path(__file__).with_name("ill")
"""


@pytest.mark.long
def test_workers_option_makes_failed_images_again(tmp_path):
    (tmp_path / "sick.py").write_text(ILL)
    (tmp_path / "ill").touch()
    words = ("dataset=mixture", "model=mixture", "images=8", "shard=2", "batch=16", "sampler.steps=4", "~metric.kid")
    words = (*words, "~metric.prc", "budget.samplings=[1,2]", "model._target_=sick.Ill", "plugins=[sick]")
    for ill, workers in ((True, 1), (True, 2), (False, 2)):
        if not ill:
            (tmp_path / "ill").unlink()
        done = subprocess.run(
            [sys.executable, "run.py", f"out_dir={tmp_path}/out", *words, f"workers={workers}"],
            cwd=CONF.parent,
            env={**os.environ, "PYTHONPATH": f"{CONF.parent}:{tmp_path}"},
            capture_output=True,
            text=True,
            timeout=200,
        )
        assert done.returncode == ill, done.stdout
    [timing] = tmp_path.rglob("timing.jsonl")
    firsts = [json.loads(line)["first"] for line in timing.read_text().splitlines()]
    assert max(map(firsts.count, firsts)) == 3, "a shard is made once by each command"


def test_worker_reads_rank_and_world_from_the_environment():
    assert Worker.here({}) == Worker(0, 1)
    assert Worker.here({"SLURM_PROCID": "2", "SLURM_NTASKS": "4"}) == Worker(2, 4)
    assert Worker.here({"RANK": "1", "WORLD_SIZE": "2"}) == Worker(1, 2)
    with pytest.raises(ValueError, match=r"the rank lies in \[0, world\)"):
        Worker.here({"RANK": "2", "WORLD_SIZE": "2"})


def test_worker_order_begins_with_its_own_share():
    assert Worker(1, 3).order("abcdefg")[:2] == ["b", "e"]
    assert sorted(Worker(1, 3).order("abcdefg")) == list("abcdefg")
    assert sorted(Worker(0, 16).order("abc")) == list("abc")


def test_worker_order_spreads_early_workers_over_the_rest():
    """Four of five help the slow fifth: of its 200 items few are begun by two at once."""
    helped = [Worker(rank, 5).order(range(1000))[200:] for rank in range(4)]
    turns = [[item for item in order if item % 5 == 4] for order in helped]
    met = sum(len(set(turn)) < 4 for turn in zip(*turns, strict=True))
    assert met < 20, "by chance it is 6 in 200"
