"""PixArt-Sigma against diffusers' pipeline of the same files."""

import pytest
import torch
from diffusers import PixArtSigmaPipeline

from its.model import captions, pixart_sigma
from its.sampler.dpmpp_2m import DPMpp2M
from its.twins.pixart_sigma import write
from tests.model.pipelines import PROMPTS, noise, trajectory

pytestmark = pytest.mark.usefixtures("text_cache")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pixart")
    write(str(folder))
    return folder


@pytest.fixture
def pipeline(folder):
    theirs = PixArtSigmaPipeline.from_pretrained(folder)
    theirs.set_progress_bar_config(disable=True)
    return theirs


def called(pipeline, latents, prompts, steps, scale):
    return pipeline(
        prompts,
        height=64,
        width=64,
        num_inference_steps=steps,
        guidance_scale=scale,
        latents=latents,
        output_type="latent",
        use_resolution_binning=False,
        clean_caption=False,
    ).images


@pytest.mark.parametrize(("scale", "steps"), [(1.0, 4), (4.5, 4), (4.5, 7)])
def test_pixart_sigma_trajectory_equals_the_pipelines_own_call(folder, pipeline, scale, steps):
    model = pixart_sigma.load(str(folder), size=64, guidance_scale=scale)
    latents = noise(2, 4, 8, 8)
    ours = trajectory(model, latents, PROMPTS[:2], steps, DPMpp2M)
    theirs = called(pipeline, latents, [*PROMPTS[:2]], steps, scale)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_pixart_sigma_refuses_to_clean_captions_without_the_packages(folder, monkeypatch):
    monkeypatch.setattr(captions, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"beautifulsoup4 and ftfy is not installed.*set model\.clean_caption=false"):
        pixart_sigma.load(str(folder), size=64, clean_caption=True)
