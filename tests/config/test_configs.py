"""Every YAML composes and builds; a new one is tested the moment it exists."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from omegaconf import DictConfig

from its.config.composed import compose_whole
from its.config.instantiate import CHOICES, instantiate
from its.metric.reference_source import ReferenceSource, check_metrics
from tests.build import CONF, blueprint_of, make_experiment
from tests.model.wishes import WORDS

GROUPS = {path.name: sorted(file.stem for file in path.glob("*.yaml")) for path in CONF.iterdir() if path.is_dir()}
NEEDED = {"cg": ["verifier@guide=noisy_classifier"], "zscore": ["verifier.statistics={a:[-3,2],b:[0.5,0.29]}"]}
"""What a choice cannot do without."""

ADM_CLASSIFIERS = {f"adm_classifier{size}": size for size in (64, 256, 512)}
"""Guides of noisy rows."""

LARGE = ("adm_imagenet256", "adm_imagenet256_uncond", "adm_imagenet512", "adm_classifier256", "adm_classifier512")
LARGE += ("lightningdit", "rae")
"""Choices of images so large that building them takes long; of these the default tier makes plans."""

OF_HUB = ("clip", "deit_s", "dino", "ma_ensemble", "vit_b16_224", "vit_b16_384")
"""Verifiers that are built with their twins, which tell whatever classes apart."""

PIPELINES = ("flux_dev", "flux_schnell", "flux2_klein", "pixart_sigma", "sd15", "sdxl", "sdxl_lightning")
PIPELINES += ("lcm", "sana", "sana_sprint", "sd_turbo")
PIPELINES += ("sd35", "qwen_image", "z_image", "z_image_turbo")
REWARDS = (
    "t2i_ensemble",
    "aesthetic",
    "clip_score",
    "hps",
    "hps_v20",
    "hps3",
    "image_reward",
    "pick_score",
    "soft_tifa",
    "unified_reward",
    "vlm",
    "vlm_endpoint",
)
"""Verifiers that score images by their prompts, or whatever is asked."""

OF_DATASET = {"mixture": ["dataset=mixture", "model=mixture"], "digits": []}


def choices(group: str) -> list[str]:
    return GROUPS[group]


@pytest.mark.parametrize("search", choices("search"))
@pytest.mark.parametrize("problem", OF_DATASET.values(), ids=OF_DATASET)
def test_conf_builds_every_search_on_every_problem(tmp_path: Path, search: str, problem: list[str]):
    run = make_experiment(tmp_path, f"search={search}", *problem)
    assert search == "schedule" or run.caps == (10, 20, 40, 80)
    assert f"/{search}/" in str(run.folder)
    assert not list(tmp_path.iterdir()), "building must not touch the disk"


def place(choice: str) -> list[str]:
    """The dataset that a choice goes with; those of CIFAR-10 are built with their twins."""
    if choice in ("edm", "edm_cifar10"):
        return ["dataset=cifar10", "model=edm_cifar10", "sampler=edm", "verifier=resnet56_cifar10", "smoke=true"]
    if choice in PIPELINES:
        return [*WORDS, "sampler=euler", "sampler.spacing=checkpoint"]
    if choice.startswith("flow_") or choice == "sit_sde":
        return ["dataset=mixture", "model=mixture", "model.path=flow"]
    if choice.startswith(("adm_", "edm_imagenet", "openai_imagenet")):
        size = next(size for size in (64, 256, 512) if f"imagenet{size}" in choice)
        sampler = "edm" if choice.startswith("edm") else "ddim"
        return [f"dataset=imagenet{size}", "verifier=null_rewards", f"sampler={sampler}", "batch=1", "smoke=true"]
    if choice.endswith("_xl2") or choice in ("lightningdit", "rae"):
        return ["dataset=imagenet256", "verifier=null_rewards", "smoke=true"]
    if choice == "fd_dinov2":
        return ["dataset=imagenet64", "model=openai_imagenet64", "verifier=null_rewards", "smoke=true"]
    if choice in OF_HUB:
        return ["dataset=cifar10", "model=ddpm_cifar10", "smoke=true"]
    if choice in REWARDS:
        return ["dataset=drawbench", "model=sd15", "sampler.steps=2", "smoke=true"]
    if choice.endswith("cifar10"):
        others = {"model": "ddpm_cifar10", "verifier": "resnet56_cifar10"}
        return ["dataset=cifar10", *(f"{key}={value}" for key, value in others.items()), "smoke=true"]
    return OF_DATASET.get(choice, ["smoke=true"] if choice.startswith("self_supervised_") else [])


@pytest.mark.parametrize(
    ("group", "choice"),
    [
        pytest.param(g, c, marks=[pytest.mark.long] if c in LARGE else [])
        for g in ("sampler", "guidance", "verifier", "budget", "metric", "model")
        for c in GROUPS[g]
        if c not in ("openai", "noisy_classifier", *ADM_CLASSIFIERS)
    ],
)
def test_conf_builds_every_choice_of_the_other_groups(tmp_path: Path, group: str, choice: str):
    run = make_experiment(tmp_path, *place(choice), f"{group}={choice}", *NEEDED.get(choice, []))
    assert choice in str(run.folder) or group == "metric" or choice == "none"


@pytest.mark.parametrize("model", ["adm_imagenet64", "edm_imagenet64", *LARGE[:3]])
def test_conf_plans_every_model_of_imagenet_without_its_weights(tmp_path: Path, model: str):
    words = [word for word in place(model) if word != "smoke=true"]
    classifier = f"adm_classifier{model.removeprefix('adm_imagenet').removesuffix('_uncond')}"
    guide = ["guidance=cg", f"verifier@guide={classifier}"] if model.startswith("adm") else []
    steps = ["sampler.steps=10", "search=none", "budget=natural", "images=5"]
    blueprint = blueprint_of(tmp_path, *words, f"model={model}", *guide, *steps, planning=True)
    assert blueprint.work.nfe == 5 * (19 if model.startswith("edm") else 10)
    with pytest.raises(FileNotFoundError, match=r"64x64.*neither in the package|\.pt.*neither in the package"):
        blueprint_of(tmp_path, *words, f"model={model}", *guide, *steps)


@pytest.mark.parametrize(
    "guide", [pytest.param(g, marks=[pytest.mark.long] if g in LARGE else []) for g in ADM_CLASSIFIERS]
)
def test_conf_builds_every_classifier_of_adm_as_a_guide(tmp_path: Path, guide: str):
    model = f"adm_imagenet{ADM_CLASSIFIERS[guide]}"
    words = [*place(model), f"model={model}", "guidance=cg", f"verifier@guide={guide}"]
    assert make_experiment(tmp_path, *words).engine.guidance.noise_aware
    with pytest.raises(ValueError, match=f"verifier={guide} scores noisy rows, which is for verifier@guide"):
        make_experiment(tmp_path, *place(model), f"model={model}", f"verifier={guide}")


IMAGES = {"cifar10": (10, 32), "cifar100": (100, 32), "folder": (0, 64), "npz": (10, 32)}
IMAGES |= {f"imagenet{size}": (1000, size) for size in (64, 256, 512)}

OF_PROMPTS = {
    *("dpg", "drawbench", "geneval", "geneval2", "hpsv2", "partiprompts", "prompt", "prompts", "t2i_compbench"),
}
"""Datasets without real images; tests/run/test_prompts.py and tests/end_to_end/test_prompt_command.py build them."""


@pytest.mark.parametrize(
    "dataset",
    [
        pytest.param(d, marks=[pytest.mark.long] if d in ("imagenet64", "imagenet512") else [])
        for d in sorted(set(GROUPS["dataset"]) - {*OF_DATASET} - OF_PROMPTS)
    ],
)
def test_conf_builds_every_dataset_of_real_images(tmp_path: Path, inception_weights: Path, dataset: str):
    """With statistics for a reference, as the images are elsewhere; metric=openai is the one that needs all of them."""
    classes, size = IMAGES[dataset]
    np.savez(tmp_path / "stats.npz", mu=np.zeros(2048), sigma=np.eye(2048), mu_s=np.zeros(2023), sigma_s=np.eye(2023))
    blueprint = blueprint_of(
        tmp_path,
        f"dataset={dataset}",
        "dataset.reference=null",
        f"dataset.statistics={tmp_path / 'stats.npz'}",
        f"dataset.report.weights={inception_weights}",
        "dataset.report.spatial=true",
        "metric=openai",
        "~metric.prc",
        "verifier=null_rewards",
        planning=True,
    )
    config = blueprint.plain
    data, extractor = (instantiate(config["dataset"][key], CHOICES) for key in ("images", "report"))
    reference = ReferenceSource.open(extractor, None, config["dataset"]["statistics"])
    check_metrics(instantiate(config["metric"], CHOICES), reference)
    assert data.shape == tuple(config["dataset"]["shape"]) == (3, size, size)
    assert data.condition(classes + 1) == (1 if classes else None)
    assert blueprint.record["dataset"].keys() == {"images"}, "what measures decides no image"


@pytest.mark.parametrize("tracker", choices("tracker"))
def test_conf_tracker_changes_no_folder_or_record(tmp_path: Path, tracker: str):
    plain, tracked = make_experiment(tmp_path), make_experiment(tmp_path, f"tracker={tracker}")
    for name in ("folder", "config", "label"):
        assert getattr(tracked, name) == getattr(plain, name)
    assert tracked.instruments.fingerprint == plain.instruments.fingerprint


NFE = {
    "digits_all": 1_950_000,
    "drawbench_flux": 20_190_000,
    "evosearch_flux": 596_000,
    "evosearch_sd15": 4_020_000,
    "fk_sdxl": 995_400,
    "flux2_klein_ses": 200,
    "rbf_flux": 302_000,
    "ses_flux2": 80_800,
    "svdd_sd15": 820_000,
    "trs_sana_sprint": 480_400,
    "trs_sd15": 24_020_000,
    "trs_sdxl_lightning": 1_921_600,
    "tt_scale": 3_100,
    "digits_demo": 145_000,
    "digits_hacking": 480_000,
    "ma_imagenet": 7_526_400_000,
    "digits_oracle": 690_000,
    "null_mixture": 14_600_000,
    "phase1_cifar10": 305_000_000,
    "phase2_imagenet": 1_220_000_000,
    "schedule_digits": 800_000,
    "schedule_o2tdm": 260_000,
    "strong_imagenet": 308_700_000,
    "tfg_cifar10": 102_400,
    "zhang_imagenet": 1_689_600,
}
"""By hand: an anytime search costs its largest cap, a planned one the sum of its caps, `none` one sampling."""

OF_PROMPTED = ("_flux", "_flux2", "_sd15", "_sdxl", "_lightning", "_sprint")
PROMPTED = [name for name in NFE if name.endswith(OF_PROMPTED) or name == "tt_scale"]
"""Experiments of text to image, but for the one that makes a single picture."""

ASKED = {"flux2_klein_ses": ["prompt='sketch, a cat'"]}
"""Words that an experiment asks for."""


def params_of(config: DictConfig) -> list[tuple[str, str]]:
    """Return the axes of an experiment's sweep; of one run none."""
    return list((config.hydra.sweeper.params or {}).items())


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.long] if n == "drawbench_flux" else []) for n in choices("experiment")]
)
def test_conf_experiments_plan_the_nfe_counted_by_hand(tmp_path: Path, name: str):
    config = compose_whole([f"experiment={name}"])
    assert config.name == name, "an experiment's runs land in the folder of its own name"
    jobs = [
        (f"experiment={name}", *ASKED.get(name, []), *job)
        for job in product(*([f"{key}={value}" for value in values.split(",")] for key, values in params_of(config)))
    ]
    assert sum(blueprint_of(tmp_path, *job, planning=True).work.nfe for job in jobs) == NFE[name]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=[pytest.mark.long] if n.endswith("_imagenet") or n in PROMPTED else [])
        for n in choices("experiment")
    ],
)
def test_conf_experiments_build_as_smoke_runs(tmp_path: Path, name: str):
    first = [f"{key}={values.split(',')[0]}" for key, values in params_of(compose_whole([f"experiment={name}"]))]
    first += ASKED.get(name, [])
    assert "/smoke/" in str(make_experiment(tmp_path, f"experiment={name}", *first, "smoke=true").folder)


def test_conf_files_begin_with_a_comment():
    silent = [str(file) for file in CONF.rglob("*.yaml") if not file.read_text().startswith("#")]
    assert not silent
