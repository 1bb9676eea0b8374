"""Attention backends of diffusers, in one network at a time: their own setter changes all networks of a process."""

from __future__ import annotations

from typing import Any

import torch

from its.weights import Dtype

NULL = "set model.attention=null"

FETCHED = "_hub"
"""Ending of backends whose code comes from the hub when they are first used."""


def set_attention(network: Any, backend: str | None) -> None:
    """Let a network of diffusers attend by one of its backends; None is torch's own, whatever the environment says.

    Raises:
        ValueError: there is no such backend, its package is missing, or the network's attention takes none.
    """
    from diffusers.models.attention_dispatch import AttentionBackendName, attention_backend

    # Give each of its layers torch's own.
    processors = [getattr(module, "processor", None) for module in network.modules()]
    layers: list[Any] = [each for each in processors if hasattr(each, "_attention_backend")]
    if backend is None:
        for layer in layers:
            layer._attention_backend = AttentionBackendName.NATIVE
        return

    # Refuse a backend that is unknown, or of no use for it.
    names = sorted(each.value for each in AttentionBackendName if not each.value.endswith(FETCHED))
    if not layers:
        raise ValueError(f"model.attention is {backend!r}, and {type(network).__name__} attends by torch alone; {NULL}")
    if backend not in names:
        code = "the code of that one is fetched from the hub as it runs; " * backend.endswith(FETCHED)
        raise ValueError(f"model.attention is {backend!r}; {code}choose one of {', '.join(names)}, or {NULL}")
    try:
        with attention_backend("native"):  # and what was there before for every other network
            network.set_attention_backend(backend)
    except (ValueError, RuntimeError, ImportError) as error:
        raise _refusal(backend, error) from error


def try_attention(backend: str | None, dtype: Dtype, device: str) -> None:
    """Attend once by a backend that is asked for, before anything is sampled.

    Raises:
        ValueError: it does not run on this device, or not in this type.
    """
    from diffusers.models.attention_dispatch import dispatch_attention_fn

    if backend is None:
        return
    rows = torch.zeros(1, 32, 2, 64, dtype=getattr(torch, dtype), device=device)
    try:
        with torch.no_grad():
            dispatch_attention_fn(rows, rows, rows, backend=backend)
    except Exception as error:
        raise _refusal(backend, error) from error


def _refusal(backend: str, error: Exception) -> ValueError:
    reason = " ".join(str(error).split())[:300]
    return ValueError(f"model.attention is {backend!r}, which does not run here ({reason}); {NULL}")
