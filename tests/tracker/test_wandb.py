"""The tracker's own process: modes, ids, and a child that is absent, fails or hangs."""

import logging
import os
import time

import pytest

from its.tracker.wandb import Client, WandB, _id, mode_of

HANGS = "import time\nclass Settings:\n    def __init__(self, **k): pass\ndef init(**k): time.sleep(1000)\n"
FAILS = "class Settings:\n    def __init__(self, **k): pass\ndef init(**k): raise RuntimeError('server\\nsays no')\n"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise ImportError('No module named wandb')", "No module named wandb"),
        (FAILS, "server says no"),
        (HANGS, "no end after 1 s"),
        ("import os; os._exit(9)", "exit code 9"),
    ],
    ids=["absent", "fails", "hangs", "dies"],
)
def test_wandb_tracker_turns_every_failure_into_one_warning(job, impostor, monkeypatch, caplog, code, reason):
    impostor(code)
    tracker = WandB(timeout=1.0 if code == HANGS else 100.0)
    client = Client(tracker)
    monkeypatch.setattr("its.tracker.wandb._client", lambda _: client)
    started = time.perf_counter()
    for _ in range(3):
        tracker.begin(job)
        tracker.end("finished")
    tracker.sweep(job.experiment)
    assert time.perf_counter() - started < 2, "nothing waits before the end"
    with caplog.at_level(logging.INFO):
        tracker.close()
        tracker.begin(job)
        tracker.close()
    (warning,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert reason in warning.getMessage()
    assert "\n" not in warning.getMessage()
    assert client._child.poll() is not None, "no process is left"


def test_wandb_client_warns_once_if_its_process_does_not_start(job, monkeypatch, caplog):
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    client = Client(WandB())
    for _ in range(3):
        client.send({"kind": "end", "status": "finished", "dir": str(job.experiment)})
    client.close()
    (warning,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert "did not start" in warning.getMessage()


def test_wandb_client_does_not_block_on_a_full_pipe(job, impostor, monkeypatch, caplog):
    impostor(HANGS)
    tracker = WandB(timeout=0.5)
    client = Client(tracker)
    monkeypatch.setattr("its.tracker.wandb._client", lambda _: client)
    started = time.perf_counter()
    for _ in range(300):
        tracker.begin(job)
        tracker.end("finished")
    assert len(client._waiting) > 0
    assert time.perf_counter() - started < 5
    tracker.close()
    assert "no end after 0.5 s" in caplog.text


@pytest.mark.parametrize(
    ("environment", "netrc", "mode"),
    [
        ({}, None, "offline"),
        ({"WANDB_API_KEY": "k"}, None, "online"),
        ({"WANDB_API_KEY": "k", "WANDB_MODE": "offline"}, None, "offline"),
        ({}, "machine api.wandb.ai login user password k", "online"),
        ({}, "machine example.org login user password k", "offline"),
        ({"WANDB_BASE_URL": "https://example.org"}, "machine example.org login user password k", "online"),
        ({}, "this is no netrc", "offline"),
    ],
)
def test_mode_of_is_online_only_with_a_key(tmp_path, environment, netrc, mode):
    path = tmp_path / "netrc"
    if netrc is not None:
        path.write_text(netrc)
    assert mode_of(environment | {"NETRC": str(path)}) == mode


def test_wandb_tracker_names_a_run_by_experiment_and_hash(job, monkeypatch):
    sent = []
    monkeypatch.setattr("its.tracker.wandb._client", lambda _: type("C", (), {"send": sent.append}))
    WandB().begin(job)
    WandB(timeout=3).begin(job)
    assert [message["id"] for message in sent] == ["demo-0123abcd"] * 2
    assert sent[0]["tags"] == ["random", "classifier", "m"]
    assert sent[0]["group"] == "demo"
    assert _id("a.b+c") == "a-b-c"


@pytest.mark.parametrize("fields", [{"timeout": 0}, {"project": "a b"}, {"project": ""}])
def test_wandb_tracker_refuses_bad_parameters(fields):
    with pytest.raises(ValueError, match=r"tracker\."):
        WandB(**fields)


def test_wandb_client_leaves_the_environment_unchanged(job, impostor):
    impostor(FAILS)
    before = dict(os.environ)
    client = Client(WandB(timeout=20.0))
    client.send({"kind": "end", "status": "failed"})
    client.close()
    assert dict(os.environ) == before
