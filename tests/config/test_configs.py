"""Every YAML composes and builds; a new one is tested the moment it exists."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from tests.end_to_end.runs import CONF, make_experiment

GROUPS = {path.name: sorted(file.stem for file in path.glob("*.yaml")) for path in CONF.iterdir() if path.is_dir()}
OF_DATASET = {"mixture": ["dataset=mixture", "model=mixture"], "digits": []}


def choices(group: str) -> list[str]:
    return GROUPS[group]


@pytest.mark.parametrize("search", choices("search"))
@pytest.mark.parametrize("problem", OF_DATASET.values(), ids=OF_DATASET)
def test_every_search_builds_on_every_problem(tmp_path: Path, search: str, problem: list[str]):
    run = make_experiment(tmp_path, f"search={search}", *problem)
    assert run.caps == (10, 20, 40, 80)
    assert f"/{search}/" in str(run.folder)
    assert not list(tmp_path.iterdir()), "building must not touch the disk"


@pytest.mark.parametrize(("group", "choice"), [(g, c) for g in ("sampler", "verifier", "budget", "metric")
                                              for c in GROUPS[g]])
def test_every_other_choice_builds(tmp_path: Path, group: str, choice: str):
    run = make_experiment(tmp_path, f"{group}={choice}")
    assert choice in str(run.folder) or group == "metric"


@pytest.mark.parametrize("model", choices("model"))
def test_every_model_builds(tmp_path: Path, model: str):
    dataset = "mixture" if model == "mixture" else "digits"
    assert make_experiment(tmp_path, f"model={model}", f"dataset={dataset}").engine.model.shape[0] == 1


@pytest.mark.parametrize("name", choices("experiment"))
def test_every_experiment_sweeps_buildable_jobs(tmp_path: Path, name: str):
    with initialize_config_dir(str(CONF), version_base=None):
        config = compose("config", [f"experiment={name}"], return_hydra_config=True)
    assert config.name == name, "an experiment's runs land in the folder of its own name"
    for key, values in config.hydra.sweeper.params.items():
        for value in str(values).split(","):
            make_experiment(tmp_path, f"experiment={name}", f"{key}={value}")


def test_every_yaml_says_what_it_is():
    silent = [str(file) for file in CONF.rglob("*.yaml") if not file.read_text().startswith("#")]
    assert not silent
