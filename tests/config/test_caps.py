"""`budget.verifier_calls` alone gives the caps; two kinds that are given are refused by name."""

import pytest

from its.config.composed import composed, composed_sweep
from tests.build import CONF, blueprint_of, make_experiment

CALLS = "budget.verifier_calls=[4,8]"
BUDGETS = sorted(path.stem for path in CONF.glob("budget/*.yaml"))


def caps_of(*words: str) -> dict:
    config = composed(words).config
    return {key: list(value) for key, value in config.budget.items() if key != "_target_" and value is not None}


@pytest.mark.parametrize("budget", BUDGETS)
def test_verifier_calls_take_the_place_of_whatever_budget_is_chosen(budget):
    assert caps_of(f"budget={budget}", CALLS) == {"verifier_calls": [4, 8]}


def test_verifier_calls_take_the_place_of_an_experiments_caps():
    assert caps_of("experiment=digits_demo", CALLS) == {"verifier_calls": [4, 8]}
    [one, two] = composed_sweep(["-m", "budget.verifier_calls=[4],[2]"][1:])
    assert [list(job.config.budget.verifier_calls) for job in (one, two)] == [[4], [2]]
    assert {job.choices["budget"] for job in (one, two)} == {"verifier_calls"}


@pytest.mark.parametrize("other", ["nfe", "samplings"])
def test_two_kinds_in_one_command_are_refused_by_name(other):
    with pytest.raises(ValueError, match=rf"budget\.{other} and budget\.verifier_calls are both given"):
        composed([f"budget.{other}=[10,20]", CALLS])
    assert caps_of(f"budget.{other}=null", CALLS) == {"verifier_calls": [4, 8]}


def test_null_gives_nothing():
    assert caps_of("budget.verifier_calls=null") == {"samplings": [1, 2, 4, 8]}


def write(folder, name: str, text: str) -> str:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return f"hydra.searchpath=[file://{folder}]"


def test_own_yamls_give_calls_and_are_held_to_one_kind(tmp_path):
    place = write(tmp_path, "budget/mine.yaml", "_target_: its.budget.Budget\nverifier_calls: [3, 6]\n")
    write(tmp_path, "budget/old.yaml", "_target_: its.budget.Budget\nnfe: [30]\n")
    write(tmp_path, "budget/two.yaml", "_target_: its.budget.Budget\nnfe: [30]\nverifier_calls: [3]\n")
    assert caps_of(place, "budget=mine") == {"verifier_calls": [3, 6]}
    assert caps_of(place, "budget=old", CALLS) == {"verifier_calls": [4, 8]}, "its YAML does not mention them"
    with pytest.raises(ValueError, match=r"budget\.nfe and budget\.verifier_calls are both given"):
        blueprint_of(tmp_path, place, "budget=two")


@pytest.mark.parametrize(
    ("caps", "result"),
    [
        ("verifier_calls: [5]", {"verifier_calls": [5]}),
        ("verifier_calls: [5]\n  nfe: [30]", {"nfe": [30], "verifier_calls": [5]}),
    ],
    ids=["one kind", "two kinds"],
)
def test_an_experiments_calls_take_the_place_of_the_default_budget_alone(tmp_path, caps, result):
    place = write(tmp_path, "experiment/mine.yaml", f"# @package _global_\nname: mine\nbudget:\n  {caps}\n")
    assert caps_of(place, "experiment=mine") == result
    if len(result) == 2:
        with pytest.raises(ValueError, match=r"budget\.nfe and budget\.verifier_calls are both given"):
            blueprint_of(tmp_path, place, "experiment=mine")


def test_folder_is_named_by_the_kind_and_an_old_one_keeps_its_name(tmp_path):
    by_calls, before = blueprint_of(tmp_path, CALLS).folder, blueprint_of(tmp_path).folder
    assert by_calls.parts[-2] == "verifier_calls"
    assert by_calls.name != before.name
    assert blueprint_of(tmp_path, "budget.verifier_calls=null").folder == before


def test_smoke_run_keeps_the_first_caps(tmp_path):
    run = make_experiment(tmp_path, "smoke=true", "budget.verifier_calls=[1,2,4,8]")
    assert (run.caps, run.currency) == ((1, 2), "verifier_calls")


def test_plan_refuses_by_name_what_cannot_plan_for_calls(tmp_path):
    with pytest.raises(ValueError, match="MoreSteps cannot plan for a cap in verifier calls; these can: beam, "):
        _ = blueprint_of(tmp_path, "search=more_steps", CALLS).work
