"""Small latent models in the originals' formats, and samplings of them, for the tests of DiT, SiT and REPA."""

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor

from its.levels import Columns, Guess, Level
from its.model import dit, sit
from its.model.denoiser import NetworkDenoiser
from its.sampler.sampler import Sampler
from its.twins.dit import write

SIZES = {"size": 8, "patch": 2, "width": 64, "depth": 3, "heads": 4, "classes": 1000}
OF = {"dit": {}, "sit": {"direction": "up"}, "repa": {"direction": "down", "learned_sigma": False}}
"""What a loader is told besides."""


def wave(*shape: int, shift: float = 0.0) -> Tensor:
    return torch.sin(torch.arange(torch.Size(shape).numel(), dtype=torch.float32) * 0.7 + shift).reshape(shape)


def files(folder, kind: str, **sizes: int) -> tuple[str, str]:
    """Write random weights and a VAE, and return where they are."""
    weights, vae = f"{folder}/{kind}.pt", f"{folder}/vae"
    write(weights, vae=vae, **SIZES | sizes, **OF[kind])
    return weights, vae


def loaded(folder, kind: str, **options) -> NetworkDenoiser:
    load = dit.load if kind == "dit" else sit.load
    return load(*files(folder, kind), **SIZES, **OF[kind], **options)


def columns(model: NetworkDenoiser, *times: float) -> Columns:
    return Columns.of([model.path.level(time) for time in times], 4, "cpu")


def guess(model: NetworkDenoiser, x: Tensor, level: Level, classes: list[int]) -> Guess:
    """Evaluate rows at one level, with as many network rows as their guidance takes."""
    more = model.slots // model.fewest_slots
    made = model(torch.cat([x] * more), Columns.of([level] * more * len(x), 4, "cpu"), classes * more)
    return Guess(*(None if part is None else part[: len(x)] for part in made))


def sample(model: NetworkDenoiser, sampler: Sampler, x: Tensor, classes: list[int], noise: Iterator[Tensor]) -> Tensor:
    """Sample rows by first-order steps that draw the given noise."""
    sampler = sampler.fitted(model.variance)
    levels = sampler.layout(model.path)
    with torch.inference_mode():
        for t, s in pairwise(levels):
            both = (Columns.of([level] * len(x), 4, "cpu") for level in (t, s))
            x = sampler.step(x, guess(model, x, t, classes), *both, next(noise) if sampler.noisy(t, s) else None)
    return x


def state_and_noise() -> tuple[Tensor, Iterator[Tensor]]:
    return 1.4 * wave(2, 4, 8, 8), (1.4 * wave(2, 4, 8, 8, shift=1.0 + k) for k in range(12))
