"""How a network is run: the type of its weights and activations, their layout in memory, and whether it is compiled."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from its.model.classifier_free import Network
from its.parameters import check_values
from its.weights import Dtype

MISSING = re.compile(r"not implemented for|scalar type|dtype|type .* should be the same|unsupported scalarType")
"""Words of torch about an operation that does not take a type, or takes no two."""

COMPILERS = ("torch._dynamo", "torch._inductor")
"""Modules whose errors are of torch.compile."""

log = logging.getLogger(__name__)


def run_as(
    network: nn.Module, dtype: Dtype = "float32", *, channels_last: bool = False, compile: bool = False
) -> Network:
    """Return a network that computes in `dtype`; what goes in and comes out keeps its own type.

    So state, levels and steps stay in float32, and classifier-free guidance mixes predictions in float32. Weights are
    cast; buffers, such as the frequencies of an embedding, stay as they are, and times enter in float64: a network
    embeds them in float32 at least, and casts the embedding to its input's type.

    Args:
        network: called with rows, times and labels as `its.model.classifier_free.Network` states. It is changed.
        channels_last: lay out its weights and input, images `[n, C, H, W]`, with the channels last.
        compile: compile it by torch.compile as it is first called, once for each shape of batch, with and without
            gradients. On a CPU a row may then depend on its company, in the last digit.

    Raises:
        ValueError: there is no such type.
    """
    check_values({"dtype": dtype}, {"dtype": Dtype}, "model.", {})
    kind = getattr(torch, dtype)
    for weight in network.parameters():
        if weight.is_floating_point():
            weight.data = weight.data.to(kind)
    if channels_last:
        network = network.to(memory_format=torch.channels_last)
    if dtype == "float32" and not channels_last and not compile:
        return network
    return _RunAs(network, kind, channels_last, compile)


class _RunAs:
    """A network in a type and a layout of its own, as a `Network`."""

    def __init__(self, network: nn.Module, dtype: torch.dtype, channels_last: bool, compiled: bool) -> None:
        self.network = network
        self._dtype = dtype
        self._layout = torch.channels_last if channels_last else torch.contiguous_format
        self._call: Callable[..., Tensor] = torch.compile(network, dynamic=False) if compiled else network
        self._known: set[Any] | None = set() if compiled else None

    def __call__(self, x: Tensor, time: Tensor, label: Tensor | None) -> Tensor:
        if self._known is not None:
            self._announce(x)
        try:
            output = self._call(x.to(self._dtype, memory_format=self._layout), time, label)
        except (RuntimeError, TypeError) as error:
            if not (remedy := self._remedy(error)):
                raise
            reason = " ".join(str(error).split())[:200]
            raise TypeError(f"this network does not run so on {x.device.type} ({reason}); {remedy}") from error
        return output.to(x.dtype).contiguous()

    def _remedy(self, error: Exception) -> str:
        """Say what to set where an error is of the way that the network is run; else nothing."""
        if self._known is not None and type(error).__module__.startswith(COMPILERS):
            return "set model.compile=false"
        if self._dtype is not torch.float32 and MISSING.search(str(error)):
            return f"model.dtype is {str(self._dtype).removeprefix('torch.')}: set model.dtype=float32"
        return ""

    def _announce(self, x: Tensor) -> None:
        """Say that a batch is the first of its kind, for which torch compiles."""
        known, kind = self._known, (x.shape, torch.is_grad_enabled())
        if known is not None and kind not in known:
            known.add(kind)
            gradients = " with gradients" if kind[1] else ""
            log.info("compiling the network for batches of %s%s (model.compile)", list(x.shape), gradients)
