"""Latents that a model takes normalised: their statistics' file, and a decoder that undoes it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from its.model.checkpoint import read
from its.weights import Weights

EPSILON = 1e-5
"""Added to a variance before its root, as in RAE's code; a deviation is taken as it is."""

SHOWN = 4
"""Names that an error shows of a file of others."""

FORMS = (("mean", "std"), ("mean", "var"))
"""The names in a file: LightningDiT's `latents_stats.pt`, and RAE's `stat.pt`."""


class Denormalised(nn.Module):
    """A decoder of normalised latents as `its.Decoder`: times their deviation, plus their mean, decoded, in [-1, 1].

    Args:
        network: decodes latents `[n, C, H, W]`, in the type of its weights.
        latents: event shape (C, H, W) of the latents. shape: of the images.
        stats: the file of their statistics; see `statistics`.

    Raises:
        ValueError: it holds something else.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, network: nn.Module, latents: tuple[int, int, int], shape: tuple[int, int, int], stats: Weights
    ) -> None:
        super().__init__()
        mean, deviation = statistics(stats, latents)
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)
        self.network = network
        self.latents = latents
        self.shape: tuple[int, ...] = shape

    def forward(self, latents: Tensor) -> Tensor:
        """Decode latents `[n, C, H, W]` into images; gradients pass where a value lies inside of [-1, 1]."""
        values = latents.float() * self.deviation + self.mean
        weight = next(self.network.parameters())
        return self.network(values.to(weight.dtype)).float().clamp(-1.0, 1.0)


def statistics(stats: Weights, latents: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
    """Read mean and deviation of latents, float32 `[C, 1, 1]` or `[C, H, W]`, by torch's `weights_only`.

    Args:
        latents: event shape (C, H, W) of the latents.

    Raises:
        ValueError: the file holds other names, other shapes, or numbers that are no statistics.
    """
    # The names.
    state = read(stats)
    form = next((form for form in FORMS if state.keys() == {*form}), None)
    if form is None:
        names = [*sorted(state)[:SHOWN], *["..."] * (len(state) > SHOWN)]
        raise ValueError(
            f"{stats} holds {', '.join(names)}; statistics of latents are mean and std (LightningDiT's "
            "latents_stats.pt) or mean and var (RAE's stat.pt): set model.latents_stats"
        )

    # The shapes, and the numbers.
    channels, height, width = latents
    values = {}
    for name in form:
        value = state[name].float()
        value = value[0] if value.ndim == 4 and len(value) == 1 else value
        if tuple(value.shape) not in ((channels, 1, 1), (channels, height, width)):
            raise ValueError(
                f"{name} of {stats} is {[*state[name].shape]}; of latents {[*latents]} it is {[channels, 1, 1]} or "
                f"{[*latents]}: these statistics are of other latents, set model.latents_stats"
            )
        values[name] = value
    mean, spread = (values[name] for name in form)
    deviation = spread if form[1] == "std" else (spread + EPSILON).sqrt()
    if not (torch.isfinite(mean).all() and torch.isfinite(deviation).all() and (deviation > 0).all()):
        raise ValueError(f"{stats} holds numbers that are no mean and {form[1]}; fetch it again")
    return mean, deviation
