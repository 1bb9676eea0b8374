"""A particle's origin as text, and the particle again from it: `docs/pools.md` says which images that gives back."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np

from its.particles.image import Image, Particle
from its.particles.moves import Ball, LowBand, Mix, Rotate
from its.particles.recipes import Moved, Origin, Start

MOVES: dict[str, Any] = {move.__name__: move for move in (Rotate, Mix, Ball, LowBand)}


def to_text(origin: Origin | None) -> str:
    """JSON: the start's path, then every move with its path, as hex digits; `null` for no origin."""
    chain: list[dict[str, Any]] = []
    node = origin
    while node is not None:
        chain.append({"path": f"{node.path:016x}", **({} if node.move is None else _fields(node.move))})
        node = node.parent
    return json.dumps(chain[::-1] or None)


def restore(image: Image, text: str, step: int) -> Particle:
    """The starting point that `text` describes, with the step noise of path `step`.

    Raises:
        ValueError: there is no origin, or a move that is not of `its.particles.moves`.
    """
    chain = json.loads(text)
    if chain is None:
        raise ValueError("this candidate was renoised or jittered on its way and has no recipe; run its search again")
    path = int(chain[0]["path"], 16)
    particle = Particle(image, image.grid[0], step, path, Start(path), origin=Origin(path))
    for entry in chain[1:]:
        path = int(entry.pop("path"), 16)
        move = _move(**entry)
        particle = Particle(
            image, image.grid[0], step, path, Moved(particle, move, path), origin=Origin(path, move, particle.origin)
        )
    return particle


def _fields(move: Any) -> dict[str, Any]:
    values = {field.name: getattr(move, field.name) for field in dataclasses.fields(move)}
    return {
        "move": type(move).__name__,
        **{name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in values.items()},
    }


def _move(move: str, **values: Any) -> Any:
    if move not in MOVES:
        raise ValueError(f"move {move!r} in a recipe; only {', '.join(MOVES)} can be made again")
    return MOVES[move](
        **{name: np.array(value) if isinstance(value, list) else value for name, value in values.items()}
    )
