"""The smoke of CI: three jobs, of which one fails, one is cancelled and one is told to leave and requeued."""

import pytest

from tests.build import contents, make_experiment, numbers, obstruct
from tests.slurm.cluster import SMALL

pytestmark = pytest.mark.slurm

LONG = ("images=150", "search=random")
SWEEP = ("budget.nfe=[3],[6],[9]", "budget.samplings=null", *LONG)


def test_slurm_sweep_handles_a_failed_a_cancelled_and_a_requeued_job(tmp_path, cluster, eventually, shards):
    folder = {
        cap: make_experiment(tmp_path / "swept", *SMALL, f"budget.nfe=[{cap}]", "budget.samplings=null", *LONG).folder
        for cap in ("3", "6", "9")
    }
    obstruct(folder["3"])
    launcher = cluster.sweep(tmp_path / "swept", *SWEEP)
    signals = {"6": ["scancel"], "9": ["scancel", "--signal=USR1"]}
    while signals:
        cap = eventually(lambda: next((cap for cap in signals if shards(folder[cap])), None), "a shard")
        cluster.ask(*signals.pop(cap), cluster.job_of(folder[cap]))
    requeued = cluster.job_of(folder["9"])
    eventually(lambda: cluster.state(requeued) == "PENDING", "requeued")
    cluster.start_now(requeued)
    whole = make_experiment(tmp_path / "whole", *SMALL, "budget.nfe=[9]", "budget.samplings=null", *LONG)
    whole.run()
    assert launcher.wait(timeout=1200) == 1, cluster.said(tmp_path / "swept")
    said = cluster.said(tmp_path / "swept")
    assert "3 runs: 0 finished before, 3 to make, 2700 NFE to spend" in said
    told = said[said.index("failed: ") :]
    assert f"Not a directory: '{folder['3']}" in told
    assert told.count("SLURM says CANCELLED") == said.count("SLURM says CANCELLED") == 1
    table = (tmp_path / "swept" / "default" / "report" / "table.md").read_text()
    assert "SLURM says CANCELLED" in table
    assert "Not a directory" in table
    assert not (folder["6"] / "metrics.json").exists()
    assert contents(folder["9"]) == contents(whole.folder)
    assert numbers(folder["9"]) == numbers(whole.folder)
