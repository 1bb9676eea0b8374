"""Refusals of a search whose gradients the other parts of a run cannot give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from its.guidance.guidance import Guidance
from its.sampler.sampler import Sampler
from its.search.search import Search
from its.verifier.verifier import probe_of


def check_gradients(search: Search, guidance: Guidance, sampler: Sampler, verifiers: Mapping[str, Any]) -> None:
    """Refuse a search that takes gradients where there is no guide, or what it differentiates is no chain of steps.

    Args:
        verifiers: by role, objects or classes.

    Raises:
        ValueError: the message names the rule and the remedy.
    """
    if search.takes_gradients is None:
        return
    name, guide = type(search).__name__, verifiers.get("guide")
    if guidance.needs != "nothing":
        raise ValueError(
            f"{name} takes gradients of the guide itself, beside which there is no {type(guidance).__name__}; set "
            "guidance=none"
        )
    if guide is None:
        raise ValueError(f"{name} takes gradients of a guide, and there is none; set verifier@guide=...")
    if getattr(guide, "noise_aware", False) or probe_of(guide) is not None:
        raise ValueError(
            f"{name} takes gradients of the scores of images and of guesses, and the guide {_called(guide)} scores "
            "noisy rows, or compares with an earlier guess; choose another verifier@guide"
        )
    if search.takes_gradients == "sampler" and (sampler.second_order or sampler.multistep):
        raise ValueError(
            f"{name} takes gradients through steps of one stage without a history, and {type(sampler).__name__} has "
            "others; set sampler=ddim or sampler=euler"
        )


def _called(guide: Any) -> str:
    return guide.__name__ if isinstance(guide, type) else type(guide).__name__
