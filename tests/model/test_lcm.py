"""Latent consistency models against diffusers' pipeline of the same files."""

import json

import pytest
import torch
from diffusers import LatentConsistencyModelPipeline
from diffusers.schedulers import scheduling_lcm

from its.model import lcm
from its.sampler.consistency import Consistency
from its.twins.lcm import write
from tests.model.pipelines import PROMPTS, noise, trajectory

pytestmark = pytest.mark.usefixtures("text_cache")


@pytest.fixture
def folder(tmp_path):
    write(str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("steps", "guidance", "entries"),
    [
        (1, 8.5, {}),
        (4, 8.5, {"timestep_scaling": 0.001}),
        (7, 1.0, {"original_inference_steps": 40, "prediction_type": "v_prediction"}),
    ],
)
def test_lcm_trajectory_equals_the_pipelines_own_call(folder, monkeypatch, steps, guidance, entries):
    """The pipeline draws n - 1 times; at a scaling of 0.001 the boundary condition keeps much of x_t itself."""
    file = folder / "scheduler" / "scheduler_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | entries))
    noises = [noise(2, 4, 8, 8, seed=k) for k in range(1, steps)]
    left = list(noises)
    monkeypatch.setattr(scheduling_lcm, "randn_tensor", lambda *_, **__: left.pop(0))
    pipeline = LatentConsistencyModelPipeline.from_pretrained(folder, safety_checker=None, feature_extractor=None)
    pipeline.set_progress_bar_config(disable=True)
    latents = noise(2, 4, 8, 8)
    theirs = pipeline(
        [*PROMPTS[:2]], 64, 64, steps, guidance_scale=guidance, latents=latents, output_type="latent"
    ).images
    assert not left
    model = lcm.load(str(folder), size=64, distilled_guidance=guidance)
    ours = trajectory(model, latents, PROMPTS[:2], steps, Consistency, noises)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    assert model.slots == 1
