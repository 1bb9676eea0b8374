"""Counting of one call's FLOPs by torch's counter, with no kernel in use that the counter cannot look into."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

aten = torch.ops.aten

_NAMES = """
_adaptive_avg_pool2d _adaptive_avg_pool3d _assert_async _batch_norm_no_update _batch_norm_with_update
_embedding_bag _embedding_bag_forward_only _fused_dropout _fused_rms_norm _local_scalar_dense _log_softmax
_native_batch_norm_legit _native_batch_norm_legit_no_training _prelu_kernel _safe_softmax _softmax
_thnn_fused_gru_cell _thnn_fused_lstm_cell _to_copy _unsafe_index _unsafe_view _upsample_bicubic2d_aa
_upsample_bilinear2d_aa _upsample_nearest_exact2d _weight_norm_interface abs adaptive_max_pool2d
adaptive_max_pool3d all amax amin any arange argsort avg_pool1d avg_pool2d avg_pool3d bernoulli bucketize cat
channel_shuffle clone col2im constant_pad_nd copy copysign cudnn_batch_norm cummax cummin cumprod cumsum diag_embed
embedding empty empty_like eq equal exponential eye fill flip floor_divide fractional_max_pool2d full full_like
gather ge glu grid_sampler_2d gt hardswish heaviside im2col index index_add index_fill index_put index_select
is_same_size item le lift_fresh linalg_vector_norm linspace log_sigmoid_forward logcumsumexp lt masked_fill
masked_select max max_pool2d_with_indices max_pool3d_with_indices mean min mish native_batch_norm native_dropout
native_group_norm native_layer_norm ne new_empty new_full new_ones new_zeros nonzero normal one_hot ones ones_like
pixel_shuffle pixel_unshuffle prod rand rand_like randn randn_like reflection_pad1d reflection_pad2d repeat
repeat_interleave replication_pad1d replication_pad2d replication_pad3d roll rrelu_with_noise scalar_tensor scatter
scatter_add searchsorted sort stack std sum take threshold topk trace tril triu uniform unsafe_split
unsafe_split_with_sizes upsample_bicubic2d upsample_bilinear2d upsample_linear1d upsample_nearest1d
upsample_nearest2d upsample_nearest3d var var_mean xlogy zero zeros zeros_like
"""

_CHEAP_TAGS = {torch.Tag.pointwise, torch.Tag.reduction, torch.Tag.inplace_view, torch.Tag.view_copy}

CHEAP = frozenset(f"aten.{name}" for name in _NAMES.split())
"""Operations, also in place, that cost a few FLOPs a number: they count nowhere, nor do pointwise ones and views."""


class Flops(NamedTuple):
    """The FLOPs of one call.

    Attributes:
        total: of products and convolutions; a multiplication and an addition are two.
        unknown: names of the operations that took part and are not counted, though they may cost much.
        weights: whether an operation took a network's weights.
    """

    total: int
    unknown: tuple[str, ...]
    weights: bool


def flops_of(call: Callable[[], object]) -> Flops:
    """Count the FLOPs of a call, without gradients."""
    watch = _Watch()
    with _open_kernels(), torch.no_grad(), watch, FlopCounterMode(display=False, custom_mapping=_FORMULAS) as counter:
        call()
    known = counter.flop_registry
    unknown = sorted(str(op) for op in watch.operations if op not in known)
    return Flops(int(counter.get_total_flops()), tuple(unknown), watch.weights)


class _Watch(TorchDispatchMode):
    """Notes which operations run that may cost much, and whether one took weights."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: set[Any] = set()
        self.weights = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        cheap = func.is_view or _CHEAP_TAGS.intersection(func.tags)
        if not cheap and str(func._overloadpacket).removesuffix("_") not in CHEAP:
            self.operations.add(func._overloadpacket)
        self.weights |= any(isinstance(arg, torch.nn.Parameter) for arg in args)
        return func(*args, **(kwargs or {}))


@contextmanager
def _open_kernels() -> Iterator[None]:
    """Leave out the fused kernels of encoder, attention and recurrent layers: the counter takes them for nothing."""
    backends: Any = (torch.backends.mkldnn, torch.backends.cudnn)
    fast, enabled = torch.backends.mha.get_fastpath_enabled(), [backend.enabled for backend in backends]
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        for backend in backends:
            backend.enabled = False
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for backend, value in zip(backends, enabled, strict=True):
            backend.enabled = value


def _all_of(shape: Any, *_: Any, **__: Any) -> int:
    return 2 * math.prod(shape)


def _all_of_second(_: Any, shape: Any, *__: Any, **___: Any) -> int:
    return 2 * math.prod(shape)


def _with_columns(_: Any, left: Any, right: Any, *__: Any, **___: Any) -> int:
    return 2 * math.prod(left) * right[-1]


_FORMULAS = {
    **dict.fromkeys((aten.mv, aten.dot, aten.vdot), _all_of),
    **dict.fromkeys((aten.addmv, aten.addmv_), _all_of_second),
    **dict.fromkeys((aten.addbmm, aten.addbmm_, aten.addmm_, aten.baddbmm_, aten._addmm_activation), _with_columns),
}
"""FLOPs by the shapes of the arguments, of products that torch's counter leaves out."""
