"""Floating-point operations of network, decoder, verifier and guide: products and convolutions."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import torch

from its.engine import Engine
from its.engine.flop_count import flops_of
from its.levels import Columns
from its.model.denoiser import fewest_slots
from its.particles.verbs import Through
from its.verifier.verifier import Verifier, guesses_like, rewards_of

log = logging.getLogger(__name__)

BACKWARD_FORWARDS = 2
"""A backward pass counts as two forwards."""


def count_flops(engine: Engine, condition: object, through: Through | None = None) -> dict[str, int]:
    """Count the FLOPs of one call of each kind.

    Args:
        condition: of any problem.
        through: what gradients go through that the search takes. Through a whole sampling every backward pass begins
            with one more forward, which is no NFE.

    Returns:
        FLOPs by column of the ledger.
    """
    # A row at the noisiest level, and as many rows of the dearest as come to its network rows.
    model, prices = engine.model, engine.prices
    x = torch.zeros((1, *model.shape), dtype=model.dtype, device=model.device)
    levels = Columns.of(prices.grid[:1], x.ndim, model.device)
    conditions: list = [condition]
    rows = model.slots // fewest_slots(model)
    dearest = max(prices.grid[:-1], key=prices.evaluation)
    evaluated = x.expand(rows, *model.shape), Columns.of([dearest] * rows, x.ndim, model.device), conditions * rows

    # The networks, one after the other; a guide that knows the noise sees rows, any other images.
    forward = _flops(model, lambda: model(*evaluated)) // model.slots
    images = x
    decoder = 0
    if model.decoder is not None:
        decode = model.decoder
        decoder = _flops(decode, lambda: decode(x))
        images = decode(x)
    verifier = reward_flops(engine.verifiers["select"], images, conditions)
    view = (x, conditions, levels) if engine.guidance.noise_aware else (images, conditions)
    guide = _guide_flops(engine, *view)
    return {
        "nfe": forward,
        "nfe_backward": (BACKWARD_FORWARDS + (through == "sampler")) * forward,
        "verifier_calls": verifier,
        "decoder_calls": decoder,
        "guide_calls": (1 + BACKWARD_FORWARDS) * guide,
        "decoder_backward": BACKWARD_FORWARDS * decoder,
    }


def reward_flops(verifier: Verifier, images: torch.Tensor, conditions: list) -> int:
    """Return the FLOPs of one call of a verifier, on images `[1, C, H, W]` and as many conditions."""
    return _flops(verifier, lambda: rewards_of(verifier, images, conditions, *guesses_like(images, verifier)))


def _guide_flops(engine: Engine, *seen: Any) -> int:
    """Count the FLOPs of one forward of the guide; 0 without guidance."""
    guide: Any = engine.verifiers.get("guide")
    return 0 if guide is None else _flops(guide, lambda: guide.reward(*seen))


def _flops(network: object, call: Callable[[], object]) -> int:
    """Count a call of a network; say what the count leaves out, which may be all of it."""
    name = type(network).__name__
    try:
        flops = flops_of(call)
    except Exception as error:  # the call itself has worked before: it is the counter that cannot look into it
        why = f"{type(error).__name__}: {' '.join(str(error).split())}"
        log.warning("FLOPs of %s cannot be counted (%s); the flops column is too low by that", name, why)
        return 0
    if flops.unknown:
        log.warning(
            "FLOPs of %s leave out what is done by %s; the flops column is too low by that",
            name,
            ", ".join(flops.unknown),
        )
    elif flops.weights and not flops.total:
        log.warning("FLOPs of %s are 0: it has weights, and no product or convolution takes them", name)
    return flops.total
