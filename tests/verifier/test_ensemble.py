"""The ensemble's rewards are its members', side by side; which searches may use it is checked before anything runs."""

import subprocess
import sys

import pytest
import torch

from its.verifier.classifier import Classifier
from its.verifier.ensemble import Ensemble
from its.verifier.null_rewards import NullRewards
from tests.build import CONF, make_experiment
from tests.config.test_plan import LOADED

IMAGES = torch.linspace(-1, 1, 5 * 16).reshape(5, 1, 4, 4)


def test_ensemble_has_one_column_for_each_member_by_name(lab):
    members = {"z": Classifier(lab.data.logits), "a": NullRewards(salt=3), "m": NullRewards()}
    ensemble = Ensemble(members)
    assert ensemble.members == ("a", "m", "z")
    rewards = ensemble.reward(IMAGES, [0, 1, 2, 3, 0])
    assert rewards.shape == (5, 3)
    for column, name in enumerate(ensemble.members):
        assert torch.equal(rewards[:, column], members[name].reward(IMAGES, [0, 1, 2, 3, 0]))


def test_ensemble_refuses_a_single_member():
    with pytest.raises(ValueError, match="an ensemble has two or more: add"):
        Ensemble({"a": NullRewards()})


def test_ensemble_refuses_relative_members():
    inner = Ensemble({"a": NullRewards(), "b": NullRewards(1)})
    with pytest.raises(ValueError, match=r"verifier\.members\.c is itself relative"):
        Ensemble({"a": NullRewards(), "c": inner})


def test_ensemble_members_are_chosen_on_the_command_line(tmp_path):
    run = make_experiment(
        tmp_path,
        "verifier=ensemble",
        "verifier@verifier.members.b=classifier",
        "+verifier@verifier.members.c=null_rewards",
        "verifier.members.c.salt=5",
    )
    ensemble = run.engine.verifiers["select"]
    assert ensemble.members == ("a", "b", "c")
    assert [type(member) for member in ensemble._verifiers] == [Classifier, Classifier, NullRewards]
    assert run.folder != make_experiment(tmp_path, "verifier=ensemble").folder


@pytest.mark.parametrize("search", ["bfs_resample", "bfs_prune", "dfs", "fk", "rbf", "dts"])
def test_ensemble_is_refused_by_searches_that_need_absolute_rewards(tmp_path, search):
    with pytest.raises(ValueError, match=r"verifier=ensemble is relative.* needs rewards .* use verifier=zscore"):
        make_experiment(tmp_path, "verifier=ensemble", f"search={search}")
    assert not list(tmp_path.iterdir())


def test_verifier_modules_load_no_torch():
    command = [
        sys.executable,
        "-c",
        LOADED.replace(
            "runpy.run_path('run.py', run_name='__main__'); ",
            "import its.verifier.ensemble, its.verifier.classifier; "
            "import its.verifier.null_rewards, its.verifier.zscore; "
            "from its.config.blueprint import Blueprint; ",
        ),
    ]
    done = subprocess.run(command, cwd=CONF.parent, capture_output=True, text=True, timeout=600)
    assert done.stdout.strip() == "[]", done.stderr


def test_check_rewards_assumes_a_search_needs_absolute_rewards(lab):
    from its import Search
    from its.config.checks import check_rewards

    class Own(Search):
        def run(self, image):
            yield

    with pytest.raises(ValueError, match="Own needs rewards that mean the same"):
        check_rewards(Own(), Ensemble, "ensemble")
    check_rewards(Own(), Classifier, "classifier")
