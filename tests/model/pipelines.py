"""What the tests of pipelines share: our trajectory from given latents, beside a pipeline's own call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from its.levels import Columns, Guess, Level
from its.model import flux, flux2, lcm, pixart_sigma, qwen_image, sana, sana_sprint, sd15, sd35, sdxl, z_image
from its.model.prompted import PromptDenoiser
from its.sampler.euler import Euler
from its.sampler.sampler import Sampler
from its.twins import flux as flux_twin
from its.twins import flux2 as flux2_twin
from its.twins import lcm as lcm_twin
from its.twins import pixart_sigma as pixart_twin
from its.twins import qwen_image as qwen_twin
from its.twins import sana as sana_twin
from its.twins import sd15 as sd15_twin
from its.twins import sd35 as sd35_twin
from its.twins import sd_turbo as sd_turbo_twin
from its.twins import sdxl as sdxl_twin
from its.twins import z_image as z_image_twin

FAMILIES: dict[str, Callable[[str], PromptDenoiser]] = {
    "sd15": partial(sd15.load, size=32),
    "sdxl": partial(sdxl.load, size=32),
    "pixart_sigma": partial(pixart_sigma.load, size=32),
    "flux_dev": partial(flux.load, size=64, max_sequence_length=64),
    "flux_schnell": partial(flux.load, size=64, max_sequence_length=64, distilled_guidance=None),
    "flux2_klein": partial(flux2.load, size=64, max_sequence_length=96),
    "sana": partial(sana.load, size=64, max_sequence_length=64),
    "sana_sprint": partial(sana_sprint.load, size=64, max_sequence_length=64),
    "lcm": partial(lcm.load, size=32),
    "sd_turbo": partial(sd15.load, size=32, guidance_scale=1.0),
    "sd35": partial(sd35.load, size=64, max_sequence_length=64, skip_layers=[1], skip_interval=[0.7, 0.95]),
    "qwen_image": partial(qwen_image.load, size=64, max_sequence_length=128),
    "z_image": partial(z_image.load, size=64, max_sequence_length=128, guidance_interval=[0.2, 1.0]),
}
"""Loaders of small images, which are given a twin's folder."""


WRITERS: dict[str, Callable[[str], None]] = {
    "sd15": sd15_twin.write,
    "sdxl": sdxl_twin.write,
    "pixart_sigma": pixart_twin.write,
    "flux_dev": partial(flux_twin.write, distilled_guidance=3.5),
    "flux_schnell": partial(flux_twin.write, distilled_guidance=None),
    "flux2_klein": flux2_twin.write,
    "sana": sana_twin.write,
    "sana_sprint": partial(sana_twin.write, sprint=True),
    "lcm": lcm_twin.write,
    "sd_turbo": sd_turbo_twin.write,
    "sd35": sd35_twin.write,
    "qwen_image": qwen_twin.write,
    "z_image": z_image_twin.write,
}
"""Makers of their twins."""

PROMPTS = ("a cat", "a photograph of an astronaut riding a horse, by night", "two Dogs")


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def guessed(model: Any, x: Tensor, levels: Sequence[Level], prompts: Sequence[str]) -> Guess:
    """Evaluate rows, with as many network rows as the dearest guidance takes."""
    more = model.slots // model.fewest_slots
    made = model(torch.cat([x] * more), Columns.of([*levels] * more, x.ndim, "cpu"), [*prompts] * more)
    return Guess(*(None if part is None else part[: len(x)] for part in made))


def trajectory(
    model: Any,
    latents: Tensor,
    prompts: Sequence[str],
    steps: int,
    sampler: type[Sampler] = Euler,
    noises: Sequence[Tensor] = (),
) -> Tensor:
    """Sample latents by the checkpoint's own grid, all rows at once; a multistep sampler by its guesses in turn.

    Args:
        noises: what each step that draws takes.
    """
    taken, drawn = sampler(steps=steps, spacing="checkpoint"), iter(noises)
    grid = taken.grid(model.path)
    x, last = latents * taken.prior_std(model.path, grid[0]), None
    for t, s in pairwise(grid):
        columns = [Columns.of([level] * len(x), x.ndim, "cpu") for level in (t, s)]
        guess = guessed(model, x, [t] * len(x), prompts)
        moved = guess
        if taken.multistep and last is not None:
            x0 = guess.x0 + taken.extrapolation(last[1], t, s) * (guess.x0 - last[0])
            moved = guess._replace(x0=x0, eps=(x - t.alpha * x0) / t.sigma)
        last = guess.x0, t
        x = taken.step(x, moved, *columns, next(drawn) if taken.noisy(t, s) else None)
    return x
