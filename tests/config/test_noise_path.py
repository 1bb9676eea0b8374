"""The grid of a plan is the run's, as far as the configuration or a checkpoint that is here states it."""

import shutil

import pytest

from its.config.plan import plan_of
from its.run.build import build
from its.weights import locate
from tests.build import CONF, blueprint_of
from tests.config.test_plan import loaded

GUIDED = ("model.guidance_scale=2", "search=random", "budget.samplings=[1,3]")
MIXTURE = ("dataset=mixture", "model=mixture", "model.conditional=true", *GUIDED)
CIFAR = ("dataset=cifar10", "verifier=null_rewards", *GUIDED)
EDM = ("model=edm_cifar10", "sampler=edm", *CIFAR)
OPENAI = ("model=openai_cifar10", "model.classes=11", "model.null_class=10", *CIFAR)
LATENT = ("dataset=imagenet256", "verifier=null_rewards", "search=random")
RAE = ("model=rae", "model.autoguidance=null", "sampler=euler", "sampler.steps=49")
CONDITIONAL = ("model=ddpm_cifar10", "model.conditional=true")


@pytest.mark.parametrize(
    ("words", "sampling"),
    [
        (("model=digits", *GUIDED, "model.guidance_interval=[399,599]"), 10 + 3),
        (("model=digits", *GUIDED, "model.guidance_interval=[399,599]", "sampler.spacing=leading"), 10 + 2),
        (("model=digits", *GUIDED, "model.guidance_interval=[0,999]", "sampler.steps=7"), 14),
        ((*MIXTURE, "model.guidance_interval=[399,599]"), 10 + 3),
        ((*MIXTURE, "model.guidance_interval=[399,599]", "sampler=heun"), 7 + 2),  # 799, 599 (twice), 399 (twice), 199
        ((*MIXTURE, "model.path=flow", "sampler=euler", "model.guidance_interval=[0.4,0.6]"), 10 + 3),
        ((*MIXTURE, "model.path=flow", "sampler=flow_grpo", "model.guidance_interval=[0.4,0.6]"), 10 + 3),
        ((*MIXTURE, "model.path=flow", "sampler=sit_sde", "sampler.steps=10", "model.guidance_interval=[0.4,0.6]"), 12),
        ((*MIXTURE, "model.path=flow", "sampler=flow_vp", "model.guidance_interval=[0.7,0.9]"), 10 + 2),  # .86, .71
    ],
    ids=str,
)
def test_plan_has_the_prices_of_the_run(tmp_path, words, sampling):
    blueprint = blueprint_of(tmp_path, *words, "images=5")
    assert blueprint.prices.sampling == build(blueprint).engine.prices.sampling
    assert not blueprint.bound
    assert plan_of(blueprint).work.nfe == 5 * 3 * blueprint.prices.sampling


@pytest.mark.parametrize(
    ("words", "sampling"),
    [
        ((*EDM, "model.guidance_interval=[0.002,80]"), 2 * 35),
        ((*EDM, "model.guidance_interval=[0.28,2.9]"), 35 + 2 * 4),  # sigmas 2.64, 1.50, 0.81, 0.41 at 18 steps
        ((*OPENAI, "model.guidance_interval=[0,3999]"), 20),
        ((*OPENAI, "model.guidance_interval=[3999,4000]"), 11),
        ((*LATENT, "model=dit_xl2", "sampler.steps=250", "sampler.spacing=inclusive"), 500),
        ((*LATENT, "model=sit_xl2", "sampler=heun", "sampler.steps=25", "model.guidance_scale=1"), 49),  # Ma et al.
        ((*LATENT, "model=repa_xl2", "sampler=sit_sde"), 250 + 172),  # REPA guides 172 of 250
        ((*LATENT, "model=lightningdit", "sampler=euler", "sampler.steps=249"), 249 + 168),
        ((*LATENT, "model=rae", "sampler=euler", "sampler.steps=49"), 2 * 49),
        ((*LATENT, *RAE, "model.guidance_scale=1"), 49),
        ((*LATENT, *RAE, "model.guidance_interval=[0,0.5]"), 49 + 6),
    ],
    ids=str,
)
def test_plan_has_the_grid_of_a_path_in_the_configuration_without_weights(tmp_path, words, sampling):
    blueprint = blueprint_of(tmp_path, *words, planning=True)
    assert blueprint.prices.sampling == sampling
    assert not blueprint.bound


def test_plan_takes_the_dearest_price_where_the_grid_is_not_here(tmp_path):
    words = (*CIFAR, *CONDITIONAL, "model.guidance_interval=[399,599]", "images=5")
    plan = plan_of(blueprint_of(tmp_path, *words, planning=True))
    assert plan.work.nfe == 5 * 3 * 20
    assert "at most 300 NFE to spend" in plan.line()
    assert "at most, for the grid stands in a checkpoint that is not here" in plan.line()
    allowed = blueprint_of(tmp_path, *words, "budget.samplings=null", "budget.nfe=[13]", planning=True)
    assert plan_of(allowed).work.nfe == 5 * 13, "what a bound would refuse may be paid for"


@pytest.mark.parametrize("place", [".", "scheduler"])
def test_plan_reads_the_times_of_a_pipeline_that_is_here(tmp_path, place):
    folder = tmp_path / "pipeline"
    (folder / place).mkdir(parents=True)
    shutil.copy(locate("digits/generator") / "scheduler_config.json", folder / place)
    words = (*CIFAR, *CONDITIONAL, f"model.weights={folder}", "model.guidance_interval=[399,599]")
    blueprint = blueprint_of(tmp_path, *words, planning=True)
    assert (blueprint.prices.sampling, blueprint.bound) == (13, "")


@pytest.fixture
def own_loader(tmp_path, monkeypatch):
    """Words of a model whose path stands in its code alone."""
    (tmp_path / "own_loader.py").write_text(
        "from its import GuidanceInterval, GuidanceScale, Weights\n"
        "def load(weights: Weights, guidance_scale: GuidanceScale = 2.0,\n"
        "         guidance_interval: GuidanceInterval | None = None): ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "conf" / "model").mkdir(parents=True)
    (tmp_path / "conf" / "model" / "own.yaml").write_text("_target_: own_loader.load\nweights: x.pt\n")
    words = ("model=own", "images=5", f"plugins=[{tmp_path / 'own_loader.py'}]", "budget.samplings=[1]")
    return (*words, f"hydra.searchpath=[file://{tmp_path / 'conf'}]")


@pytest.mark.parametrize("sampler", ["flow_renoise", "flow_grpo", "flow_cps", "sit_sde", "flow_vp"])
def test_plan_prices_a_sampler_of_flow_models_where_the_path_is_not_known(tmp_path, own_loader, sampler):
    blueprint = blueprint_of(tmp_path, *own_loader, f"sampler={sampler}", "sampler.steps=10", planning=True)
    assert (blueprint.prices.sampling, blueprint.bound) == (20, "")


def test_plan_says_that_a_loader_of_ones_own_keeps_the_grid(tmp_path, own_loader):
    always = blueprint_of(tmp_path, *own_loader, planning=True)
    assert (always.prices.sampling, always.bound) == (20, ""), "its default scale is 2, on every grid"
    limited = blueprint_of(tmp_path, *own_loader, "+model.guidance_interval=[1,2]", planning=True)
    assert (limited.prices.sampling, limited.bound) == (
        20,
        "the grid stands in own_loader.load, which a plan does not run",
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("model.guidance_scale=2", "model.guidance_interval=[599,399]"), "it is a list of two ascending numbers"),
        (("model.guidance_scale=2", "model.guidance_interval=[a,399]"), "it is a list, each entry a number or null"),
        (("model.guidance_interval=[399,599]",), "model.guidance_scale is 1, under which nothing is guided"),
        (
            ("model.guidance_scale=2", "model.guidance_interval=[600,650]"),
            r"this sampling has no level there.*699, 599",
        ),
    ],
    ids=str,
)
def test_plan_refuses_an_interval_that_is_none_or_does_nothing(tmp_path, words, message):
    with pytest.raises(ValueError, match=message):
        _ = blueprint_of(tmp_path, "model=digits", *words, planning=True).work


def test_plan_refuses_to_guide_an_unconditional_model(tmp_path):
    words = ("model=digits_unconditional", "model.guidance_scale=2")
    with pytest.raises(ValueError, match=r"model\.guidance_scale is 2 on an unconditional model; set"):
        _ = blueprint_of(tmp_path, *words, planning=True).work


def test_plan_with_an_interval_loads_no_torch(tmp_path):
    said = loaded(tmp_path, "plan=true", "model=digits", *GUIDED, "model.guidance_interval=[399,599]", "images=5")
    assert "195 NFE to spend" in said
    assert said.rstrip().endswith("[]")


def test_folder_keeps_its_name_under_the_interval_that_is_always(tmp_path):
    """An option that was added later is left out of the hash at its old meaning."""
    folders = [
        blueprint_of(tmp_path, "model=digits", "model.guidance_scale=2", *words).folder.name
        for words in ((), ("model.guidance_interval=null",), ("model.guidance_interval=[0,999]",))
    ]
    assert folders[0] == folders[1] != folders[2]
    assert (CONF / "model" / "digits.yaml").read_text().count("guidance_interval: null") == 1
