"""A search that guides its steps itself: what its run is called by, what decides it, and what it refuses."""

import pytest

from its.guidance.twist import Twist
from its.rerun.saved_values import check_same
from its.search.tds import TDS
from tests.build import blueprint_of

WORDS = ("search=tds", "sampler.eta=1")


def test_run_has_the_guidance_of_its_search_and_is_named_by_the_search_alone(tmp_path):
    blueprint = blueprint_of(tmp_path, *WORDS, "search.strength=3")
    assert blueprint.guidance == Twist(3.0) == TDS(3.0).guidance
    assert blueprint.guided
    assert blueprint.label["search"] == "tds"
    assert "guidance" not in blueprint.record


def test_run_is_another_by_another_guide_and_by_another_strength(tmp_path):
    guide = ("verifier@guide=null_rewards",)
    folders = {blueprint_of(tmp_path, *WORDS, *more).folder for more in ((), ("search.strength=2",), guide)}
    assert len(folders) == 3
    plain = [blueprint_of(tmp_path, "search=fk", *more).folder for more in ((), guide)]
    assert plain[0] == plain[1], "a guide that nothing asks decides nothing"


def test_run_refuses_a_second_guidance_and_a_sampler_without_noise(tmp_path):
    with pytest.raises(ValueError, match="TDS guides its steps itself, by Twist, and MPGD was chosen besides"):
        blueprint_of(tmp_path, *WORDS, "guidance=mpgd")
    with pytest.raises(ValueError, match=r"TDS needs noise.*sampler\.eta"):
        blueprint_of(tmp_path, "search=tds", "sampler.eta=0")


def test_run_of_it_is_not_rendered_again(tmp_path):
    blueprint = blueprint_of(tmp_path, *WORDS)
    with pytest.raises(ValueError, match="the run was guided"):
        check_same(blueprint.config, blueprint.plain)
