"""What a pipeline's files may say, and what is refused by name before any network is run."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from its.model import flux, qwen_image, sd15, sd35, sdxl, z_image
from its.model.pipeline import Pipeline
from its.twins.flux import write as write_flux
from its.twins.qwen_image import write as write_qwen
from its.twins.sd15 import write
from its.twins.sd35 import write as write_sd35
from its.twins.sdxl import write as write_sdxl
from its.twins.z_image import write as write_z_image
from tests.build import blueprint_of
from tests.model.wishes import WORDS

pytestmark = pytest.mark.usefixtures("text_cache")

LOADERS = {"sd15": (sd15.load, write), "sdxl": (sdxl.load, write_sdxl)}
LOADERS["flux"] = (flux.load, lambda folder: write_flux(folder, distilled_guidance=3.5))
LOADERS |= {"sd35": (sd35.load, write_sd35), "qwen_image": (qwen_image.load, write_qwen)}
LOADERS["z_image"] = (z_image.load, write_z_image)


@pytest.fixture(scope="module")
def twins(tmp_path_factory):
    folder = tmp_path_factory.mktemp("twins")
    for name, (_, made) in LOADERS.items():
        made(str(folder / name))
    return folder


@pytest.fixture
def changed(twins, tmp_path):
    """Copy a twin, and change entries of one of its files; None takes one out."""

    def change(family: str, file: str, entries: dict) -> Path:
        folder = shutil.copytree(twins / family, tmp_path / family, dirs_exist_ok=True)
        content = json.loads((folder / file).read_text()) | entries
        (folder / file).write_text(json.dumps({key: value for key, value in content.items() if value is not None}))
        return folder

    return change


INDEX, STEPS, NETWORK, VAE = "model_index.json", "scheduler/scheduler_config.json", "{}/config.json", "vae/config.json"
UNET = NETWORK.format("unet")


@pytest.mark.parametrize(
    ("family", "file", "entries", "message"),
    [
        ("sd15", INDEX, {"_class_name": "StableDiffusion3Pipeline"}, "_class_name of .* here it is StableDiffusionPip"),
        ("sd15", INDEX, {"controlnet": ["diffusers", "ControlNetModel"]}, "controlnet of .* this entry is not known"),
        ("sd15", INDEX, {"text_encoder": ["its", "Other"]}, "text_encoder of .* here it is CLIPTextModel"),
        ("sd15", INDEX, {"unet": None}, "has no unet, and it is not guessed"),
        (
            "sd15",
            STEPS,
            {"_class_name": "LCMScheduler"},
            "scheduler of .* is of LCMScheduler: write the right class in both",
        ),
        ("sd15", STEPS, {"clip_sample": True}, "clip_sample of .* is true; here it is false"),
        ("sd15", STEPS, {"steps_offset": 0}, 'steps_offset of .* is 0, .*write "steps_offset": 1'),
        ("sd15", STEPS, {"beta_start": None}, "has no beta_start, and it is not guessed"),
        ("sdxl", STEPS, {"use_karras_sigmas": True}, "use_karras_sigmas of .* is true; here it is"),
        ("sdxl", STEPS, {"interpolation_type": "log_linear"}, "interpolation_type of .* here it is"),
        ("sdxl", STEPS, {"timestep_type": "continuous"}, "timestep_type of .* here it is"),
        ("sd15", UNET, {"time_cond_proj_dim": 8}, "time_cond_proj_dim of .* is 8; here it is null"),
        ("sd15", UNET, {"new_entry": 1}, "new_entry of .* this entry is not known here"),
        (
            "sd15",
            UNET,
            {"block_out_channels": [8, 32]},
            "does not fit UNet2DConditionModel: .*tensors disagree",
        ),
        ("sd15", VAE, {"latents_mean": [0.0]}, "latents_mean of .* here it is null"),
        ("flux", STEPS, {"use_dynamic_shifting": None}, "has no use_dynamic_shifting, and it is not guessed"),
        ("flux", STEPS, {"max_shift": None}, "has no max_shift, and it is not guessed"),
        ("flux", STEPS, {"shift_terminal": 0.1}, r"shift_terminal of .* is 0\.1; here it is null"),
        ("flux", STEPS, {"time_shift_type": "linear"}, "time_shift_type of .* here it is"),
        ("flux", STEPS, {"max_image_seq_len": 100}, "max_image_seq_len of .* is 100; it is above base_image_seq_len"),
    ],
)
def test_pipeline_refuses_entries_by_name(changed, family, file, entries, message):
    with pytest.raises(ValueError, match=message):
        LOADERS[family][0](str(changed(family, file, entries)), size=64)


@pytest.mark.parametrize(
    ("name", "entries", "message"),
    [
        ("LCMScheduler", {}, "_class_name of .*choose a pipeline with one of DDIM"),
        ("DPMSolverMultistepScheduler", {"solver_order": 3}, "solver_order of .* is 3; here it is 2"),
        ("DPMSolverMultistepScheduler", {"final_sigmas_type": "sigma_min"}, "final_sigmas_type of .* here it is"),
        ("PNDMScheduler", {"set_alpha_to_one": None}, "has no set_alpha_to_one, and it is not guessed"),
    ],
)
def test_pipeline_refuses_schedulers_by_name(changed, name, entries, message):
    folder = changed("sd15", INDEX, {"scheduler": ["diffusers", name]})
    content = json.loads((folder / STEPS).read_text()) | {"_class_name": name} | entries
    (folder / STEPS).write_text(json.dumps({key: value for key, value in content.items() if value is not None}))
    with pytest.raises(ValueError, match=message):
        sd15.load(str(folder), size=64)


def test_pipeline_refuses_times_that_its_scheduler_steps_past(changed):
    """diffusers' DDIM goes from 999 by 333, and trailing times are 999, 666, 332."""
    model = sd15.load(str(changed("sd15", STEPS, {"timestep_spacing": "trailing"})), size=64)
    assert [level.time for level in model.path.grid(4, "checkpoint")] == [999.0, 749.0, 499.0, 249.0, -1.0]
    with pytest.raises(ValueError, match=r"whose 3 times are not 333 apart.*or sampler\.spacing=trailing"):
        model.path.grid(3, "checkpoint")


def test_pipeline_names_a_class_that_the_installed_diffusers_lacks(changed):
    index = {"_class_name": "StableDiffusion9Pipeline", "unet": ["diffusers", "UNet9Model"]}
    folder = changed("sd15", INDEX, index)
    (folder / UNET).write_text(json.dumps({"_class_name": "UNet9Model"}))
    family = replace(sd15.FAMILY, pipeline="StableDiffusion9Pipeline", network=("unet", "UNet9Model"))
    with pytest.raises(ValueError, match=r"needs diffusers' UNet9Model, which the installed .* has not"):
        Pipeline.of(str(folder), family).network(None, "float32", None)


def test_pipeline_refuses_a_shift_that_its_pipeline_never_reads(changed):
    with pytest.raises(ValueError, match=r"shift_factor of .* is 0\.1; StableDiffusionPipeline reads none"):
        sd15.load(str(changed("sd15", VAE, {"shift_factor": 0.1})), size=64)
    with pytest.raises(ValueError, match=r"shift_factor of .* is null; FluxPipeline adds one"):
        flux.load(str(changed("flux", VAE, {"shift_factor": None})), size=64)


def test_pipeline_refuses_tensors_of_encoders_that_do_not_fit(changed):
    folder = changed("sd15", INDEX, {})
    file = folder / "text_encoder" / "model.safetensors"
    state = load_file(file)
    state.pop(next(name for name in state if name.endswith("final_layer_norm.weight")))
    save_file(state, file, metadata={"format": "pt"})
    model = sd15.load(str(folder), size=64)
    with pytest.raises(ValueError, match=r"text_encoder does not fit CLIPTextModel: 1 missing \(.*final_layer_norm"):
        model.prepare(["a cat"])


def test_pipeline_refuses_a_tokenizer_without_its_files(changed):
    folder = changed("sd15", INDEX, {})
    (folder / "tokenizer" / "tokenizer.json").unlink()
    model = sd15.load(str(folder), size=64)
    with pytest.raises(ValueError, match=r"tokenizer has no tokenizer\.json, or vocab\.json and merges\.txt"):
        model.prepare(["a cat"])


def test_pipeline_takes_networks_alone_that_are_in_half_precision(changed):
    folder = changed("sd15", INDEX, {})
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    save_file({name: value.half() for name, value in load_file(file).items()}, file, metadata={"format": "pt"})
    assert next(sd15.load(str(folder), size=64).module.parameters()).dtype is torch.float32


def test_plan_knows_where_layers_are_skipped(twins, tmp_path):
    """Of eleven steps the second and the third, at 0.96 and 0.92, take a third row."""
    words = [word for word in WORDS if word != "smoke=true"]
    places = ("model=sd35", f"model.weights={twins / 'sd35'}", "sampler=euler", "sampler.spacing=checkpoint")
    options = ("search=none", "budget=natural", "images=1", "model.skip_layers=[1]", "sampler.steps=11")

    def planned(*window):
        return blueprint_of(tmp_path, *words, *places, *options, *window, planning=True)

    blueprint = planned("model.skip_interval=[0.92,0.997]")
    assert (blueprint.work.nfe, blueprint.bound) == (2 * 11 + 2, "")
    with pytest.raises(ValueError, match=r"model\.skip_interval is \[0\.98, 0\.99\], and this sampling has no guided"):
        assert planned("model.skip_interval=[0.98,0.99]").work
    with pytest.raises(ValueError, match=r"model\.skip_interval is .* model\.guidance_scale is 1"):
        assert planned("model.skip_interval=[0.92,0.997]", "model.guidance_scale=1").work


@pytest.mark.parametrize(
    ("model", "family", "steps", "interval", "nfe"),
    [
        ("sd15", "sd15", 4, "[400,600]", 4 + 1),  # 751, 501, 251, 1
        ("sdxl", "sdxl", 4, "[0,300]", 4 + 2),
        ("flux_dev", "flux", 4, "[0.8,1]", 4 + 2),  # 1, 0.83, 0.61, 0.34; without the shift 1, 0.75, ...
        ("sd35", "sd35", 4, "[0.005,0.7]", 4 + 2),  # 1, 0.86, 0.6, 0.009; with FLUX's times 1, 0.9, 0.75, 0.5
        ("qwen_image", "qwen_image", 4, "[0.02,0.5]", 4 + 2),  # 1, 0.74, 0.42, 0.02
        ("z_image", "z_image", 4, "[0.9,0.95]", 4 + 1),  # 1, 0.947, 0.857, 0.667
    ],
)
def test_plan_knows_the_times_of_a_pipeline_that_is_here(twins, tmp_path, model, family, steps, interval, nfe):
    scale = "4" if model == "flux_dev" else "5"
    words = [word for word in WORDS if word != "smoke=true"]
    places = (f"model={model}", f"model.weights={twins / family}", "sampler=euler", "sampler.spacing=checkpoint")
    blueprint = blueprint_of(
        tmp_path,
        *words,
        *places,
        f"sampler.steps={steps}",
        f"model.guidance_scale={scale}",
        f"model.guidance_interval={interval}",
        "search=none",
        "budget=natural",
        "images=1",
        planning=True,
    )
    assert blueprint.work.nfe == nfe
