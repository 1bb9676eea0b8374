"""A particle's origin as text, and a particle again from it; docs/candidates.md says which images that gives back."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np

from its.particles.image import Image
from its.particles.moves import Ball, LowBand, Mix, Place, Rotate
from its.particles.particle import Moved, Origin, Particle, Start

MOVES: dict[str, Any] = {move.__name__: move for move in (Rotate, Mix, Ball, LowBand, Place)}


def to_text(origin: Origin | None) -> str:
    """Write JSON: the start's key, then every move with its key, as hex digits; `null` for no origin."""
    chain: list[dict[str, Any]] = []
    node = origin
    while node is not None:
        chain.append({"path": f"{node.key:016x}", **({} if node.move is None else _fields(node.move))})
        node = node.parent
    return json.dumps(chain[::-1] or None)


def restore(image: Image, text: str, noise_key: int) -> Particle:
    """Make the starting point that `text` describes; the noise of its steps has the key `noise_key`.

    Raises:
        ValueError: there is no origin, or a move that is not of `its.particles.moves`.
    """
    chain = json.loads(text)
    if chain is None:
        raise ValueError(
            "this candidate was renoised, jittered, placed or proposed on its way and has no recipe; "
            "run its search again"
        )

    # The starting noise.
    key = int(chain[0]["path"], 16)
    particle = Particle(image, image.grid[0], noise_key, key, Start(key), origin=Origin(key))

    # Its moves, one after the other.
    for entry in chain[1:]:
        key = int(entry.pop("path"), 16)
        move = _move(**entry)
        origin = Origin(key, move, particle.origin)
        particle = Particle(image, image.grid[0], noise_key, key, Moved(particle, move, key), origin=origin)
    return particle


def _fields(move: Any) -> dict[str, Any]:
    values = {field.name: getattr(move, field.name) for field in dataclasses.fields(move)}
    lists = {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in values.items()}
    return {"move": type(move).__name__, **lists}


def _move(move: str, **values: Any) -> Any:
    if move not in MOVES:
        raise ValueError(f"move {move!r} in a recipe; only {', '.join(MOVES)} can be made again")
    arrays = {name: np.array(value) if isinstance(value, list) else value for name, value in values.items()}
    return MOVES[move](**arrays)
