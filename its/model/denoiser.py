"""The one contract for networks: `(x_t, level, condition) -> x0_hat, eps_hat`.

An adapter hides what the network predicts, its clock and its guidance; nothing else knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import torch
from torch import Tensor

from its.levels import Columns, Guess, Schedule
from its.types import Condition

Prediction = Literal["epsilon", "v_prediction", "sample", "flow"]


class Decoder(Protocol):
    """Latents to images."""

    shape: tuple[int, ...]
    """Event shape (C, H, W) of an image."""

    def __call__(self, latents: Tensor) -> Tensor:
        """Images in [-1, 1], float32 `[n, C, H, W]`."""
        ...


class Denoiser(Protocol):
    """A model as the engine sees it."""

    shape: tuple[int, ...]
    """Event shape of the state."""

    dtype: torch.dtype
    """Of the state: float32, also when the network runs in bf16."""

    device: torch.device
    schedule: Schedule
    slots: int
    """Network rows that one evaluation takes: 2 with classifier-free guidance."""

    decoder: Decoder | None
    """None for pixel models."""

    def __call__(self, x: Tensor, levels: Columns, conditions: Sequence[Condition]) -> Guess:
        """Evaluate rows `x [n, *shape]`; x0_hat comes clipped where the model says so."""
        ...


def guess_from(prediction: Prediction, output: Tensor, x: Tensor, levels: Columns) -> Guess:
    """x0_hat and eps_hat from what a network predicts.

    `epsilon` and `sample` hold on any path; `v_prediction` (Salimans and Ho 2022, arXiv:2202.00512:
    v = alpha eps - sigma x_0) on VP; `flow` (v = eps - x_0) on linear flow.
    """
    alpha, sigma = levels.alpha.to(x), levels.sigma.to(x)
    if prediction == "epsilon":
        return Guess((x - sigma * output) / alpha, output)
    if prediction == "sample":
        return Guess(output, (x - alpha * output) / sigma)
    if prediction == "v_prediction":
        return Guess(alpha * x - sigma * output, alpha * output + sigma * x)
    if prediction == "flow":
        return Guess(x - sigma * output, x + alpha * output)
    raise ValueError(f"prediction is {prediction!r}; it is epsilon, v_prediction, sample or flow")
