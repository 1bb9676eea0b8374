"""Stable Diffusion 3.5 against diffusers' pipeline of the same files: its grid, and layers that are skipped."""

import json

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, StableDiffusion3Pipeline

from its.levels import Columns
from its.model import sd35
from its.model.flow_scheduler import sd3_path
from its.twins.flux import SCHEDULER
from its.twins.sd35 import write
from tests.model.pipelines import PROMPTS, guessed, noise, trajectory

pytestmark = pytest.mark.usefixtures("text_cache")

WINDOW = {"skip_layers": [1, 2], "skip_scale": 2.8, "skip_interval": [0.92, 0.997]}
"""Of the pipeline's start of 0.01 and stop of 0.2."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("sd35") / "pipeline"
    write(str(place))
    return str(place)


def called(folder, latents, steps, **options):
    pipeline = StableDiffusion3Pipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    rows = []
    pipeline.transformer.register_forward_hook(lambda _, given, made: rows.append(len(made[0])))
    images = pipeline(
        [*PROMPTS[:2]],
        height=64,
        width=64,
        num_inference_steps=steps,
        max_sequence_length=64,
        latents=latents,
        output_type="latent",
        **options,
    ).images
    return images, sum(rows)


@pytest.mark.parametrize(
    ("steps", "scale", "negative", "skipped"),
    [
        (4, 1.0, None, 0),
        (7, 4.5, "a dog", 1),
        *(pytest.param(*each, marks=pytest.mark.long) for each in ((7, 4.5, None, 0), (4, 3.0, "a dog", 0))),
        pytest.param(11, 4.5, None, 2, marks=pytest.mark.long),
    ],
)
def test_sd35_trajectory_and_nfe_equal_the_pipelines_own_call(folder, steps, scale, negative, skipped):
    """Layers are skipped in one of seven steps and two of eleven, in a third row that counts."""
    options = {"skip_guidance_layers": [1, 2], "skip_layer_guidance_scale": 2.8} if skipped else {}
    model = sd35.load(
        folder,
        size=64,
        max_sequence_length=64,
        guidance_scale=scale,
        negative_prompt=negative,
        **(WINDOW if skipped else {}),
    )
    latents = noise(2, 4, 8, 8)
    theirs, rows = called(folder, latents, steps, guidance_scale=scale, negative_prompt=negative, **options)
    torch.testing.assert_close(trajectory(model, latents, PROMPTS[:2], steps), theirs, rtol=1e-4, atol=1e-4)
    slots = [model.slots_at(level) for level in model.path.grid(steps, "checkpoint")[:-1]]
    assert 2 * sum(slots) == rows
    assert slots.count(3) == skipped


def test_sd35_rows_in_and_out_of_the_window_share_a_batch(folder):
    """Six network rows: a row that skips layers, one that is guided, and one that has no place left."""
    model = sd35.load(folder, size=64, max_sequence_length=64, **WINDOW)
    rows = []
    model.module.register_forward_hook(lambda _, given, made: rows.append(len(made)))
    levels = [model.path.level(time) for time in (0.95, 0.5, 0.95, 0.5, 0.5)]
    x = noise(5, *model.shape)
    together = model(x, Columns.of(levels, 4, "cpu"), [PROMPTS[0]] * 5)
    assert rows == [5]
    for k in range(2):
        alone = guessed(model, x[k : k + 1], levels[k : k + 1], PROMPTS[:1])
        torch.testing.assert_close(together.x0[k], alone.x0[0], rtol=1e-5, atol=1e-5)
    plain = sd35.load(folder, size=64, max_sequence_length=64)
    guided = guessed(plain, x[:2], levels[:2], [PROMPTS[0]] * 2)
    torch.testing.assert_close(together.x0[1], guided.x0[1], rtol=1e-5, atol=1e-5)
    assert (together.x0[0] - guided.x0[0]).abs().max() > 1e-2


@pytest.mark.parametrize("entries", [{}, {"use_dynamic_shifting": True}, {"shift": 1.0}], ids=str)
@pytest.mark.parametrize("steps", [1, 4, 28])
def test_sd3_path_has_the_times_of_its_scheduler(tmp_path, entries, steps):
    config = {**SCHEDULER, "use_dynamic_shifting": False} | entries
    (tmp_path / "scheduler_config.json").write_text(json.dumps(config))
    scheduler = FlowMatchEulerDiscreteScheduler.from_config(config)
    moved = {"mu": 1.15} if config["use_dynamic_shifting"] else {}
    scheduler.set_timesteps(steps, **moved)
    grid = sd3_path(tmp_path / "scheduler_config.json", 4096).grid(steps, "checkpoint")
    torch.testing.assert_close(torch.tensor([level.sigma for level in grid]), scheduler.sigmas, rtol=1e-5, atol=1e-6)


def test_sd35_shift_acts_twice_at_the_low_end(folder):
    times = [level.time for level in sd35.load(folder, size=64).path.grid(28, "checkpoint")]
    assert times[-3:] == pytest.approx([0.1109, 0.00893, 0.0], abs=5e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"skip_interval": [0.9, 0.99]}, r"model\.skip_layers is \[7, 8, 9\]; .* from 0 to 2"),
        ({**WINDOW, "skip_layers": []}, r"model\.skip_layers is \[\]"),
        ({**WINDOW, "skip_layers": [1, 1]}, r"model\.skip_layers is \[1, 1\]"),
        ({**WINDOW, "guidance_scale": 1.0}, r"model\.skip_interval is .* model\.guidance_scale is 1"),
        ({**WINDOW, "skip_interval": [0.9, 0.2]}, r"model\.skip_interval is .* two ascending numbers"),
        ({"guidance_scale": 0.0}, r"model\.guidance_scale is 0\.0; here 1 is no guidance"),
        ({"size": 2048}, r"model\.size is 2048, .* 64 tokens along a side of 128; set model\.size=1024"),
        ({"max_sequence_length": 513}, r"model\.max_sequence_length is 513; it is from 1 to 512"),
    ],
)
def test_sd35_refuses_options_by_name(folder, options, message):
    with pytest.raises(ValueError, match=message):
        sd35.load(folder, **{"size": 64, **options})
