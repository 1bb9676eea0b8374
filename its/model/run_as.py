"""How a network is run: the type of its weights and activations, their layout in memory, and whether it is compiled."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from its.model.classifier_free import Network
from its.parameters import check_values
from its.weights import Dtype

MISSING = re.compile(r"not implemented for|scalar ?type|dtype|should be the same")
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
        network.to(memory_format=torch.channels_last)
    if compile:
        log.info("model.compile: the first batch compiles the network, which takes a minute or more on a CPU")
        network.compile(dynamic=False)
    return _RunAs(network, kind, channels_last) if compile or channels_last or dtype != "float32" else network


@dataclass(frozen=True)
class _RunAs:
    """A network in a type and a layout of its own, as a `Network`."""

    network: nn.Module
    dtype: torch.dtype
    channels_last: bool

    def __call__(self, x: Tensor, time: Tensor, label: Tensor | None) -> Tensor:
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        try:
            output = self.network(x.to(self.dtype, memory_format=layout), time, label)
        except (RuntimeError, TypeError) as error:
            if not (remedy := self._remedy(error)):
                raise
            reason = " ".join(str(error).split())[:200]
            raise TypeError(f"this network does not run so on {x.device.type} ({reason}); {remedy}") from error
        return output.to(x.dtype).contiguous()

    def _remedy(self, error: Exception) -> str:
        """Say what to set where an error is of the way that the network is run; else nothing."""
        if type(error).__module__.startswith(COMPILERS):
            return "set model.compile=false"
        if self.dtype is not torch.float32 and MISSING.search(str(error)):
            return f"model.dtype is {str(self.dtype).removeprefix('torch.')}: set model.dtype=float32"
        return ""
