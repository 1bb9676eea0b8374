"""SANA, SANA-Sprint, LCM and SD-Turbo: what their files may say, DrawBench, and searches by their own sampler."""

import json
import shutil
from pathlib import Path

import pytest

from its.run.build import build
from its.sampler.consistency import Consistency
from its.search.paths import Paths
from its.search.random import Random
from its.search.svdd import SVDD
from its.twins.sana import EULER
from tests.build import blueprint_of
from tests.model.pipelines import FAMILIES, PROMPTS, WRITERS
from tests.model.test_prompted import searched

pytestmark = pytest.mark.usefixtures("text_cache")

INDEX, STEPS, NETWORK = "model_index.json", "scheduler/scheduler_config.json", "transformer/config.json"
VAE, TEXT, UNET = "vae/config.json", "text_encoder/config.json", "unet/config.json"

OWN = {"sana": "dpmpp_2m", "sana_sprint": "consistency", "lcm": "consistency", "sd_turbo": "euler"}
"""Samplers that their checkpoints were published with."""

NFE = {"sana": 2 * 4, "sana_sprint": 4, "lcm": 4, "sd_turbo": 4}
"""Of four steps."""


@pytest.fixture(scope="module")
def twins(tmp_path_factory):
    root = tmp_path_factory.mktemp("twins")
    for family in OWN:
        WRITERS[family](str(root / family))
    return root


@pytest.fixture
def changed(twins, tmp_path):
    """Copy a twin, and change entries of a file; None takes one out, and a scheduler's class is the index's."""

    def change(family: str, file: str, entries: dict) -> str:
        folder = shutil.copytree(twins / family, tmp_path / family)
        write(folder / file, json.loads((folder / file).read_text()) | entries)
        if file == STEPS and "_class_name" in entries:
            index = json.loads((folder / INDEX).read_text())
            write(folder / INDEX, index | {"scheduler": ["diffusers", entries["_class_name"]]})
        return str(folder)

    return change


def write(path: Path, entries: dict) -> None:
    path.write_text(json.dumps({key: value for key, value in entries.items() if value is not None}))


@pytest.mark.parametrize(
    ("family", "file", "entries", "message"),
    [
        ("sana", INDEX, {"_class_name": "SanaPAGPipeline"}, "_class_name of .* here it is SanaPipeline"),
        ("sana", INDEX, {"text_encoder": ["transformers", "Gemma2ForCausalLM"]}, "text_encoder of .* Gemma2Model"),
        ("sana", INDEX, {"controlnet": ["diffusers", "SanaControlNetModel"]}, "controlnet of .* is not known"),
        ("sana", STEPS, {"_class_name": "SCMScheduler"}, "_class_name of .*DPMSolverMultistepScheduler of linear flow"),
        ("sana", STEPS, {"use_flow_sigmas": False}, "use_flow_sigmas of .* is false; here it is true"),
        ("sana", STEPS, {"use_flow_sigmas": None}, "has no use_flow_sigmas, and it is not guessed"),
        ("sana", STEPS, {"prediction_type": "epsilon"}, "prediction_type of .* here it is"),
        ("sana", STEPS, {"flow_shift": None}, "has no flow_shift, and it is not guessed"),
        ("sana", STEPS, {"flow_shift": float("inf")}, "flow_shift of .* it is above 0, and finite"),
        ("sana", STEPS, {"use_karras_sigmas": True}, "use_karras_sigmas of .* is true; here it is"),
        ("sana", STEPS, {"final_sigmas_type": "sigma_min"}, "final_sigmas_type of .* here it is"),
        ("sana", STEPS, {"use_dynamic_shifting": True}, "use_dynamic_shifting of .* is true"),
        ("sana", STEPS, {"another": 1}, "another of .* this entry is not known"),
        ("sana", NETWORK, {"guidance_embeds": True}, "guidance_embeds of .* is true; here it is false"),
        ("sana", NETWORK, {"in_channels": 8}, "does not fit SanaTransformer2DModel"),
        ("sana", NETWORK, {"patch_size": 0}, "patch_size of .* is 0; it is at least 1"),
        ("sana", NETWORK, {"norm_eps": "none"}, "norm_eps of .* here it is a number"),
        ("sana", NETWORK, {"another": 1}, "another of .* this entry is not known"),
        ("sana", VAE, {"scaling_factor": None}, "has no scaling_factor, and it is not guessed"),
        ("sana", VAE, {"scaling_factor": 0}, "scaling_factor of .* it is above 0"),
        ("sana", VAE, {"shift_factor": 0.1}, "shift_factor of .* is not known"),
        ("sana", VAE, {"in_channels": 4}, "in_channels of .* is 4; here it is 3"),
        ("sana", VAE, {"upsample_block_type": "nearest"}, "upsample_block_type of .* here it is"),
        ("sana", VAE, {"decoder_block_out_channels": [8] * 5}, "as many blocks as of the encoder"),
        ("sana", VAE, {"latent_channels": 8}, "does not fit AutoencoderDC"),
        ("sana", TEXT, {"another": 1}, "does not read another, which may decide pixels"),
        ("sana", TEXT, {"hidden_act": "silu"}, "does not read hidden_act, which may decide pixels"),
        ("sana_sprint", STEPS, {"_class_name": "LCMScheduler"}, '_class_name of .* here it is "SCMScheduler"'),
        ("sana_sprint", STEPS, {"prediction_type": "epsilon"}, "prediction_type of .* here it is"),
        ("sana_sprint", STEPS, {"sigma_data": 0.0}, "sigma_data of .* it is above 0"),
        ("sana_sprint", STEPS, {"max_timesteps": 1.56454}, r"max_timesteps of .* its pipeline takes 1\.5708"),
        ("sana_sprint", STEPS, {"intermediate_timesteps": 1.1}, r"intermediate_timesteps of .* takes 1\.3"),
        ("sana_sprint", NETWORK, {"guidance_embeds": None}, "has no guidance_embeds, and it is not guessed"),
        ("lcm", STEPS, {"_class_name": "DDIMScheduler"}, "_class_name of .*choose a pipeline with one of LCMScheduler"),
        ("lcm", STEPS, {"clip_sample": True}, "clip_sample of .* is true; here it is false"),
        ("lcm", STEPS, {"thresholding": True}, "thresholding of .* is true; here it is false"),
        ("lcm", STEPS, {"original_inference_steps": 0}, "original_inference_steps of .* it is at least 1"),
        ("lcm", STEPS, {"original_inference_steps": 2000}, "original_inference_steps of .* at most num_train"),
        ("lcm", STEPS, {"timestep_scaling": 0.0}, "timestep_scaling of .* it is above 0"),
        ("lcm", STEPS, {"beta_schedule": "laplace"}, "beta_schedule of .* here it is"),
        ("lcm", UNET, {"time_cond_proj_dim": None}, "has no time_cond_proj_dim, and it is not guessed"),
        ("lcm", UNET, {"time_cond_proj_dim": 2}, "time_cond_proj_dim of .* at least 4"),
        ("lcm", UNET, {"addition_embed_type": "text"}, "addition_embed_type of .* here it is null"),
        ("sd_turbo", STEPS, {"_class_name": "EulerAncestralDiscreteScheduler"}, "_class_name of .*choose a pipeline"),
        ("sd_turbo", STEPS, {"_class_name": "LCMScheduler"}, "_class_name of .*choose a pipeline"),
    ],
)
def test_few_steps_families_refuse_entries_by_name(changed, family, file, entries, message):
    with pytest.raises(ValueError, match=message):
        FAMILIES[family](changed(family, file, entries)).prepare(PROMPTS[:1])


@pytest.mark.parametrize(
    ("family", "file", "entries"),
    [
        ("sana", STEPS, EULER | {"num_train_timesteps": 1000, "stochastic_sampling": False}),
        ("sana", STEPS, {"algorithm_type": "dpmsolver++", "time_shift_type": "exponential"}),
        ("sana", NETWORK, {"timestep_scale": 1.0, "interpolation_scale": None}),
        ("sana", TEXT, {"hidden_act": "gelu_pytorch_tanh", "cache_implementation": "hybrid"}),
        ("sana_sprint", STEPS, {"max_timesteps": 1.5708, "intermediate_timesteps": 1.3}),
        ("lcm", STEPS, {"timestep_scaling": None, "interpolation_type": "linear", "use_karras_sigmas": False}),
        ("lcm", INDEX, {"image_encoder": [None, None], "requires_safety_checker": True}),
    ],
)
def test_few_steps_families_read_entries_as_others_write_them(changed, family, file, entries):
    folder = changed(family, file, entries)
    if "shift" in entries:
        write(Path(folder) / file, entries)
    FAMILIES[family](folder).prepare(PROMPTS[:1])


@pytest.mark.parametrize(
    ("family", "options", "message"),
    [
        ("sana", {"size": 80}, r"model\.size is 80; .* multiple of 32: set model\.size=64"),
        ("sana", {"max_sequence_length": 1}, r"model\.max_sequence_length is 1; it is at least 2"),
        ("sana", {"attention": "nonsense"}, r"model\.attention is 'nonsense'"),
    ],
)
def test_few_steps_families_refuse_options_by_name(twins, family, options, message):
    with pytest.raises(ValueError, match=message):
        FAMILIES[family](str(twins / family), **options)


@pytest.mark.parametrize("search", [Random(), Paths(paths=2), SVDD()], ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("family", ["sana_sprint", "lcm"])
def test_consistency_models_are_searched_by_their_own_steps(twins, family, search):
    """Copies separate by themselves, without an eta: fresh noise is drawn in every step but the last."""
    outcomes = searched(FAMILIES[family](str(twins / family)), search, Consistency(steps=2, spacing="checkpoint"), 3)
    assert not (outcomes[0].image == outcomes[1].image).all()


def words(family: str, *others: str) -> tuple[str, ...]:
    steps = (f"sampler={OWN[family]}", "sampler.steps=4", "sampler.spacing=checkpoint")
    return (f"model={family}", *steps, "dataset=drawbench", "verifier=null_rewards", "search=random", *others)


@pytest.mark.parametrize("here", [True, False])
@pytest.mark.parametrize("family", OWN)
def test_drawbench_is_planned(tmp_path, twins, family, here):
    """By the pipeline's own times where it is here: SANA's guidance from 800 up is of 2 of 4 steps: 999.7 and 899.6."""
    places = (f"model.weights={twins / family}",) if here else ()
    guided = ("model.guidance_interval=[800,1000]",) if here and family == "sana" else ()
    plan = blueprint_of(tmp_path, *words(family, *places, *guided), "search=none", "budget=natural", planning=True)
    assert plan.work.nfe == 200 * (6 if guided else NFE[family])


@pytest.mark.long
@pytest.mark.parametrize("family", OWN)
def test_drawbench_is_searched_on_a_twin(tmp_path, family):
    run = build(blueprint_of(tmp_path, *words(family, "smoke=true", "model.size=64", "images=2", "batch=2")))
    run.run()
    assert json.loads((run.folder / "metrics.json").read_text())
