"""SDXL and SDXL-Lightning against diffusers' pipeline of the same files."""

import pytest
import torch
from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline
from safetensors.torch import load_file

from its.model import sdxl
from its.twins.sdxl import write
from tests.model.pipelines import PROMPTS, noise, trajectory

pytestmark = pytest.mark.usefixtures("text_cache")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sdxl")
    write(str(folder), unet=str(folder / "lightning.safetensors"))
    return folder


@pytest.fixture
def pipeline(folder):
    theirs = StableDiffusionXLPipeline.from_pretrained(folder, add_watermarker=False)
    theirs.set_progress_bar_config(disable=True)
    return theirs


@pytest.mark.parametrize(("scale", "steps", "negative"), [(1.0, 4, None), (5.0, 4, None), (5.0, 7, "a dog")])
def test_sdxl_trajectory_equals_the_pipelines_own_call(folder, pipeline, scale, steps, negative):
    """None is an encoding of zeros, and a text is encoded."""
    model = sdxl.load(str(folder), size=64, guidance_scale=scale, negative_prompt=negative)
    latents = noise(2, 4, 8, 8)
    ours = trajectory(model, latents, PROMPTS[:2], steps)
    theirs = pipeline(
        [*PROMPTS[:2]],
        height=64,
        width=64,
        num_inference_steps=steps,
        guidance_scale=scale,
        negative_prompt=None if negative is None else [negative] * 2,
        latents=latents,
        output_type="latent",
    ).images
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    assert theirs.std() > 0.1


@pytest.mark.parametrize("spacing", ["trailing", "linspace"])
def test_sdxl_lightning_trajectory_equals_the_pipelines_own_call(folder, pipeline, spacing):
    """Another network, other times, and noise of their first level's size."""
    others = str(folder / "lightning.safetensors")
    pipeline.unet.load_state_dict(load_file(others))
    pipeline.scheduler = EulerDiscreteScheduler.from_config(pipeline.scheduler.config, timestep_spacing=spacing)
    model = sdxl.load(str(folder), size=64, guidance_scale=1, unet=others, timestep_spacing=spacing)
    latents = noise(1, 4, 8, 8)
    theirs = pipeline(
        PROMPTS[1], height=64, width=64, num_inference_steps=4, guidance_scale=0, latents=latents, output_type="latent"
    ).images
    torch.testing.assert_close(trajectory(model, latents, PROMPTS[1:2], 4), theirs, rtol=1e-4, atol=1e-4)


def test_sdxl_refuses_lightnings_network_of_one_step_by_its_name(folder):
    with pytest.raises(ValueError, match=r"model\.unet is .*predicts x0 by its name.*take a file of two"):
        sdxl.load(str(folder), size=64, unet=str(folder / "sdxl_lightning_1step_unet_x0.safetensors"))
