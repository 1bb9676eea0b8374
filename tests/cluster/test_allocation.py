"""What a plan says that a cluster would be asked for."""

import pytest

from its.cluster.allocation import allocation
from tests.config.test_plan import plan_with

SETTINGS = {"wait": True, "runs_per_job": 1, "nodes": 1, "tasks_per_node": 1, "signal_delay_s": 120}


@pytest.fixture(autouse=True)
def no_site(monkeypatch, tmp_path):
    """No settings but those of a test."""
    (tmp_path / "site.yaml").write_text("cpus_per_task: 4\n")
    monkeypatch.setenv("ITS_SITE", str(tmp_path / "site.yaml"))


def test_allocation_is_jobs_times_tasks_times_hours():
    settings = {**SETTINGS, "tasks_per_node": 4, "nodes": 2, "timeout_min": 90, "gres": "gpu:1"}
    assert allocation([plan_with(3600.0), plan_with(14400.0)], settings) == (
        "SLURM: 2 jobs × 8 tasks (gres=gpu:1, 4 CPUs each) × 1.5 h: 24.0 task-hours; about 5.0 h of work, "
        "the longest job about 30 min"
    )


def test_allocation_says_which_jobs_do_not_fit_their_time_limit():
    plans = [plan_with(20000.0), plan_with(10.0), plan_with(10.0), plan_with(None)]
    said = allocation(plans, SETTINGS)
    assert said.startswith("SLURM: 4 jobs × 1 task (4 CPUs each) × 4 h: 16.0 task-hours; ")
    assert "the longest job about 5.6 h; of 1 the rate is unknown; 1 will not fit and be requeued: raise hydra." in said
    assert "2 jobs" in allocation(plans[:3], {**SETTINGS, "runs_per_job": 2})


def test_allocation_counts_what_is_left():
    assert allocation([plan_with(0.0, missing=0)], SETTINGS) == "SLURM: nothing is left to submit"
    with pytest.raises(ValueError, match=r"hydra\.launcher\.timeout_min is 'long'"):
        allocation([plan_with(1.0)], {**SETTINGS, "timeout_min": "long"})
