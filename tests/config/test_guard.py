"""Hostile configurations: none runs code, leaves the output folder or keeps a secret; each has its error."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from its.config.guard import check_command_line
from tests.build import CONF, make_experiment

ROOT = CONF.parent
CANARY = "its-canary"

TARGETS = [
    "os.system",
    "subprocess.run",
    "builtins.eval",
    "builtins.exec",
    "pathlib.Path.write_text",
    "pty.spawn",
    "asyncio.create_subprocess_shell",
    "pkgutil.resolve_name",
    "urllib.request.urlopen",
    "shutil.rmtree",
    "hydra.utils.instantiate",
    "hydra._internal.utils._locate",
    "torch.load",
    "its.run.job.run_workers",
    "its.disk.store.write_atomic",
    "its.disk.store.os.system",
    "importlib.import_module",
    "runpy.run_path",
    "its.model.unet2d.torch.load",
    "its.verifier.classifier.torch.load",
    "functools.partial",
    "itself.budget.Budget",
    "its",
    "",
    "its.budget.Budget.__init__",
    "its..budget.Budget",
    "posix.system",
]


@pytest.mark.parametrize("group", ["verifier", "sampler"])
@pytest.mark.parametrize("target", TARGETS)
def test_instantiate_refuses_targets_outside_its_choices(tmp_path: Path, group: str, target: str):
    with pytest.raises(ValueError, match="_target_"):
        make_experiment(tmp_path, f"{group}._target_='{target}'")
    assert not list(tmp_path.iterdir())


NESTED = [
    "+verifier.extra={_target_: os.system, command: touch /tmp/its-canary}",
    "+verifier.extra=[{_target_: subprocess.run}]",
    "+search._partial_=true",
    "+search._args_=[[1]]",
    "+metric.more={deep: {er: {_target_: os.system}}}",
    "+dataset.report.network._target_=os.system",
    "verifier.network={_target_: builtins.eval}",
    "verifier._target_=${oc.env:HOME}",
    "+verifier.x=${verifier._target_} verifier._target_=os.system",
]


@pytest.mark.parametrize("override", NESTED)
def test_instantiate_refuses_nested_and_interpolated_targets(tmp_path: Path, override: str):
    overrides = override.split(" verifier.")
    overrides = [overrides[0], *(f"verifier.{rest}" for rest in overrides[1:])]
    with pytest.raises(Exception, match=r"_target_|not allowed|already at"):
        make_experiment(tmp_path, *overrides)
    assert not list(tmp_path.iterdir())


HYDRA = [
    "+hydra.callbacks.mine._target_=os.system",
    "hydra.callbacks.closing._target_=os.system",
    "hydra.launcher._target_=os.system",
    "hydra.sweeper._target_=subprocess.run",
    "hydra.job_logging.handlers.console.class=os.system",
    "+hydra.hydra_logging.handlers.x={class: subprocess.Popen}",
    "--config-dir=/tmp",
    "--config-name=mine",
    "-cd=/tmp",
]


@pytest.mark.parametrize("override", HYDRA)
def test_guard_refuses_foreign_targets_in_hydra_settings(override: str):
    with pytest.raises(ValueError, match=r"take it out|logging may use|is not supported"):
        check_command_line([override])


SECRETS = [
    "+wandb_api_key=x",
    "+tracker.api_key=x",
    "+hf_token=x",
    "+model.token=x",
    "+password=x",
    "+aws.secret=x",
    "+API_KEY=x",
    "+AWS_SECRET_ACCESS_KEY=x",
]


@pytest.mark.parametrize("override", SECRETS)
def test_guard_refuses_keys_that_look_like_secrets(override: str):
    with pytest.raises(ValueError, match="looks like a secret"):
        check_command_line([override])


@pytest.mark.parametrize("where", ["name=x{}", "+dataset.note={}", "hydra.job.name={}", "hydra.sweep.dir=/x/{}"])
def test_guard_refuses_the_value_of_a_secret_environment_variable(tmp_path: Path, monkeypatch, where: str):
    monkeypatch.setenv("SOME_API_KEY", "0123456789abc")
    with pytest.raises(ValueError, match=r"holds what the environment's SOME_API_KEY holds"):
        check_command_line([where.format("0123456789abc")])
    check_command_line(["name=y"])


@pytest.mark.parametrize(
    "text",
    [
        "dataset: {note: a0123456789abc}",
        "dataset: {note: '${oc.env:SOME_API_KEY}'}",
        "tracker: {note: [0123456789abc]}",
        "hydra: {job: {env_set: {X: 0123456789abc}}}",
    ],
)
def test_guard_refuses_a_yaml_with_the_value_of_a_secret_variable(tmp_path, monkeypatch, text):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(f"# @package _global_\n{text}\n")
    monkeypatch.setenv("SOME_API_KEY", "0123456789abc")
    with pytest.raises(ValueError, match=r"holds what the environment's SOME_API_KEY holds"):
        check_command_line(["-m", "seed=0,1", f"hydra.searchpath=[file://{tmp_path}]", "experiment=mine"])


def test_blueprint_refuses_interpolation_of_a_secret_variable(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "0123456789abc")
    with pytest.raises(ValueError, match=r"dataset\.name holds what the environment's HF_TOKEN holds"):
        make_experiment(tmp_path, "dataset.name=${oc.env:HF_TOKEN}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "harmless",
    [
        [],
        ["search=random,zero_order"],
        ["seed=range(3)"],
        ["experiment=digits_demo"],
        ["+search.monkey=1"],
        ["search=no_such_thing"],
    ],
)
def test_guard_accepts_harmless_command_lines(harmless: list[str]):
    check_command_line(harmless)


@pytest.mark.parametrize("name", ["../x", "/etc", "a/b", "..", "x" * 300, "", "a b", "a\0b", "-rf"])
def test_blueprint_refuses_names_that_leave_the_output_folder(tmp_path: Path, name: str):
    with pytest.raises(ValueError, match=r"cannot name a folder|null"):
        make_experiment(tmp_path, f"name={name!r}")
    assert not list(tmp_path.iterdir())


def run(tmp_path: Path, *overrides: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "run.py", f"out_dir={tmp_path / 'out'}", *overrides],
        cwd=ROOT,
        text=True,
        capture_output=True,
        env={**os.environ, **environment},
        timeout=120,
    )


@pytest.mark.parametrize(
    "text",
    [
        "# @package _global_\nhydra: {{callbacks: {{x: {{_target_: os.system, command: touch {canary}}}}}}}\n",
        "# @package _global_\nplugins: [os]\nverifier: {{_target_: os.system, command: touch {canary}}}\n",
        "# @package _global_\nverifier: !!python/object/apply:os.system [touch {canary}]\n",
        "# @package _global_\nmy_token: abc\n",
        "# @package _global_\ntracker: {{more: [{{wandb_api_key: abc}}]}}\n",
        "# @package _global_\n"
        "hydra: {{job_logging: {{handlers: {{x: {{'()': os.system, command: touch {canary}}}}}}}}}\n",
    ],
)
def test_run_script_refuses_a_hostile_yaml_without_running_it(tmp_path: Path, text: str):
    canary = tmp_path / CANARY
    (tmp_path / "mine" / "experiment").mkdir(parents=True)
    (tmp_path / "mine" / "experiment" / "evil.yaml").write_text(text.format(canary=canary))
    done = run(tmp_path, f"hydra.searchpath=[file://{tmp_path / 'mine'}]", "experiment=evil")
    assert done.returncode != 0
    assert not canary.exists()
    assert not (tmp_path / "out").exists(), "nothing is made before the refusal"


class Touch:
    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def test_classifier_weights_refuse_pickles_without_opening_them(tmp_path: Path):
    canary = tmp_path / CANARY
    weights = tmp_path / "weights.safetensors"
    torch.save({"head.weight": Touch(canary)}, weights)
    with pytest.raises(ValueError, match="not safetensors"):
        make_experiment(tmp_path / "out", f"dataset.classifier.weights={weights}")
    np.savez(tmp_path / "weights.npz", x=np.array([Touch(canary)], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="not safetensors"):
        make_experiment(tmp_path / "out", f"dataset.classifier.weights={tmp_path / 'weights.npz'}")
    assert not canary.exists()
    assert not (tmp_path / "out").exists()


def test_classifier_weights_of_another_network_name_the_missing_keys(tmp_path: Path):
    with pytest.raises(ValueError, match=r"digits/report.safetensors does not fit VerifierNet.*[Mm]issing"):
        make_experiment(tmp_path, "dataset.classifier.weights=digits/report.safetensors", "allow_same_scorer=true")


def test_run_script_writes_no_secret_of_the_environment(tmp_path: Path):
    secret = "s3cr3t-c4n4ry"
    done = run(
        tmp_path,
        "images=4",
        "shard=4",
        "sampler.steps=2",
        "~metric.kid",
        "~metric.prc",
        "~metric.isc",
        WANDB_API_KEY=secret,
        HF_TOKEN=secret,
    )
    assert done.returncode == 0, done.stderr
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert len(files) > 5
    assert not [path for path in files if secret.encode() in path.read_bytes()]
    assert secret not in done.stdout + done.stderr


def test_run_script_names_an_output_folder_that_cannot_be_written(tmp_path: Path):
    (tmp_path / "out").write_text("a file where the folder should be")
    done = run(tmp_path, "images=4", "shard=4", "sampler.steps=2")
    assert done.returncode == 1
    assert "out" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
