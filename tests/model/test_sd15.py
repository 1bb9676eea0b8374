"""Stable Diffusion 1.5 against diffusers' pipeline of the same files."""

import json

import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline

from its.model import sd15
from its.twins.sd15 import write
from tests.model.pipelines import PROMPTS, noise, trajectory
from tests.model.references import compare

pytestmark = pytest.mark.usefixtures("text_cache")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sd15")
    write(str(folder))
    return folder


@pytest.fixture(scope="module")
def pipeline(folder):
    theirs = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None, feature_extractor=None)
    theirs.set_progress_bar_config(disable=True)
    theirs.scheduler = DDIMScheduler.from_config(theirs.scheduler.config)
    return theirs


@pytest.mark.parametrize(("scale", "steps"), [(1.0, 4), (7.5, 4), (7.5, 7)])
def test_sd15_trajectory_equals_the_pipelines_own_call(folder, pipeline, scale, steps):
    model = sd15.load(str(folder), size=64, guidance_scale=scale)
    latents = noise(2, 4, 8, 8)
    ours = trajectory(model, latents, PROMPTS[:2], steps)
    theirs = pipeline([*PROMPTS[:2]], 64, 64, steps, guidance_scale=scale, latents=latents, output_type="latent").images
    assert theirs.abs().max() > 1
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    image = pipeline.vae.decode(theirs / pipeline.vae.config.scaling_factor).sample.clamp(-1, 1)
    torch.testing.assert_close(model.decoder(ours), image, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "entries"),
    [
        ("DDIMScheduler", {"timestep_spacing": "trailing", "rescale_betas_zero_snr": True, "set_alpha_to_one": True}),
        ("EulerDiscreteScheduler", {"timestep_spacing": "linspace"}),
        ("DPMSolverMultistepScheduler", {"timestep_spacing": "trailing"}),
    ],
)
def test_sd15_follows_other_schedulers_and_a_network_that_predicts_v(tmp_path, name, entries):
    write(str(tmp_path))
    steps, index = tmp_path / "scheduler" / "scheduler_config.json", tmp_path / "model_index.json"
    stated = {"_class_name": name, "prediction_type": "v_prediction", **entries}
    steps.write_text(json.dumps(json.loads(steps.read_text()) | stated))
    index.write_text(json.dumps(json.loads(index.read_text()) | {"scheduler": ["diffusers", name]}))
    compare("sd15", tmp_path, sd15.load(str(tmp_path), size=32), PROMPTS[:2], steps=4)
