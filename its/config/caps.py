"""Caps of a configuration: a kind that is given takes the place of the kind that a chosen budget has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import Container, DictConfig, OmegaConf

from its.budget import KINDS
from its.config.instantiate import TARGET
from its.config.words import key_of

GROUP, CALLS = "budget", "verifier_calls"


def with_all_kinds(budget: Container) -> None:
    """Add to a budget's YAML the kinds of cap that it does not mention, as null, so that a word can give them."""
    if isinstance(budget, DictConfig) and TARGET in budget:
        OmegaConf.set_struct(budget, False)
        for kind in KINDS:
            budget.setdefault(kind, None)


def settle(config: DictConfig, chosen: Mapping[str, Any], words: Sequence[str]) -> None:
    """Let caps in verifier calls take the place of those that come with a chosen budget: these are null then.

    What a word gives also takes the place of what an experiment gives. The run is called by the choice of that name.

    Args:
        config: composed of the words, with Hydra's own node.
        chosen: the chosen budget as its YAML has it.

    Raises:
        ValueError: words give two kinds.
    """
    # Calls that are the chosen budget's own are nothing new.
    budget = config.get(GROUP)
    keys = {key_of(word) for word in words}
    by_word = f"{GROUP}.{CALLS}" in keys
    if not isinstance(budget, DictConfig) or budget.get(CALLS) is None:
        return
    if not by_word and budget[CALLS] == chosen.get(CALLS):
        return

    # Others that were given as well stay, and two kinds are refused.
    others = [kind for kind in KINDS if kind != CALLS and budget.get(kind) is not None]
    typed = [kind for kind in others if f"{GROUP}.{kind}" in keys]
    if by_word and typed:
        raise ValueError(f"{GROUP}.{typed[0]} and {GROUP}.{CALLS} are both given; give one of them")
    for kind in others:
        if by_word or (kind not in typed and budget[kind] == chosen.get(kind)):
            budget[kind] = None
    config.hydra.runtime.choices[GROUP] = CALLS
