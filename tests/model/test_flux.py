"""FLUX.1 against diffusers' pipeline of the same files."""

import math

import pytest
import torch
from diffusers import FluxPipeline

from its.model import flux
from its.model.flux_parts import packed, unpacked
from its.twins.flux import write
from tests.model.pipelines import PROMPTS, noise, trajectory

pytestmark = pytest.mark.usefixtures("text_cache")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("flux")
    for name, guidance in (("dev", 3.5), ("schnell", None)):
        write(str(folder / name), distilled_guidance=guidance)
    return folder


def called(folder, latents, prompts, steps, **options):
    pipeline = FluxPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline(
        prompts,
        height=128,
        width=128,
        num_inference_steps=steps,
        max_sequence_length=64,
        latents=FluxPipeline._pack_latents(latents, *latents.shape),
        output_type="latent",
        **options,
    ).images


@pytest.mark.parametrize(
    ("kind", "steps", "guidance", "scale"),
    [("dev", 4, 3.5, 1.0), ("dev", 7, 2.0, 4.0), ("schnell", 4, None, 1.0), ("schnell", 2, None, 3.0)],
)
def test_flux_trajectory_equals_the_pipelines_own_call(folders, kind, steps, guidance, scale):
    """Guidance that is distilled costs one evaluation, and true guidance, away from another prompt, two."""
    options = {} if guidance is None else {"guidance_scale": guidance}
    if scale > 1:
        options |= {"true_cfg_scale": scale, "negative_prompt": ["a dog"] * 2}
    model = flux.load(
        str(folders / kind),
        size=128,
        distilled_guidance=guidance,
        guidance_scale=scale,
        negative_prompt="a dog",
        max_sequence_length=64,
    )
    latents = noise(2, 4, 16, 16)
    ours = trajectory(model, latents, PROMPTS[:2], steps)
    theirs = called(folders / kind, latents, [*PROMPTS[:2]], steps, **options)
    torch.testing.assert_close(packed(ours), theirs, rtol=1e-4, atol=1e-4)
    assert model.slots == (2 if scale > 1 else 1)


def test_flux_grid_is_shifted_by_the_tokens_of_an_image(folders):
    dev = flux.load(str(folders / "dev"), size=512).path
    assert dev.shift == pytest.approx(math.exp(0.63), rel=1e-2)
    assert flux.load(str(folders / "dev"), size=1024).path.shift == pytest.approx(math.exp(1.15))
    schnell = flux.load(str(folders / "schnell"), size=128, distilled_guidance=None).path
    assert [level.time for level in schnell.grid(4, "checkpoint")] == [1.0, 0.75, 0.5, 0.25, 0.0]


def test_packed_latents_are_unpacked_again():
    latents = noise(2, 4, 6, 8)
    assert torch.equal(unpacked(packed(latents), 6, 8), latents)
    assert torch.equal(packed(latents), FluxPipeline._pack_latents(latents, 2, 4, 6, 8))


@pytest.mark.parametrize(
    ("kind", "guidance", "message"),
    [("dev", None, "set model.distilled_guidance=3.5"), ("schnell", 3.5, "set model.distilled_guidance=null")],
)
def test_flux_refuses_guidance_that_is_not_the_networks(folders, kind, guidance, message):
    with pytest.raises(ValueError, match=message):
        flux.load(str(folders / kind), size=128, distilled_guidance=guidance)
