"""PixArt-Sigma against diffusers' pipeline of the same files."""

import pytest
import torch
from diffusers import PixArtSigmaPipeline

from its.model import captions, pixart_sigma
from its.sampler.dpmpp_2m import DPMpp2M
from its.twins.pixart_sigma import write
from tests.model.pipelines import PROMPTS, noise, trajectory

MESSY = (
    "<b>A Red Cube</b> on https://example.com/a.png, by @someone",
    "IMG_1234.jpg A cafÃ© &amp; a <person> #42, 1920x1080",
)

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


@pytest.mark.parametrize("clean", [True, False])
def test_pixart_sigma_cleans_captions_as_the_pipeline_does(folder, pipeline, clean):
    """Markup, capitals, addresses and broken letters; both states differ from each other."""
    model = pixart_sigma.load(str(folder), size=64, clean_caption=clean)
    model.prepare(MESSY)
    other = pixart_sigma.load(str(folder), size=64, clean_caption=not clean)
    for prompt in MESSY:
        states, mask, _, _ = pipeline.encode_prompt(prompt, False, clean_caption=clean, max_sequence_length=300)
        ours = model._texts(prompt)
        torch.testing.assert_close(ours["states"], states[0], rtol=0, atol=1e-5)
        assert torch.equal(ours["mask"], mask[0])
        assert not torch.equal(other._texts(prompt)["mask"], mask[0])
