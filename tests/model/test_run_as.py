"""Networks in another type, another layout or compiled: what they compute, and that a row is the same anywhere."""

import logging
import math
from functools import partialmethod
from pathlib import Path

import pytest
import torch
from diffusers import UNet2DModel
from torch import nn
from torch._dynamo.testing import CompileCounter

from its.levels import Columns
from its.model import edm, openai, unet2d
from its.model.denoiser import NetworkDenoiser
from its.model.run_as import run_as
from its.sampler.noise_paths import linear_vp
from its.twins import openai as openai_twin
from its.twins import unet2d as unet2d_twin
from its.twins.random_state import random_state
from its.weights import locate
from tests.build import blueprint_of
from tests.model.test_edm import small
from tests.run.test_preflight import QUICK

HALVES = ["bfloat16", "float16"]


def digits(**options):
    return unet2d.load("digits/generator", conditional=True, **options)


def rows(n: int = 8) -> tuple[torch.Tensor, Columns]:
    """Rows of digits at levels from noise to the last, and these."""
    x = torch.randn(n, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    return x, Columns.of([linear_vp().level(999 - 990 * k // n) for k in range(n)], 4, "cpu")


@pytest.mark.parametrize("scale", [1.0, 2.5])
@pytest.mark.parametrize("dtype", HALVES)
def test_run_as_equals_the_network_cast_by_hand_and_a_guess_in_float32(dtype, scale):
    """diffusers casts its own network; times are float32, and both predictions are mixed in float32."""
    x, t = rows()
    network = UNet2DModel.from_pretrained(locate("digits/generator"), torch_dtype=getattr(torch, dtype))
    network = network.eval().requires_grad_(False)  # torch chooses other kernels for weights with gradients
    labels = torch.arange(8)

    def predicted(labels):
        return network(x.to(network.dtype), t.time.flatten().float(), class_labels=labels).sample.float()

    with torch.inference_mode():
        cond, uncond = predicted(labels), predicted(torch.full((8,), 10))
        guess = digits(dtype=dtype, guidance_scale=scale)(x, t, labels.tolist())
    v = cond if scale == 1.0 else uncond + scale * (cond - uncond)
    assert guess.x0.dtype == guess.eps.dtype == torch.float32
    torch.testing.assert_close(guess.x0, (t.alpha * x - t.sigma * v).float(), rtol=0, atol=2e-6)
    torch.testing.assert_close(guess.eps, (t.alpha * v + t.sigma * x).float(), rtol=0, atol=2e-6)


def sinusoids(time: torch.Tensor, width: int, last: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines and sines in float64 at frequencies from 1 down to `1e-4 ** ((half - 1) / last)`."""
    angle = time.double()[:, None] * 1e-4 ** (torch.arange(width // 2) / last)
    return angle.cos(), angle.sin()


def openai_network(folder: Path, dtype: str):
    sizes = {"size": 8, "channels": 32, "blocks": 1, "multipliers": [1], "attention": [], "heads": 1}
    openai_twin.write(str(folder / "twin.pt"), **sizes)
    options = {"betas": "linear", "steps": 5000, "rescale_time": False, "dtype": dtype}
    network = openai.load(str(folder / "twin.pt"), **sizes, **options).network
    return network, network.network.unet.time_embed[0], lambda time: torch.cat(sinusoids(time, 32, 16), 1)


def unet2d_network(folder: Path, dtype: str):
    unet2d_twin.write(str(folder), size=8, channels=[32])
    network = unet2d.load(str(folder), dtype=dtype).network
    return (
        network,
        network.network.unet.time_embedding.linear_1,
        lambda time: torch.cat(sinusoids(time, 32, 15)[::-1], 1),
    )


def song_network(folder: Path, dtype: str):
    network = edm.song_unet({**small("ddpmpp"), "label_dim": 0})
    network.load_state_dict(random_state(network))
    return run_as(network, dtype), network.map_layer0, lambda time: torch.cat(sinusoids(time, 16, 7)[::-1], 1)


def fourier_network(folder: Path, dtype: str):
    network = edm.song_unet({**small("ncsnpp"), "label_dim": 0})
    network.load_state_dict(random_state(network))
    angle = (2 * math.pi * network.map_noise.freqs.double()).clone()
    embedding = lambda time: torch.cat([(time[:, None] * angle).sin(), (time[:, None] * angle).cos()], 1)  # noqa: E731
    return run_as(network, dtype), network.map_layer0, embedding


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("make", [openai_network, unet2d_network, song_network, fourier_network])
def test_run_as_embeds_whole_times_up_to_4000_in_float32(tmp_path, make, dtype):
    network, layer, embedding = make(tmp_path, dtype)
    seen = []

    def stop(module, inputs):
        seen.append(inputs[0])
        raise StopIteration

    layer.register_forward_pre_hook(stop)
    most = 3.0 if make is fourier_network else 4000.0  # of log(sigma) / 4, times random features up to 16 x 3
    time = torch.linspace(0, most, 4001, dtype=torch.float64)
    shape = (3, 16, 16) if make in (song_network, fourier_network) else (3, 8, 8)
    with torch.inference_mode(), pytest.raises(StopIteration):
        network(torch.zeros(1, *shape).expand(len(time), *shape), time, None)
    [taken] = seen
    assert taken.dtype == getattr(torch, dtype)
    assert (taken.double() - embedding(time)).abs().max() < 0.003, "half a unit of bfloat16 below 1 is 0.002"
    assert len(taken.unique(dim=0)) == len(time) or make is fourier_network


@pytest.mark.usefixtures("lab")  # one thread
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("dtype", ["float32", *HALVES])
def test_run_as_gives_a_row_the_same_bits_wherever_it_is_and_beside_whom(dtype, channels_last):
    model = digits(dtype=dtype, channels_last=channels_last)
    x, t = rows(32)
    order = torch.randperm(32, generator=torch.Generator().manual_seed(1))
    others = torch.cat([x[:1], 5 * torch.randn(31, 1, 8, 8)])
    later = Columns(*(torch.cat([column[:1], column[20:21].expand(31, 1, 1, 1)]) for column in t))
    with torch.inference_mode():
        eps = model(x, t, [k % 10 for k in range(32)]).eps
        moved = model(x[order], Columns(*(column[order] for column in t)), [int(k) % 10 for k in order]).eps
        beside = model(others, later, [0] + [3] * 31).eps
    assert torch.equal(moved, eps[order])
    assert torch.equal(beside[0], eps[0])


def test_run_as_channels_last_lays_out_weights_and_input_and_changes_rounding_alone():
    x, t = rows()
    plain, last = digits(), digits(channels_last=True)
    seen = []
    last.network.network.unet.conv_in.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    with torch.inference_mode():
        eps = [model(x.expand(8, 1, 8, 8), t, list(range(8))).eps for model in (plain, last)]
    assert last.network.network.unet.conv_out.weight.is_contiguous(memory_format=torch.channels_last)
    assert seen[0].is_contiguous(memory_format=torch.channels_last)
    assert eps[1].is_contiguous()
    torch.testing.assert_close(eps[1], eps[0], rtol=1e-4, atol=1e-4)


def test_run_as_leaves_a_network_alone_by_default():
    network = nn.Conv2d(1, 1, 1)
    assert run_as(network) is network


class Inverse(nn.Module):
    """A network of an operation that torch has in no half precision."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.eye(8))

    def forward(self, x, time, label):
        return x @ torch.linalg.inv(self.scale)


@pytest.mark.parametrize("dtype", HALVES)
def test_check_fit_names_the_type_in_which_a_network_does_not_run(experiment, dtype):
    broken = experiment("out", *QUICK, "model=digits")
    broken.engine.model.network = run_as(Inverse(), dtype)
    broken.engine.run = lambda *_: pytest.fail("it was sampled")
    expected = rf"does not run so on cpu \(linalg.*\); model.dtype is {dtype}: set model.dtype=float32"
    with pytest.raises(ValueError, match=expected):
        broken.run()


@pytest.mark.parametrize(
    "model", ["digits", "digits_unconditional", "openai_cifar10", "edm_cifar10", "ddpm_cifar10", "dit_xl2"]
)
def test_dtype_is_refused_by_name_before_weights_are_looked_for(tmp_path, model):
    with pytest.raises(ValueError, match=r"model.dtype is 'fp16'; it is one of float32, bfloat16, float16"):
        blueprint_of(tmp_path, f"model={model}", "model.dtype=fp16", planning=True)
    with pytest.raises(ValueError, match=r"model.dtype is 'float64'; it is one of float32, bfloat16, float16"):
        run_as(nn.Conv2d(1, 1, 1), "float64")


class Small(nn.Module):
    """A convolution, so that torch traces it at once."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, x, time, label):
        return self.layer(x)


def compiled_run(experiment, monkeypatch, *words: str):
    """A run of a compiled network and a counter of what dynamo compiles, which runs it as it is."""
    counter = CompileCounter()
    monkeypatch.setattr(nn.Module, "compile", partialmethod(nn.Module.compile, backend=counter))
    run = experiment("out", "search=none", "sampler.steps=3", "budget.samplings=[1]", "images=20", "batch=8", *words)
    torch.compiler.reset()
    network = run_as(Small().requires_grad_(False), compile=True)
    run.engine.model = NetworkDenoiser(network, linear_vp(), "epsilon", (1, 8, 8))
    return run, counter


def test_run_as_compiles_once_for_all_batches_before_the_first_image(experiment, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    run, counter = compiled_run(experiment, monkeypatch)
    seen, sampled = [], run.engine.run
    run.engine.run = lambda *words: seen.append(counter.frame_count) or sampled(*words)
    run.run()
    assert seen == [1]
    assert counter.frame_count == 1
    assert "the first batch compiles the network" in caplog.text


@pytest.mark.long
def test_run_as_compiles_once_more_for_batches_with_gradients(experiment, monkeypatch):
    run, counter = compiled_run(experiment, monkeypatch, "guidance=tfg")
    run.run()
    assert counter.frame_count == 1, "guidance through the network: no batch is without gradients"
    run, counter = compiled_run(experiment, monkeypatch, "guidance=mpgd", "search=bfs_resample", "sampler.eta=1")
    run.run()
    assert counter.frame_count == 1, "guidance at the guess: gradients are not the network's"


@pytest.mark.long
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_run_as_compiled_agrees_with_the_network_as_it_is(dtype):
    """Also in the gradient; rows at one place in one company are the same each time."""
    x, t = rows()
    plain, compiled = digits(dtype=dtype), digits(dtype=dtype, compile=True)
    given = [x.clone().requires_grad_() for _ in range(3)]
    guesses = [model(row, t, [3] * 8).x0 for model, row in zip((plain, compiled, compiled), given, strict=True)]
    gradients = [torch.autograd.grad(guess.sum(), row)[0] for guess, row in zip(guesses, given, strict=True)]
    tolerance = {"rtol": 1e-3, "atol": 1e-3} if dtype == "float32" else {"rtol": 0.1, "atol": 0.5}
    torch.testing.assert_close(guesses[1][4:], guesses[0][4:], **tolerance)
    torch.testing.assert_close(gradients[1][4:], gradients[0][4:], **tolerance)
    assert torch.equal(guesses[1], guesses[2])
    with torch.inference_mode():
        torch.testing.assert_close(compiled(x, t, [3] * 8).x0[4:], guesses[0][4:], **tolerance)
