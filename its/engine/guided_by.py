"""The guidance that guides a search's steps, and what it cannot go with."""

from __future__ import annotations

from collections.abc import Mapping

from its.guidance.guidance import Guidance
from its.model.denoiser import Denoiser
from its.sampler.sampler import Sampler
from its.search.search import Search, guidance_under
from its.verifier.verifier import Verifier, probe_of


def check_guidance(guidance: Guidance, model: Denoiser, sampler: Sampler, verifiers: Mapping[str, Verifier]) -> None:
    """Refuse what a guidance cannot wrap, and a guide that does not suit it.

    Raises:
        ValueError: the message names the rule and the remedy.
    """
    # The sampler.
    name = type(guidance).__name__
    if (guidance.needs != "nothing" or guidance.rounds > 1) and sampler.second_order:
        raise ValueError(
            f"{name} wraps steps of one stage, and {type(sampler).__name__} takes two; "
            "set sampler=ddim or sampler=euler"
        )
    if guidance.needs == "nothing":
        return

    # The noise of its steps.
    if guidance.twists and (not sampler.stochastic or type(sampler).noise_std is Sampler.noise_std):
        lacks = "does not say the deviation of its noise (noise_std)" if sampler.stochastic else "draws none here"
        raise ValueError(
            f"{name} moves the noise of steps by its variance, and {type(sampler).__name__} {lacks}; set sampler=ddim "
            "sampler.eta=1, or take another sampler that draws noise"
        )

    # The noisiest level.
    if guidance.divides_by(sampler.grid(model.path)[0]) == 0.0:
        raise ValueError(
            f"{name} divides by alpha, which is 0 where this sampling begins; set sampler.spacing=leading, or list "
            "times from a less noisy one on"
        )

    # The guide.
    if "guide" not in verifiers:
        raise ValueError(f"{name} takes gradients of a guide, and there is none; set verifier@guide=...")
    if probe_of(verifiers["guide"]) is not None:
        raise ValueError(
            f"the guide {type(verifiers['guide']).__name__} compares an image with an earlier guess of it, and a guess "
            "on the way has none: it gives no gradients; choose another verifier@guide"
        )
    aware = getattr(verifiers["guide"], "noise_aware", False)
    if aware != guidance.noise_aware:
        raise ValueError(
            f"{name} scores {'noisy rows' if guidance.noise_aware else 'images'}, and the guide "
            f"{type(verifiers['guide']).__name__} scores {'noisy rows' if aware else 'images'}; "
            "choose another verifier@guide"
        )


def guidance_of(
    search: Search, chosen: Guidance, model: Denoiser, sampler: Sampler, verifiers: Mapping[str, Verifier]
) -> Guidance:
    """Return the guidance of a search's steps: its own, or else the engine's.

    Raises:
        ValueError: its own does not suit the other parts, or is not counted by the engine's prices.
    """
    guidance = guidance_under(search, chosen)
    if guidance is not chosen:
        check_guidance(guidance, model, sampler, verifiers)
    if guidance.rounds != chosen.rounds:
        raise ValueError(
            f"{type(search).__name__} takes each step {guidance.rounds} times by {type(guidance).__name__}, and this "
            "engine counts one; give it to the engine, Engine(..., guidance=search.guidance)"
        )
    return guidance
