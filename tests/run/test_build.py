"""A configuration that breaks a rule gives one error with value, rule and remedy, and touches no file."""

import pytest

from its.config.instantiate import CHOICES, instantiate
from tests.build import make_experiment

BAD = {
    "images": (["images=0"], "images is 0; it is a whole number of at least 1"),
    "seed": (["seed=-1"], "seed is -1"),
    "steps": (["sampler.steps=0"], "sampler.steps is 0; it is a whole number of at least 1"),
    "eta": (["sampler.eta=2"], "sampler.eta is 2.* between 0 .* and 1"),
    "spacing": (["sampler.spacing=sideways"], "spacing is 'sideways'; choose one of leading, trailing"),
    "too many steps": (["sampler.steps=1001"], "steps is 1001; it lies between 1 and 1000"),
    "cap below one sampling": (["budget=nfe_100", "sampler.steps=200"], "cap of 100 NFE is below the 200 NFE"),
    "caps not ascending": (["budget.samplings=[2,1]"], r"budget.samplings is \[2, 1\]; it is an ascending list"),
    "two budgets": (["budget.nfe=[100]"], "budget.nfe and budget.samplings are both given"),
    "size beside a cap": (
        ["search.candidates=3"],
        r"search.candidates=3 .* budget.samplings; .*search.candidates=null",
    ),
    "copies without noise": (["search=bfs_resample", "sampler.eta=0"], "set sampler.eta above 0"),
    "another dataset's model": (["dataset=mixture"], "choose a model of this dataset"),
    "guidance without a class": (["model.guidance_scale=3"], "set model.conditional=true"),
    "weights": (["model.weights=nowhere/at/all"], "weights 'nowhere/at/all' are neither"),
    "pivot": (["search=zero_order", "search.pivot=x"], "choose one of paper, keep, peer"),
    "cosine": (["search=zero_order", "search.cosine=1"], "cosine is 1"),
    "target": (["verifier._target_=os.system"], "must be defined in its"),
    "name": (["name=../up"], "cannot name a folder of a run"),
}


@pytest.mark.parametrize(("overrides", "message"), BAD.values(), ids=BAD)
def test_blueprint_refuses_bad_values_and_writes_no_file(tmp_path, overrides, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        make_experiment(tmp_path, *overrides)
    assert not list(tmp_path.iterdir())


PAYLOADS = [
    {"_target_": "os.system", "command": "touch /tmp/its-canary"},
    {"_target_": "builtins.eval", "expression": "1"},
    {"_target_": "its.disk.store.os.system", "command": "true"},
    {"_target_": "its.run.build.import_module", "name": "this"},
    {"_target_": "its.budget.Budget", "nfe": {"_target_": "subprocess.run", "args": ["true"]}},
    {"_target_": "its.budget.Budget", "_partial_": True},
    {"_target_": "its.budget.Budget", "_args_": [[1]]},
    {"_target_": "its.budget.math.inf"},
    {"_target_": ["its.budget.Budget"]},
    {"_target_": "its"},
    {"_target_": "its.nothing.Here"},
    {"_target_": "its.config.identity._weights", "node": {}},
]


@pytest.mark.parametrize("payload", PAYLOADS, ids=str)
def test_instantiate_refuses_objects_not_defined_in_its(payload):
    with pytest.raises(ValueError, match=r"_target_|not allowed"):
        instantiate(payload, CHOICES)


def test_instantiate_makes_objects_of_a_listed_plugin():
    made = instantiate({"_target_": "fractions.Fraction", "numerator": 1, "denominator": 3}, (*CHOICES, "fractions"))
    assert made.denominator == 3
