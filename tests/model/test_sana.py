"""SANA and SANA-Sprint against diffusers' pipelines of the same files."""

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, SanaPipeline, SanaSprintPipeline
from diffusers.schedulers import scheduling_scm

from its.model import sana, sana_sprint
from its.sampler.consistency import Consistency
from its.sampler.dpmpp_2m import DPMpp2M
from its.sampler.euler import Euler
from its.twins.sana import write
from tests.model.pipelines import PROMPTS, noise, trajectory

pytestmark = pytest.mark.usefixtures("text_cache")

PLAIN = {"height": 128, "width": 128, "output_type": "latent", "use_resolution_binning": False}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sana")
    for name, sprint in (("sana", False), ("sprint", True)):
        write(str(folder / name), sprint=sprint)
    return folder


def opened(kind, folder):
    pipeline = kind.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.mark.parametrize(
    ("scheduler", "scale", "steps", "instructed"),
    [("solver", 1.0, 4, True), ("solver", 4.5, 7, True), ("euler", 4.5, 4, True), ("euler", 3.0, 2, False)],
)
def test_sana_trajectory_equals_the_pipelines_own_call(tmp_path, folders, scheduler, scale, steps, instructed):
    """By either scheduler; the negative prompt is given no instruction, and a prompt that is the same is."""
    folder, sampler = folders / "sana", DPMpp2M
    pipeline = opened(SanaPipeline, folder)
    if scheduler == "euler":
        pipeline.scheduler, sampler = FlowMatchEulerDiscreteScheduler(shift=3.0), Euler
        pipeline.save_pretrained(tmp_path)
        folder = tmp_path
    model = sana.load(
        str(folder),
        size=128,
        guidance_scale=scale,
        negative_prompt="a dog ",
        complex_human_instruction=instructed,
        max_sequence_length=64,
    )
    latents, prompts = noise(2, 4, 4, 4), [PROMPTS[0], "a DOG "]
    ours = trajectory(model, latents, prompts, steps, sampler)
    theirs = pipeline(
        prompts,
        negative_prompt="a dog ",
        num_inference_steps=steps,
        guidance_scale=scale,
        max_sequence_length=64,
        latents=latents,
        **({} if instructed else {"complex_human_instruction": None}),
        **PLAIN,
    ).images
    assert theirs.abs().max() > 1
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    image = pipeline.vae.decode(theirs / pipeline.vae.config.scaling_factor).sample.clamp(-1, 1)
    torch.testing.assert_close(model.decoder(ours), image, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("steps", "guidance"), [(1, 4.5), (2, 4.5), (4, 2.0)])
def test_sana_sprint_trajectory_equals_the_pipelines_own_call(folders, monkeypatch, steps, guidance):
    """The pipeline draws n times, and the last draw is multiplied by 0."""
    noises = [noise(2, 4, 4, 4, seed=k) for k in range(1, steps + 1)]
    left = list(noises)
    monkeypatch.setattr(scheduling_scm, "randn_tensor", lambda *_, **__: left.pop(0))
    pipeline = opened(SanaSprintPipeline, folders / "sprint")
    latents = noise(2, 4, 4, 4)
    theirs = pipeline(
        [*PROMPTS[:2]],
        num_inference_steps=steps,
        intermediate_timesteps=1.3 if steps == 2 else None,
        guidance_scale=guidance,
        max_sequence_length=64,
        latents=latents,
        **PLAIN,
    ).images
    assert not left
    model = sana_sprint.load(str(folders / "sprint"), size=128, distilled_guidance=guidance, max_sequence_length=64)
    ours = trajectory(model, latents, PROMPTS[:2], steps, Consistency, noises[:-1])
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    assert model.slots == 1
