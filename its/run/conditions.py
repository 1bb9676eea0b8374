"""What the problems of a shard ask for, as its arrays hold it: class ids, and prompts where there are any."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import numpy as np

from its.dataset.image_set import NO_CLASS
from its.disk.store import Arrays
from its.run.codes import decode_lines, encode_lines
from its.types import Condition

PROMPT = "prompt"
"""Array of a shard whose problems ask for prompts: a line of JSON for each, so that no prompt is two lines."""


def class_id(condition: Condition) -> int:
    """Return the class that a condition asks for, `NO_CLASS` if it asks for something else."""
    return condition if isinstance(condition, int) else NO_CLASS


def labels_of(conditions: Sequence[Condition]) -> np.ndarray:
    """Return the class ids that conditions ask for, int64 `[n]`."""
    return np.array([class_id(condition) for condition in conditions], dtype=np.int64)


def stored(conditions: Sequence[Condition]) -> dict[str, np.ndarray]:
    """Return the arrays that hold conditions: `label` int64 `[n]`, and `prompt` uint8 if one of them is a text."""
    labels = labels_of(conditions)
    if not any(isinstance(condition, str) for condition in conditions):
        return {"label": labels}
    return {"label": labels, PROMPT: encode_lines(map(json.dumps, conditions))}


def numbers_of(conditions: Sequence[Condition]) -> np.ndarray | None:
    """Return the number of each problem's prompt among the different ones, int64 `[n]`; None if none is a text."""
    if not any(isinstance(condition, str) for condition in conditions):
        return None
    number = {condition: k for k, condition in enumerate(dict.fromkeys(conditions))}
    return np.array([number[condition] for condition in conditions], dtype=np.int64)


def prompts_of(arrays: Arrays) -> list[Condition] | None:
    """Return what each problem of a shard with prompts asks for; None of a shard without."""
    return [json.loads(line) for line in decode_lines(arrays[PROMPT])] if PROMPT in arrays else None


def asks(arrays: Arrays, condition: Callable[[int], Condition]) -> list[Condition]:
    """Return what each problem of a shard asked for, as far as the shard itself says.

    Args:
        condition: of a problem, by its index; of one that the shard says nothing of.
    """
    if (prompts := prompts_of(arrays)) is not None:
        return prompts
    pairs = zip(arrays["index"].tolist(), arrays["label"].tolist(), strict=True)
    return [_unsaid(condition(index)) if label == NO_CLASS else label for index, label in pairs]


def _unsaid(condition: Condition) -> Condition:
    """Return a condition of which a shard's labels say nothing; of a class they would."""
    return None if isinstance(condition, int) else condition
