"""FLUX.2 klein against diffusers' pipeline of the same files."""

import json

import pytest
import torch
from diffusers import Flux2KleinPipeline

from its.model import flux2
from its.sampler.published_paths import PublishedFlow
from its.twins.flux2 import write
from tests.model.pipelines import PROMPTS, noise, trajectory

pytestmark = pytest.mark.usefixtures("text_cache")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("flux2")
    write(str(folder / "klein"))
    write(str(folder / "base"), distilled=False)
    return folder


@pytest.mark.parametrize(("kind", "steps", "scale"), [("klein", 4, 1.0), ("base", 4, 4.0), ("base", 7, 4.0)])
def test_flux2_trajectory_equals_the_pipelines_own_call(folders, kind, steps, scale):
    model = flux2.load(str(folders / kind), size=64, guidance_scale=scale, max_sequence_length=96)
    latents = noise(2, 16, 4, 4)
    ours = trajectory(model, latents, PROMPTS[:2], steps)
    pipeline = Flux2KleinPipeline.from_pretrained(folders / kind)
    pipeline.set_progress_bar_config(disable=True)
    options = {"height": 64, "width": 64, "num_inference_steps": steps, "max_sequence_length": 96}
    theirs = pipeline(
        prompt=[*PROMPTS[:2]], guidance_scale=4.0, latents=latents, output_type="latent", **options
    ).images
    torch.testing.assert_close(model.decoder._decoder.unscaled(ours), theirs, rtol=1e-4, atol=1e-4)
    image = pipeline.vae.decode(theirs).sample.clamp(-1, 1)
    torch.testing.assert_close(model.decoder(ours), image, rtol=0, atol=1e-4)
    assert model.slots == (2 if scale > 1 else 1)


def test_flux2_grid_goes_by_tokens_and_steps():
    """As diffusers' scheduler prints it at 1024 pixels in four steps."""
    grid = PublishedFlow(tokens=4096).grid(4, "checkpoint")
    assert [level.time for level in grid] == pytest.approx([1, 0.9674, 0.9081, 0.7672, 0], abs=1e-4)


def test_flux2_refuses_to_guide_a_distilled_network(folders):
    with pytest.raises(ValueError, match=r"guidance_scale is 4\.0.*klein is distilled.*set model\.guidance_scale=1"):
        flux2.load(str(folders / "klein"), size=64, guidance_scale=4.0)


def test_flux2_refuses_a_scheduler_that_draws_noise(folders, tmp_path):
    write(str(tmp_path))
    path = tmp_path / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"stochastic_sampling": True}))
    with pytest.raises(ValueError, match=r"stochastic_sampling of .* is true; here it is false"):
        flux2.load(str(tmp_path), size=64)
