"""What the tests of pipelines share: our trajectory from given latents, beside a pipeline's own call."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from its.levels import Columns
from its.sampler.euler import Euler
from its.sampler.sampler import Sampler

PROMPTS = ("a cat", "a photograph of an astronaut riding a horse, by night", "two Dogs")


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def trajectory(
    model: Any, latents: Tensor, prompts: Sequence[str], steps: int, sampler: type[Sampler] = Euler
) -> Tensor:
    """Sample latents by the checkpoint's own grid, all rows at once; a multistep sampler by its guesses in turn."""
    taken = sampler(steps=steps, spacing="checkpoint")
    grid = taken.grid(model.path)
    x, last = latents * taken.prior_std(model.path, grid[0]), None
    for t, s in pairwise(grid):
        columns = [Columns.of([level] * len(x), x.ndim, "cpu") for level in (t, s)]
        guess = model(x, columns[0], prompts)
        moved = guess
        if taken.multistep and last is not None:
            x0 = guess.x0 + taken.extrapolation(last[1], t, s) * (guess.x0 - last[0])
            moved = guess._replace(x0=x0, eps=(x - t.alpha * x0) / t.sigma)
        last = guess.x0, t
        x = taken.step(x, moved, *columns, None)
    return x
