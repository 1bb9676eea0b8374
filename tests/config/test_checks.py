"""Values of any parameter are refused by a plan, before anything is loaded, in one line with value and rule."""

import subprocess
import sys
from pathlib import Path

import pytest

from its.config.checks import check_types
from tests.build import CONF, blueprint_of, make_experiment

WRONG = {
    "search.neighbors=2.5": (["search=zero_order"], "search.neighbors is 2.5; it is a whole number of at least 1"),
    "search.block=1.5": ([], "search.block is 1.5; it is a whole number of at least 1"),
    "search.children=true": (["search=svdd", "budget=natural"], "search.children is True; it is a whole number"),
    "sampler.eta=abc": ([], "sampler.eta is 'abc'; it is a number"),
    "sampler.steps=2.0": ([], r"sampler.steps is 2\.0; it is a whole number of at least 1"),
    "guidance.rho=x": (["guidance=tfg"], "guidance.rho is 'x'; it is a number of at least 0"),
    "model.guidance_scale=abc": (["model=digits"], "model.guidance_scale is 'abc'; it is a number"),
    "model.conditional=1": ([], "model.conditional is 1; it is true or false"),
    "verifier.salt=a": (["verifier=null_rewards"], "verifier.salt is 'a'; it is a whole number"),
    "verifier.members.b.salt=a": (["verifier=ensemble"], "verifier.members.b.salt is 'a'; it is a whole number"),
    "metric.kid.subsets=a": ([], "metric.kid.subsets is 'a'; it is a whole number"),
    "guide.salt=a": (["verifier@guide=null_rewards"], "guide.salt is 'a'; it is a whole number"),
    "budget.nfe=5": (["budget.samplings=null"], "budget.nfe is 5; it is an ascending list of whole numbers above 0"),
    "model._target_=its.model.unet2d.lode": ([], "model._target_ is 'its.model.unet2d.lode'; it must be defined in"),
}


@pytest.mark.parametrize(("words", "message"), WRONG.values(), ids=WRONG)
def test_check_types_refuses_before_anything_is_loaded(tmp_path: Path, request, words: list[str], message: str):
    word = request.node.callspec.id
    with pytest.raises(ValueError, match=message):
        blueprint_of(tmp_path, *words, word, planning=True)


@pytest.mark.parametrize("width", ["1", "57", "abc"])
def test_check_report_width_refuses_less_than_is_stored(tmp_path: Path, width: str):
    with pytest.raises(ValueError, match=r"dataset.report_width is .* stores 58 numbers of an image; set .*=58"):
        make_experiment(tmp_path, f"dataset.report_width={width}")


def test_check_types_looks_into_lists_and_admits_a_default_of_none(tmp_path: Path, monkeypatch):
    (tmp_path / "parts.py").write_text("def part(size: int = None, name: str = 'x'): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    check_types({"members": [{"_target_": "parts.part", "size": None}]}, "metric")
    with pytest.raises(ValueError, match=r"metric.members.0.name is None; it is text"):
        check_types({"members": [{"_target_": "parts.part", "name": None}]}, "metric")
    with pytest.raises(ValueError, match=r"metric.members.0.size is 'a'; it is a whole number or null"):
        check_types({"members": [{"_target_": "parts.part", "size": "a"}]}, "metric")


ROOT_KEYS = {
    "name=null": "name is None; it is text",
    "seed=1.5": "seed is 1.5; it is a whole number",
    "rows=0": "rows is 0; it is a whole number of at least 1",
    "keep_candidates=1": "keep_candidates is 1; it is true or false",
    "reporting=always": "reporting is 'always'; choose one of each, end, none",
}


@pytest.mark.parametrize(("word", "message"), ROOT_KEYS.items(), ids=ROOT_KEYS)
def test_check_root_names_key_value_and_rule(tmp_path: Path, word: str, message: str):
    with pytest.raises(ValueError) as error:
        blueprint_of(tmp_path, word, planning=True)
    assert str(error.value) == message


@pytest.mark.parametrize("word", ["name=null", "experiment=digitsdemo", "sampler.eta=abc"])
def test_run_py_ends_a_mistake_with_exit_code_1(tmp_path: Path, word: str):
    command = [sys.executable, "run.py", word, f"out_dir={tmp_path}"]
    outcome = subprocess.run(command, cwd=CONF.parent, capture_output=True, text=True, timeout=120)
    assert outcome.returncode == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("sampler", "remedy"),
    [
        ("sampler.eta=0", "set sampler.eta above 0, as sampler.eta=1"),
        ("sampler=heun", "Heun draws none; take one that does, as sampler=ddim sampler.eta=1"),
        ("sampler=dpmpp_2m", "DPMpp2M draws none; take one that does, as sampler=ddim sampler.eta=1"),
        ("sampler=euler", "Euler draws none; take one that does, as sampler=ddim sampler.eta=1"),
        ("sampler=flow_grpo sampler.noise_level=0", "set sampler.noise_level above 0, as sampler.noise_level=1"),
        ("sampler=sit_sde sampler.diffusion_norm=0", "set sampler.diffusion_norm above 0, as sampler.diffusion_norm=1"),
    ],
)
def test_check_noise_names_a_sampler_that_has_some(tmp_path, sampler, remedy):
    with pytest.raises(ValueError, match=f"Beam needs noise, .* never separate; {remedy}"):
        blueprint_of(tmp_path, "search=beam", *sampler.split())


PROPOSING = """
from its.search.none import NoSearch
class Proposing(NoSearch):
    proposes_guesses = True
"""


@pytest.mark.parametrize("guidance", sorted(path.stem for path in CONF.glob("guidance/*.yaml")))
def test_check_proposals_refuses_a_guidance_through_the_network(tmp_path, monkeypatch, guidance):
    (tmp_path / "proposing.py").write_text(PROPOSING)
    monkeypatch.syspath_prepend(tmp_path)
    guide = {"cg": ["verifier@guide=noisy_classifier"]}.get(guidance, [])
    words = ["plugins=[proposing]", "search=none", f"guidance={guidance}", *guide]
    blueprint_of(tmp_path, *words)
    if guidance in ("none", "cg", "mpgd"):
        blueprint_of(tmp_path, *words, "search._target_=proposing.Proposing")
        return
    with pytest.raises(ValueError, match=f"guidance={guidance} takes .* Proposing puts .*; set guidance=none.*=mpgd"):
        blueprint_of(tmp_path, *words, "search._target_=proposing.Proposing")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("class Climb:\n    pass", ":6: search Climb does not inherit its.Search"),
        ("class Climb(Search):\n    run = None", ":6: search Climb is no dataclass, .*write @dataclass"),
        ("@dataclass\nclass Climb(Search):\n    run = None", ":6: search Climb is not frozen"),
        (
            "@dataclass(frozen=True)\nclass Climb(Search):\n    kept: list = []",
            ":6: mutable default .*list",
        ),
        (
            "@dataclass(frozen=True)\nclass Climb(NoSearch):\n    def minimum(self, sampling):\n        pass",
            ":6: minimum of Climb returned None; it returns the least cap",
        ),
        (
            "@dataclass(frozen=True)\nclass Climb(Fixed):\n    def sized_for(self, nfe, image):\n        pass",
            ":6: sized_for of Climb returned NoneType; it returns the search sized for a cap, as replace",
        ),
    ],
)
def test_blueprint_names_the_line_of_a_class_that_is_no_search(tmp_path, monkeypatch, text, sentence):
    head = "from dataclasses import dataclass\nfrom its import Search\nfrom its.search.none import NoSearch\n"
    head += "class Fixed(NoSearch):\n    anytime = False\n"
    name = f"mistaken_{abs(hash(text))}"
    (tmp_path / f"{name}.py").write_text(head + text + "\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match=f"{name}.py{sentence}"):
        _ = blueprint_of(tmp_path, f"plugins=[{name}]", "search=none", f"search._target_={name}.Climb").work
