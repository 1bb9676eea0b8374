"""Stable Diffusion's VAE as a decoder, against diffusers' own decoding."""

import json

import pytest
import torch
from diffusers import AutoencoderKL

from its.model import dit
from its.model.vae import decoder
from its.twins.dit import write_vae
from tests.model.latents import SIZES, files, wave

PUBLISHED = {  # config.json of stabilityai/sd-vae-ft-mse, without what says nothing of the network
    "block_out_channels": [128, 256, 512, 512],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "layers_per_block": 2,
    "norm_num_groups": 32,
    "sample_size": 256,
}


@pytest.fixture
def folder(tmp_path) -> str:
    write_vae(str(tmp_path / "vae"))
    return str(tmp_path / "vae")


def configure(folder: str, **entries) -> None:
    path = f"{folder}/config.json"
    with open(path) as file:
        config = json.load(file) | entries
    with open(path, "w") as file:
        json.dump({key: value for key, value in config.items() if value != "absent"}, file)


@pytest.mark.parametrize(
    ("entries", "factor"),
    [({}, 0.18215), ({"scaling_factor": "absent", "force_upcast": "absent"}, 0.18215), ({"scaling_factor": 2.0}, 2.0)],
)
def test_decoder_divides_by_the_scaling_factor_of_its_file(folder, entries, factor):
    configure(folder, **entries)
    made = decoder(folder, 4)
    latents = 0.3 * wave(2, 4, 4, 4)
    with torch.inference_mode():
        expected = AutoencoderKL.from_pretrained(folder).eval().decode(latents / factor).sample
        images = made(latents)
    assert made.shape == (3, 32, 32) == tuple(images.shape[1:])
    assert images.dtype == torch.float32
    torch.testing.assert_close(images, expected.clamp(-1, 1))


def test_decoder_adds_a_shift_where_its_file_says_so(folder):
    configure(folder, shift_factor=0.5)
    latents = 0.1 * wave(1, 4, 2, 2)
    with torch.inference_mode():
        expected = AutoencoderKL.from_pretrained(folder).eval().decode(latents / 0.18215 + 0.5).sample
        torch.testing.assert_close(decoder(folder, 2)(latents), expected.clamp(-1, 1))


def test_decoder_lets_gradients_pass_and_keeps_none_of_its_weights(folder):
    latents = (0.01 * wave(2, 4, 2, 2)).requires_grad_()
    made = decoder(folder, 2)
    made(latents)[0].sum().backward()
    assert latents.grad[0].abs().sum() > 0
    assert latents.grad[1].abs().sum() == 0, "a row's gradient is its own"
    assert not any(value.requires_grad for value in made.parameters())


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_decoder_computes_in_its_dtype_and_gives_float32(folder, dtype):
    latents = 0.1 * wave(2, 4, 2, 2)
    made, exact = decoder(folder, 2, dtype=dtype), decoder(folder, 2)
    assert {value.dtype for value in made.parameters()} == {getattr(torch, dtype)}
    assert made(latents).dtype == torch.float32
    torch.testing.assert_close(made(latents), exact(latents), rtol=0, atol=0.2)
    with pytest.raises(ValueError, match=r"model\.vae_dtype is 'int8'; it is one of float32"):
        decoder(folder, 2, dtype="int8")


def test_decoder_takes_old_names_of_attention_and_torch_files(folder, tmp_path):
    vae = AutoencoderKL.from_pretrained(folder)
    old = {}
    for name, value in vae.state_dict().items():
        for new, former in (("to_q", "query"), ("to_k", "key"), ("to_v", "value"), ("to_out.0", "proj_attn")):
            name = name.replace(f".{new}.", f".{former}.")
        old[name] = value
    assert old.keys() != vae.state_dict().keys()
    (tmp_path / "old").mkdir()
    vae.save_config(tmp_path / "old")
    torch.save(old, tmp_path / "old" / "diffusion_pytorch_model.bin")
    latents = 0.1 * wave(1, 4, 2, 2)
    assert torch.equal(decoder(str(tmp_path / "old"), 2)(latents), decoder(folder, 2)(latents))


def test_decoder_as_published_has_the_parameter_count_of_stable_diffusion():
    with torch.device("meta"):
        vae = AutoencoderKL(**PUBLISHED)
    assert sum(p.numel() for p in vae.parameters()) == 83_653_863


@pytest.mark.parametrize(
    ("entries", "refusal"),
    [
        ({"_class_name": "AutoencoderTiny"}, r'_class_name of .*AutoencoderTiny.* here it is "AutoencoderKL"'),
        ({"latents_mean": [0.0] * 4}, "latents_mean of .* here it is null"),
        ({"scaling_factor": 0}, "scaling_factor of .* is 0; it is above 0"),
        ({"out_channels": 1}, "out_channels of .* here it is 3"),
        ({"up_block_types": ["AttnUpDecoderBlock2D"] * 4}, "up_block_types of .* is"),
        ({"gated": True}, "gated of .* this entry is not known here"),
        ({"layers_per_block": 2}, "does not fit AutoencoderKL: .*missing.* its config.json and its tensors disagree"),
    ],
)
def test_decoder_refuses_other_autoencoders_by_name(folder, entries, refusal):
    configure(folder, **entries)
    with pytest.raises(ValueError, match=refusal):
        decoder(folder, 4)


def test_decoder_refuses_a_file(tmp_path):
    (tmp_path / "vae.safetensors").write_bytes(b"")
    with pytest.raises(ValueError, match=r"model\.vae is .*vae\.safetensors, a file; give the folder"):
        decoder(str(tmp_path / "vae.safetensors"), 4)


def test_dit_load_refuses_a_vae_of_other_latents(tmp_path):
    weights, _ = files(tmp_path, "dit")
    AutoencoderKL(latent_channels=8, norm_num_groups=8).save_pretrained(tmp_path / "eight")
    with pytest.raises(ValueError, match=r"proj\.weight is .* from 4 channels.* to 8; this model takes 8, those"):
        dit.load(weights, str(tmp_path / "eight"), **SIZES)
