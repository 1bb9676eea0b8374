"""`smoke=true`: real classes on tiny random twins, through the loaders of the real thing; and who may report."""

import math
import shutil
from pathlib import Path

import pytest

from its.config.smoke import settled
from its.twins.cifar_resnet import write
from tests.build import make_experiment, numbers

CIFAR = ("dataset=cifar10", "model=openai_cifar10", "verifier=resnet18_cifar10", "smoke=true")


def test_smoke_run_ends_with_a_finite_curve(tmp_path: Path):
    run = make_experiment(tmp_path, "experiment=phase1_cifar10", "guidance=tfg_cifar10", "smoke=true")
    guidance = run.engine.guidance
    assert (guidance.rho, guidance.mu, guidance.sigma, run.engine.gradient_batch) == (1.0, 0.25, 0.001, 12)
    assert run.caps == (4.0, 8.0), "the first two"
    assert run.folder.is_relative_to(tmp_path / "smoke" / "phase1_cifar10")
    assert run.engine.model.path.most_steps == 1000, "the schedule is the preset's"
    run.run()
    rows = numbers(run.folder)
    assert [float(row["nfe"]) for row in rows] == [4.0, 8.0]
    assert all(math.isfinite(float(value)) for row in rows for value in row.values())
    assert {path.name for path in tmp_path.iterdir()} == {"smoke"}


def test_smoke_run_of_prompts_makes_small_images_of_few_candidates(tmp_path: Path):
    run = make_experiment(tmp_path, "experiment=drawbench_flux", "verifier=clip_score", "search=ses", "smoke=true")
    assert (tuple(run.instruments.data.shape), run.caps) == ((3, 64, 64), (56.0, 80.0)), "14 and 20 candidates"
    assert run.remarks["own_scores"] == ["clip_score"]
    assert run.remarks["published"][0]["images"] == 200


def test_twin_is_written_once_and_the_folder_name_stays(tmp_path: Path):
    first = make_experiment(tmp_path, *CIFAR).folder
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "smoke" / "twins").rglob("*") if path.is_file()}
    assert len(made) == 4, "of the model, the verifier, the real images and the report network"
    assert make_experiment(tmp_path, *CIFAR).folder == first
    assert {path: path.stat().st_mtime_ns for path in made} == made
    assert make_experiment(tmp_path, *CIFAR, "seed=1").folder != first


def test_settled_removes_the_smoke_keys_without_smoke():
    make = {"_target_": "os.system"}
    node = {"a": {"_target_": "x", "smoke": {"b": 1, "make": make}, "b": 2}, "out_dir": "o", "smoke": False}
    assert settled(node, ()) == ({"a": {"_target_": "x", "b": 2}, "out_dir": "o"}, [])
    with pytest.raises(ValueError, match="smoke is 'yes'; it is true or false"):
        settled({"smoke": "yes"}, ())


def test_twin_refuses_a_maker_from_outside_its(tmp_path: Path):
    with pytest.raises(ValueError, match=r"_target_ is 'os\.system'"):
        make_experiment(tmp_path, *CIFAR, "model.smoke.make._target_=os.system")


def test_twin_maker_is_refused_as_a_choice_of_a_group(tmp_path: Path):
    with pytest.raises(ValueError, match=r"_target_ is 'its\.twins\.unet2d\.write'; it must be defined in"):
        make_experiment(tmp_path, *CIFAR, "model._target_=its.twins.unet2d.write")


def test_check_scorers_refuses_one_network_as_selector_and_reporter(tmp_path: Path):
    same = str(tmp_path / "a.th"), str(tmp_path / "b.th")
    write(same[0], architecture="resnet20")
    shutil.copy(*same)
    command = (
        *CIFAR,
        "verifier=resnet56_cifar10",
        "~verifier.network.smoke",
        f"verifier.network.weights={same[0]}",
        "verifier.network.architecture=resnet20",
        "~dataset.report.smoke.make",
        f"dataset.report.smoke.network.weights={same[1]}",
        "dataset.report.smoke.network.architecture=resnet20",
    )
    with pytest.raises(ValueError, match=r"selects by .*a\.th, and the same network reports.*allow_same_scorer=true"):
        make_experiment(tmp_path, *command)
    assert make_experiment(tmp_path, *command, "allow_same_scorer=true").folder


def test_check_scorers_accepts_the_digits_networks(tmp_path: Path):
    run = make_experiment(tmp_path)
    assert run.folder.name.startswith("seed=0-")
