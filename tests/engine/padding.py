"""Rows that fill up a batch of the network, marked, so that its own hook tells them from real ones."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from its.engine.evaluate import Evaluate
from its.engine.guide import GuideThroughNetwork
from its.engine.queue import Queue
from its.engine.slopes import Slopes

PADDING = 1e6


def mark_padding(monkeypatch: pytest.MonkeyPatch, kind: type) -> list[int]:
    """Fill up what models of this class are given with rows of one large number.

    Returns:
        one number, of the real rows in the latest batch of what the network or a gradient is taken of.
    """
    batch, call, real = Queue.batch, kind.__call__, [0]

    def counted(queue):
        items = batch(queue)
        if isinstance(queue, Evaluate | GuideThroughNetwork | Slopes):
            real[0] = len(items)
        return items

    def marked(model, x, levels, conditions):
        is_real = torch.arange(len(x)).view(-1, *[1] * (x.ndim - 1)) < real[0]
        return call(model, torch.where(is_real, x, PADDING), levels, conditions)

    monkeypatch.setattr(Queue, "batch", counted)
    monkeypatch.setattr(kind, "__call__", marked)
    return real


def real_rows(x: Tensor) -> int:
    """Count the rows that are not padding."""
    return int((x != PADDING).flatten(1).any(1).sum())
