"""Qwen-Image against diffusers' pipeline of the same files."""

import json

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, QwenImagePipeline

from its.model import qwen_image
from its.model.flow_scheduler import qwen_path
from its.model.flux_parts import packed
from its.twins.flux import SCHEDULER
from its.twins.qwen_image import write
from tests.model.pipelines import PROMPTS, noise, trajectory

pytestmark = pytest.mark.usefixtures("text_cache")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("qwen") / "pipeline"
    write(str(place))
    return str(place)


@pytest.fixture(scope="module")
def pipeline(folder):
    made = QwenImagePipeline.from_pretrained(folder)
    made.set_progress_bar_config(disable=True)
    return made


@pytest.mark.parametrize(
    ("steps", "scale", "negative"),
    [
        (4, 4.0, " "),
        (7, 1.0, " "),
        *(pytest.param(*each, marks=pytest.mark.long) for each in ((7, 2.5, "a dog"), (4, 1.0, None))),
    ],
)
def test_qwen_image_trajectory_and_nfe_equal_the_pipelines_own_call(folder, pipeline, steps, scale, negative):
    """Prompts of two lengths, which the pipeline fills up to the longer and ours to 128."""
    model = qwen_image.load(folder, size=64, max_sequence_length=128, guidance_scale=scale, negative_prompt=negative)
    latents, rows = noise(2, 4, 8, 8), []
    hook = pipeline.transformer.register_forward_hook(lambda _, given, made: rows.append(len(made[0])))
    theirs = pipeline(
        [*PROMPTS[:2]],
        negative_prompt=negative and [negative] * 2,
        true_cfg_scale=scale,
        height=64,
        width=64,
        num_inference_steps=steps,
        latents=packed(latents),
        output_type="latent",
    ).images
    hook.remove()
    ours = trajectory(model, latents, PROMPTS[:2], steps)
    torch.testing.assert_close(packed(ours), theirs, rtol=1e-4, atol=1e-4)
    assert 2 * steps * model.slots == sum(rows)


def test_qwen_image_cuts_prompts_as_the_pipeline_does(folder, pipeline):
    model = qwen_image.load(folder, size=64, max_sequence_length=16, guidance_scale=1.0)
    latents = noise(1, 4, 8, 8)
    theirs = pipeline(
        PROMPTS[1],
        height=64,
        width=64,
        num_inference_steps=2,
        max_sequence_length=16,
        latents=packed(latents),
        output_type="latent",
    ).images
    torch.testing.assert_close(packed(trajectory(model, latents, PROMPTS[1:2], 2)), theirs, rtol=1e-4, atol=1e-4)


def test_qwen_image_drops_the_template_before_a_prompt(folder, pipeline):
    """The twin's template has the 34 tokens of the published one: what is left is the prompt and the template's end."""
    states, _ = pipeline.encode_prompt("ab")
    assert states.shape[1] == len("ab") + 2 + 1 + len("assistant") + 1


@pytest.mark.parametrize("terminal", [0.02, None])
@pytest.mark.parametrize("steps", [2, 5, 50])
def test_qwen_path_has_the_times_of_its_scheduler(tmp_path, terminal, steps):
    config = {**SCHEDULER, "max_image_seq_len": 8192, "max_shift": 0.9, "shift_terminal": terminal}
    (tmp_path / "scheduler_config.json").write_text(json.dumps(config))
    scheduler = FlowMatchEulerDiscreteScheduler.from_config(config)
    mu = 0.5 + (4096 - 256) * 0.4 / (8192 - 256)
    scheduler.set_timesteps(sigmas=torch.linspace(1, 1 / steps, steps).tolist(), mu=mu)
    grid = qwen_path(tmp_path / "scheduler_config.json", 4096).grid(steps, "checkpoint")
    torch.testing.assert_close(torch.tensor([level.sigma for level in grid]), scheduler.sigmas, rtol=1e-5, atol=1e-6)


def test_qwen_path_refuses_a_single_step_that_would_begin_at_two_times(folder):
    with pytest.raises(ValueError, match=r"by shift_terminal of this checkpoint the last step begins at 0\.02"):
        qwen_image.load(folder, size=64).path.grid(1, "checkpoint")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"negative_prompt": None}, r"model\.negative_prompt is null and model\.guidance_scale 4\.0"),
        ({"guidance_scale": 0.5}, r"model\.guidance_scale is 0\.5; here 1 is no guidance"),
        ({"max_sequence_length": 1025}, r"model\.max_sequence_length is 1025; it is from 1 to 1024"),
        ({"size": 72}, r"model\.size is 72; .* multiple of 16"),
    ],
)
def test_qwen_image_refuses_options_by_name(folder, options, message):
    with pytest.raises(ValueError, match=message):
        qwen_image.load(folder, **{"size": 64, **options})
