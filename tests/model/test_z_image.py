"""Z-Image against diffusers' pipeline of the same files."""

import pytest
import torch
from diffusers import ZImagePipeline

from its.model import z_image
from its.twins.z_image import write
from tests.model.pipelines import PROMPTS, noise, trajectory

pytestmark = pytest.mark.usefixtures("text_cache")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("z_image") / "pipeline"
    write(str(place))
    return str(place)


@pytest.mark.parametrize(
    ("steps", "g", "normalization", "truncation"),
    [
        (4, 0.0, False, 1.0),
        (5, 2.5, 0.8, 0.15),
        *(pytest.param(*each, marks=pytest.mark.long) for each in ((7, 0.0, False, 1.0), (4, 4.0, False, 1.0))),
        *(pytest.param(*each, marks=pytest.mark.long) for each in ((7, 4.0, 1.0, 1.0), (7, 4.0, False, 0.4))),
    ],
)
def test_z_image_trajectory_and_nfe_equal_the_pipelines_own_call(folder, steps, g, normalization, truncation):
    """Prompts of two lengths; a step whose guidance is cut off runs one row of each."""
    interval = [1 - truncation, 1.0] if truncation < 1 else None
    model = z_image.load(
        folder,
        size=64,
        max_sequence_length=128,
        guidance_scale=1 + g,
        norm_limit=normalization or None,
        guidance_interval=interval,
    )
    pipeline = ZImagePipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    latents, rows = noise(2, 4, 8, 8), []
    pipeline.transformer.register_forward_hook(lambda _, given, made: rows.append(len(made[0])))
    theirs = pipeline(
        [*PROMPTS[:2]],
        height=64,
        width=64,
        num_inference_steps=steps,
        guidance_scale=g,
        cfg_normalization=normalization,
        cfg_truncation=truncation,
        latents=latents,
        max_sequence_length=128,
        output_type="latent",
    ).images
    torch.testing.assert_close(trajectory(model, latents, PROMPTS[:2], steps), theirs, rtol=1e-4, atol=1e-4)
    slots = [model.slots_at(level) for level in model.path.grid(steps, "checkpoint")[:-1]]
    assert 2 * sum(slots) == sum(rows)
    assert set(slots) == ({1, 2} if interval else {model.slots})


def test_z_image_turbo_has_a_static_shift(tmp_path):
    write(str(tmp_path), shift=3.0)
    path = z_image.load(str(tmp_path), size=64, guidance_scale=1.0).path
    assert [level.time for level in path.grid(4, "checkpoint")] == pytest.approx([1.0, 0.9, 0.75, 0.5, 0.0])


def test_z_image_norm_limit_leaves_what_is_below_it():
    conditional, guided = noise(2, 4, 8, 8), noise(2, 4, 8, 8, seed=1)
    guided[1] *= 3
    made = z_image.clamp_to(1.5)(guided, conditional)
    torch.testing.assert_close(made[0], guided[0])
    torch.testing.assert_close(made[1].norm(), 1.5 * conditional[1].norm())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"guidance_scale": 0.0}, r"model\.guidance_scale is 0\.0; here 1 is no guidance"),
        ({"norm_limit": 0.0}, r"model\.norm_limit is 0\.0; it is above 0"),
        ({"max_sequence_length": 1536}, r"model\.max_sequence_length is 1536; it is from 1 to 1504"),
        ({"size": 2048}, r"model\.size makes 128 tokens along a side, and by axes_lens .* there are 64"),
        ({"attention": "nonsense"}, r"model\.attention is 'nonsense'"),
    ],
)
def test_z_image_refuses_options_by_name(folder, options, message):
    with pytest.raises(ValueError, match=message):
        z_image.load(folder, **{"size": 64, **options})
