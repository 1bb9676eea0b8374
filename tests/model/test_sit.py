"""SiT's and REPA's checkpoints, against values that the original code printed.

They were computed once, outside this repository, by willisma/SiT and sihyun-yu/REPA from the same tensors
(`random_state`); the marks are hashes of the names and shapes of their published networks.
"""

import logging

import pytest
import torch
from torch import nn

from its.model import dit, sit
from its.model.dit_checkpoint import without_projectors
from its.model.dit_network import DiT, Sizes
from its.model.sit import Velocity
from its.sampler.noise_paths import Flow
from its.sampler.sit_sde import SiTSDE
from its.twins.dit import CHANNELS
from its.twins.random_state import random_state
from tests.model.latents import OF, SIZES, columns, files, loaded, sample, state_and_noise, wave
from tests.model.test_dit import XL, mark, numbers, on_meta

GOLDEN = {
    "up": """
1.944966 -1.50023 -1.127665 -2.086871 -0.996513 -2.360878 -1.845828 1.217865 1.578231 0.378762 0.500134 2.533616
""",
    "down": """
1.070536 1.638633 0.420011 0.086511 2.069693 -1.948909 -0.255656 -1.422346 0.322025 -0.271585 -2.24121 1.234512
""",
}
SAMPLED = {
    "sit": """
-0.397999 1.534347 -0.34261 -1.258441 0.221101 0.30894 0.265325 -1.306552 0.031074 -0.945919 -0.937513 0.419975
-1.663167 1.836295 0.135861 0.61972
""",
    "repa": """
0.675257 -0.385171 0.615287 -0.899882 -0.366834 0.343022 0.776904 0.042417 -0.954294 1.009093 -1.067094 1.862179
1.102932 -1.57602 0.338144 2.031146
""",
}
GUIDED = {
    "sit": {"guidance_scale": 1.5},
    "repa": {"guidance_scale": 1.8, "guidance_interval": [0.0, 0.7], "guided_channels": None},
}


@pytest.mark.parametrize("direction", ["up", "down"])
def test_velocity_is_the_original_network_in_our_direction(direction):
    """The originals printed their own velocities at their own times .25 and .875."""
    outputs = {"up": 2 * CHANNELS, "down": CHANNELS}[direction]
    network = DiT(Sizes(8, 2, 64, 3, 4, 7, CHANNELS, outputs)).eval()
    network.load_state_dict(random_state(network))
    theirs = torch.tensor([0.25, 0.875], dtype=torch.float64)
    with torch.inference_mode():
        time = 1.0 - theirs if direction == "up" else theirs
        made = Velocity(network, direction)(wave(2, 4, 8, 8), time, torch.tensor([1, 7]))
    sign = -1.0 if direction == "up" else 1.0
    torch.testing.assert_close(sign * made[:, ::3, 3, ::3].flatten(), numbers(GOLDEN[direction]), rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["sit", "repa"])
def test_sit_sampling_equals_the_original_sde(tmp_path, kind):
    """Ten steps of the SDE: SiT's guided on three of four channels, REPA's on all of them up to t = .7."""
    x, noise = state_and_noise()
    made = sample(loaded(tmp_path, kind, **GUIDED[kind]), SiTSDE(steps=10), x, [1, 998], noise)
    torch.testing.assert_close(made[:, :, 3, ::5].flatten(), numbers(SAMPLED[kind]), rtol=0, atol=1e-5)


def test_sit_guess_goes_from_noise_at_one_to_data_at_zero(tmp_path):
    model = loaded(tmp_path, "sit")
    asked = []
    forward = model.network.dit.forward
    model.network.dit.forward = lambda x, time, label: asked.append(time) or forward(x, time, label)
    assert model.path == Flow()
    x = wave(2, 4, 8, 8)
    with torch.inference_mode():
        guess = model(x, columns(model, 1.0, 0.25), [3, 5])
        velocity = forward(x, torch.tensor([0.0, 0.75]), torch.tensor([3, 5]))[:, :4]
    assert asked[0].tolist() == [0.0, 0.75], "of SiT's time, never times 1,000"
    torch.testing.assert_close(guess.x0, x + torch.tensor([1.0, 0.25])[:, None, None, None] * velocity)


def test_repa_has_the_published_names_and_shapes():
    sampled = on_meta(**XL | {"size": 32, "outputs": 4})
    assert mark(sampled) == "02083ba8193a5cbb"
    with torch.device("meta"):
        layers = [nn.Linear(1152, 2048), nn.SiLU(), nn.Linear(2048, 2048), nn.SiLU(), nn.Linear(2048, 768)]
        whole = sampled | nn.ModuleDict({"projectors": nn.ModuleList([nn.Sequential(*layers)])}).state_dict()
    assert mark(whole) == "da4690e0b6739066"
    assert mark(without_projectors(whole)) == mark(sampled)


def test_repa_reads_early_checkpoints_whose_later_blocks_count_anew(tmp_path):
    weights, vae = files(tmp_path, "repa")
    state = torch.load(weights)
    legacy = {
        name.replace("blocks.1.", "decoder_blocks.0.").replace("blocks.2.", "decoder_blocks.1."): value
        for name, value in state.items()
    }
    assert legacy.keys() != state.keys()
    torch.save({"ema": legacy, "opt": {"state": {}}}, weights)
    own = sit.load(weights, vae, **SIZES, **OF["repa"]).network.dit.state_dict()
    assert own.keys() == {name for name in state if not name.startswith("projectors.")}
    assert all(torch.equal(value, state[name]) for name, value in own.items())


@pytest.mark.parametrize(
    ("file", "told", "refusal"),
    [
        ("repa", OF["sit"] | {"learned_sigma": False}, r"REPA's projectors.*choose model=repa_xl2"),
        ("repa", OF["sit"], r"REPA's projectors.*choose model=repa_xl2"),
        ("sit", OF["repa"], r"final_layer\.linear\.weight is \[32, 64\].*if it is SiT's, choose model=sit_xl2"),
        ("sit", {"direction": "noise"}, r"model\.direction is 'noise'; it is one of up, down"),
    ],
)
def test_sit_load_refuses_a_checkpoint_of_the_other_direction(tmp_path, file, told, refusal):
    with pytest.raises(ValueError, match=refusal):
        sit.load(*files(tmp_path, file), **SIZES, **told)


def test_dit_load_names_the_model_of_a_checkpoint_of_repa(tmp_path):
    with pytest.raises(ValueError, match=r"unexpected \(projectors.*if it is REPA's, choose model=repa_xl2"):
        dit.load(*files(tmp_path, "repa"), **SIZES)


def test_sit_load_warns_of_a_variance_that_was_trained(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        loaded(tmp_path, "sit")
        assert not caplog.records
        sit.load(*files(tmp_path, "dit"), **SIZES, **OF["sit"])
    assert "is it DiT's (dit_xl2)?" in caplog.text
