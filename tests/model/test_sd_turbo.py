"""SD-Turbo against diffusers' pipeline of the same files."""

import json

import pytest
import torch
from diffusers import StableDiffusionPipeline

from its.model import sd15
from its.twins.sd_turbo import write
from tests.model.pipelines import PROMPTS, noise, trajectory

pytestmark = pytest.mark.usefixtures("text_cache")


@pytest.fixture
def folder(tmp_path):
    write(str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("steps", "scale", "prediction"), [(1, 1.0, "epsilon"), (4, 1.0, "epsilon"), (2, 3.0, "v_prediction")]
)
def test_sd_turbo_trajectory_equals_the_pipelines_own_call(folder, steps, scale, prediction):
    """Euler's trailing times; what the network predicts stands in the file, as of Stable Diffusion 2.1."""
    file = folder / "scheduler" / "scheduler_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"prediction_type": prediction}))
    pipeline = StableDiffusionPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    latents = noise(2, 4, 8, 8)
    theirs = pipeline([*PROMPTS[:2]], 64, 64, steps, guidance_scale=scale, latents=latents, output_type="latent").images
    model = sd15.load(str(folder), size=64, guidance_scale=scale)
    ours = trajectory(model, latents, PROMPTS[:2], steps)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
