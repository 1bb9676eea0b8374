"""Want of memory: errors that say so, and the batch that they are about."""

from __future__ import annotations

import gc
from collections.abc import Callable

import torch

WORDS = (
    "CUDA out of memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "HIP out of memory",
    "MPS backend out of memory",
    "DefaultCPUAllocator: can't allocate memory",
    "DefaultCPUAllocator: not enough memory",
)
"""Words of an allocator in errors that are of no class of their own."""

LARGER = "take a smaller network, or a device with more memory"
"""The remedy where no batch fits."""

KEYS = {
    "evaluate": "batch",
    "gradient": "gradient_batch",
    "slopes": "gradient_batch",
    "decode": "decode_batch",
    "verify": "verify_batch",
}
"""Keys of a configuration that size batches, by kind of work."""


def is_shortage(error: BaseException) -> bool:
    """Return whether an error says that memory is wanting."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError | MemoryShortage):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in WORDS)


def reason_of(error: BaseException) -> str:
    """Return what an allocator says, in one line."""
    return " ".join(str(error).split())[:200] or type(error).__name__


class MemoryShortage(ValueError):
    """A batch does not fit the memory of its device.

    Attributes:
        key: of the configuration that sizes it.
        reason: words of the allocator.
    """

    def __init__(self, kind: str, error: Exception) -> None:
        self.key = KEYS[kind.partition(" ")[0]]
        self.reason = reason_of(error)
        super().__init__(f"{kind}: a batch does not fit in memory any more ({self.reason}); lower {self.key}")


def shortage_of(call: Callable[[], object]) -> Exception | None:
    """Call; if memory is wanting, give back what the call had taken, and return the error without its traceback."""
    try:
        call()
        return None
    except Exception as error:
        if not is_shortage(error):
            raise
        shortage = error.with_traceback(None)
        shortage.__cause__ = shortage.__context__ = None
    gc.collect()
    torch.cuda.empty_cache()
    return shortage
