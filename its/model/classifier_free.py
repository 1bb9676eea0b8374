"""Networks, classifier-free guidance of them, of every row of a batch or of some, and autoguidance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from its.levels import Guess
from its.model.slots import check_conditional

Rescale = Callable[[Tensor, Tensor], Tensor]
"""What a pipeline makes of a guided prediction `[n, *shape]`, which is beside the conditional one."""


class Network(Protocol):
    """A network as an adapter gives it."""

    def __call__(self, x: Tensor, time: Tensor, label: Tensor | None, /) -> Any:
        """Evaluate rows.

        Args:
            x: rows `[n, *shape]`, scaled by their levels' `scale`.
            time: native times `[n]`, float64.
            label: class ids `[n]`, int64; None if the network takes none.

        Returns:
            The prediction `[n, *shape]`, followed along the channels by as many values of a learned variance, in
            [-1, 1] (Nichol and Dhariwal 2021, arXiv:2102.09672, Eq. 15 with `v = (value + 1) / 2`), if the network
            has learned one; the exact mixture's is a `Guess`.
        """
        ...


@dataclass(frozen=True)
class ClassifierFree:
    """A network under classifier-free guidance: `uncond + scale (cond - uncond)`, both of one batch.

    Ho and Salimans 2022 (arXiv:2207.12598), Eq. 6 with `scale = 1 + w`.

    Attributes:
        scale: 0 is unconditional, 1 conditional.
        null_class: label that stands for no condition.
        inside: bool `[n]`, of a batch that is guided in part: the others are conditional. The network is given n rows
            of it, for the first of its rows one or two each; what no longer fits comes out as zeros.
        guided_channels: only so many channels of x are guided, the first; the others are the conditional ones, as in
            the code of DiT and SiT, of whose four it is three. None is all.
        rescale: applied to what is guided; None leaves it.
        skipped: bool `[n]`, of rows inside that are led away, besides, from the same network without some of its
            layers: a third row, whose label is `~label`. It takes `inside`. None is of no row.
        skip_scale: of the difference to that.
    """

    network: Network
    scale: float
    null_class: int
    inside: Tensor | None = None
    guided_channels: int | None = None
    rescale: Rescale | None = None
    skipped: Tensor | None = None
    skip_scale: float = 0.0

    def __call__(self, x: Tensor, time: Tensor, label: Tensor | None) -> Any:
        assert label is not None, "guidance needs labels"
        if self.inside is not None:
            return self._in_part(x, time, label, self.inside)
        labels = torch.cat([label, torch.full_like(label, self.null_class)])
        output = self.network(torch.cat([x, x]), torch.cat([time, time]), labels)
        n = len(x)
        return _each(output, lambda values: self._mixed(values[:n], values[n:], x.shape[1]))

    def _in_part(self, x: Tensor, time: Tensor, label: Tensor, inside: Tensor) -> Any:
        # Lay out the network's rows, on the device alone: a row's second is there where it is guided, its third where
        # layers are skipped.
        n = len(x)
        more = inside.long() if self.skipped is None else inside.long() + self.skipped.long()
        last = (1 + more).cumsum(0) - 1
        first = last - more
        second = first + inside.long()
        places = torch.arange(n, device=x.device)
        row = torch.searchsorted(last, places)
        labels = torch.where(places > first[row], self.null_class, label[row])
        if self.skipped is not None:
            labels = torch.where(places > second[row], ~label[row], labels)

        # Evaluate them, and bring the rows' results together.
        output = self.network(x[row], time[row], labels)

        def column(mask: Tensor) -> Tensor:
            return mask.reshape(-1, *[1] * (x.ndim - 1))

        def brought(values: Tensor) -> Tensor:
            cond, uncond, without = (values[places.clamp(max=n - 1)] for places in (first, second, last))
            result = torch.where(column(inside), self._mixed(cond, uncond, x.shape[1]), cond)
            if self.skipped is not None:
                result = torch.where(column(self.skipped), result + self.skip_scale * (cond - without), result)
            return torch.where(column(last < n), result, 0.0)

        return _each(output, brought)

    def _mixed(self, cond: Tensor, uncond: Tensor, colours: int) -> Tensor:
        mixed = _mixed(cond, uncond, self.scale, self.guided_channels or colours)
        return mixed if self.rescale is None else self.rescale(mixed, cond)


@dataclass(frozen=True)
class Autoguided:
    """A network guided by a worse version of itself: `weak + scale (network - weak)`, both of the same condition.

    Karras et al. 2024 (arXiv:2406.02507), Eq. 3.

    Attributes:
        weak: a smaller network, or one that was trained for less time.
        scale: 1 is the network alone.
        guided_channels: see `ClassifierFree`.
    """

    network: Network
    weak: Network
    scale: float
    guided_channels: int | None = None

    def __call__(self, x: Tensor, time: Tensor, label: Tensor | None) -> Tensor:
        strong, weak = self.network(x, time, label), self.weak(x, time, label)
        return _mixed(strong, weak, self.scale, self.guided_channels or x.shape[1])


def _mixed(cond: Tensor, uncond: Tensor, scale: float, count: int) -> Tensor:
    """Mix predictions in the first channels; the others, and a learned variance, are the first prediction's.

    So it is in DiT (Peebles and Xie 2022, arXiv:2212.09748).
    """
    mixed = uncond[:, :count] + scale * (cond[:, :count] - uncond[:, :count])
    return mixed if cond.shape[1] == count else torch.cat([mixed, cond[:, count:]], dim=1)


def _each(output: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Change a network's output: a tensor, or both parts of a guess."""
    return Guess(change(output.x0), change(output.eps)) if isinstance(output, Guess) else change(output)


def guided(
    network: Network,
    scale: float,
    null_class: int | None,
    inside: Tensor | None = None,
    guided_channels: int | None = None,
) -> Network:
    """Return the network under classifier-free guidance, or as it is where `scale` is 1; see `ClassifierFree`."""
    if scale == 1.0:
        return network
    assert null_class is not None, "check_guidable refuses it"
    return ClassifierFree(network, scale, null_class, inside, guided_channels)


def check_guidable(guidance_scale: float, null_class: int | None, *, conditional: bool) -> None:
    """Refuse classifier-free guidance of a network that it cannot be had of.

    Raises:
        ValueError: a model is to be guided that is unconditional, or has no label that stands for no condition.
    """
    check_conditional(guidance_scale, conditional)
    if guidance_scale != 1.0 and null_class is None:
        raise ValueError(
            f"model.guidance_scale is {guidance_scale}, and this network has no label for no condition; "
            "set model.guidance_scale=1"
        )
