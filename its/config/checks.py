"""Rules of values that hold for every kind of run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from its.budget import Ledger
from its.config.declarations import is_declared, parameters
from its.config.instantiate import TARGET, defined
from its.disk.kept import KEPT
from its.guidance.guidance import Guidance
from its.parameters import Rule, Rules, check_values, described, fits
from its.particles.image import Image
from its.particles.prices import Prices
from its.particles.probe import Probe
from its.process.workers import Worker
from its.report.published import tables_of
from its.sampler.sampler import Sampler
from its.search.search import Search
from its.types import Problem
from its.verifier.verifier import common_probe, is_absolute, probe_of

GROUPS = ("dataset", "model", "sampler", "guidance", "search", "verifier", "budget", "metric", "tracker")
"""Groups whose choices name classes."""

TYPES: dict[str, Any] = {
    **dict.fromkeys(("name", "out_dir", "device", "reporting"), str),
    **dict.fromkeys(("shard", "batch", "rows_bytes", "workers", "seed"), int),
    **dict.fromkeys(("images", "gradient_batch", "decode_batch", "verify_batch", "rows"), int | None),
    "share": str | None,
    "nfe_per_second": float | None,
    **dict.fromkeys(("keep_candidates", "smoke", "allow_same_scorer", "plan", "allow_edited", "verify"), bool),
}
"""Types of the keys at the root of a configuration."""

OF_IMAGES = "take search=random, zero_order, paths or ses, which score images, or another verifier"
"""The remedy for a verifier that has no earlier guess to compare a guess with."""

RULES: Rules = {
    **dict.fromkeys(("images", "shard", "workers"), 1),
    **dict.fromkeys(("batch", "gradient_batch", "decode_batch", "verify_batch", "rows", "rows_bytes"), 1),
    "nfe_per_second": Rule("it is above 0 and finite", lambda value: 0 < value < math.inf),
    "seed": Rule("it is a whole number in [0, 2**32)", lambda value: 0 <= value < 2**32),
    "reporting": ("each", "end", "none"),
}
"""Their ranges and choices."""


def check_root(plain: Mapping[str, Any]) -> None:
    """Refuse values at the root of a configuration that are gone, have another type, or break a rule.

    Raises:
        ValueError: naming key, value and rule.
    """
    for key in (*TYPES, *GROUPS, "guide", "report", "published"):
        if key not in plain:
            raise ValueError(f"{key} is gone from the configuration; leave out the ~{key} that takes it away")
    check_values({key: plain[key] for key in TYPES}, TYPES, "", RULES)
    Worker.of_share(plain["share"])
    tables_of(plain["published"])
    check_store(plain.get("store"), keep_candidates=plain["keep_candidates"])


def check_store(store: Any, *, keep_candidates: bool) -> None:
    """Refuse a `store` that does not say which images are kept, or keeps fewer of them than their candidates.

    Raises:
        ValueError: naming key, value and rule.
    """
    if not isinstance(store, Mapping) or store.keys() != {"images"}:
        raise ValueError(f"store is {store!r}; it says which images are kept, as store.images={KEPT[-1]}")
    check_values(store, {"images": str}, "store.", {"images": KEPT})
    if keep_candidates and store["images"] != "all":
        raise ValueError(
            f"store.images={store['images']} leaves images out, and keep_candidates=true stores every candidate's; set "
            "store.images=all or keep_candidates=false"
        )


def check_rewards(search: Search, verifier: Any, choice: str) -> None:
    """Refuse a verifier, known by its object or class, whose rewards this search cannot use.

    Raises:
        ValueError: it scores noisy rows, or only ranks while the search needs absolute rewards.
    """
    if getattr(verifier, "noise_aware", False):
        raise ValueError(
            f"verifier={choice} scores noisy rows, which is for verifier@guide under guidance=cg; choose "
            "a verifier of images"
        )
    if search.needs_absolute and not is_absolute(verifier):
        raise ValueError(
            f"verifier={choice} is relative: its rewards only rank candidates against each other, and "
            f"{type(search).__name__} needs rewards that mean the same in any company; use "
            "verifier=zscore, or one verifier alone"
        )


def stated_probe(node: Mapping[str, Any], packages: Sequence[str]) -> float | None:
    """Return the probe that the node of a verifier states, or those of its members; None if there is none.

    Raises:
        ValueError: members state different ones.
    """
    members = node.get("members")
    if isinstance(members, Mapping):
        return common_probe({name: stated_probe(member, packages) for name, member in members.items()})
    probe = probe_of(defined(node[TARGET], packages))
    return probe if probe is None else node.get("probe", probe)


def check_probe(search: Search, probe: object, choice: str) -> None:
    """Refuse a verifier with a probe for a search that scores guesses at whatever level.

    Args:
        probe: None for a verifier without one.

    Raises:
        ValueError: naming both, and searches that score images.
    """
    if probe is not None and (search.scores_guesses or search.takes_gradients == "sampler"):
        raise ValueError(
            f"verifier={choice} compares an image with the guess at an earlier level, and {type(search).__name__} "
            f"scores guesses on the way down, which have none; {OF_IMAGES}"
        )


def check_passed(search: Search, probe: Probe | None, prices: Prices, choice: str) -> None:
    """Refuse a verifier with a probe for a search that scores a guess before a row has passed its level.

    Raises:
        ValueError: naming both levels.
    """
    check_probe(search, probe, choice)
    if probe is None:
        return
    level = search.noisiest_scored(Image(Problem(0), 0, prices, Ledger(), anytime=False, shape=()))
    if not probe.passed(level):
        raise ValueError(
            f"verifier={choice} compares with the guess at time {probe.level.time:g}, and {type(search).__name__} "
            f"scores guesses at time {level.time:g}, before that; let it score cleaner ones, or {OF_IMAGES}"
        )


def refuse_probe(probe: object, key: str, reason: str) -> None:
    """Refuse a verifier with a probe where images have no earlier guess.

    Args:
        probe: None for a verifier without one.
        key: by which it was chosen.

    Raises:
        ValueError: naming it.
    """
    if probe is not None:
        raise ValueError(
            f"{key} compares an image with the guess at an earlier level, and {reason}; choose another verifier"
        )


def check_noise(search: Search, sampler: Sampler) -> None:
    """Refuse a deterministic sampler for a search whose copies of a particle must separate.

    Raises:
        ValueError: naming a sampler that draws noise.
    """
    if not search.needs_noise or sampler.stochastic:
        return
    remedy = f"{type(sampler).__name__} draws none; take one that does, as sampler=ddim sampler.eta=1"
    if name := sampler.noise_parameter:
        remedy = f"set sampler.{name} above 0, as sampler.{name}=1"
    raise ValueError(
        f"{type(search).__name__} needs noise, for it copies particles, and under a deterministic sampler the copies "
        f"never separate; {remedy}"
    )


def check_proposals(search: Search, guidance: Guidance, choice: str) -> None:
    """Refuse a guidance through the network for a search that puts guesses in the place of the network's.

    Args:
        choice: of the guidance.

    Raises:
        ValueError: naming both, and guidances that go together with it.
    """
    if search.proposes_guesses and guidance.needs == "network":
        raise ValueError(
            f"guidance={choice} takes gradients through the network at its own guess, and {type(search).__name__} puts "
            "others in its place; set guidance=none, or a guidance of the guess alone, as guidance=mpgd"
        )


def check_types(node: Any, path: str) -> None:
    """Refuse a plain value of another type than its parameter's annotation states, anywhere below a node.

    Raises:
        ValueError: names the first such parameter, or a class of which no parameters can be read.
    """
    # Of a class or loader: the parameters that its source declares.
    target = node.get("_target_") if isinstance(node, dict) else None
    if target is not None and not is_declared(target):
        raise ValueError(
            f"{path}._target_ is {target!r}, and no .py file defines a class or function of that name: what its "
            "parameters are, and which of them name weights, cannot be read; define it at the top of a module"
        )
    declared = parameters(target) if target is not None else {}

    # Each value below.
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        known = declared.get(str(key))
        if known is not None and not isinstance(value, dict) and not fits(value, known.hint):
            raise ValueError(f"{path}.{key} is {value!r}; it is {described(known.hint)}")
        check_types(value, f"{path}.{key}")
