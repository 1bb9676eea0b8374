"""Parts of a run that need no network: values, choices, sampler, guidance, search and budget."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import Any

from its.budget import Budget
from its.config.declarations import (
    AUTOGUIDANCE,
    GUIDANCE_INTERVAL,
    GUIDANCE_SCALE,
    SKIP_INTERVAL,
    marked,
    parameters,
)
from its.config.instantiate import TARGET, defined
from its.config.noise_path import StatedPath, any_noise, stated_path
from its.guidance.guidance import Guidance
from its.levels import Level
from its.model.slots import Slots, check_conditional
from its.particles.prices import Prices
from its.sampler.euler import Euler
from its.sampler.sampler import Sampler
from its.search.search import Search


@dataclass(frozen=True)
class Parts:
    """The objects and values that a configuration names, as far as they can be had without torch.

    Attributes:
        plain: the configuration as plain containers, resolved; a smoke run's twins are named, not made.
        choices: the YAML chosen in each group.
        packages: whose classes a `_target_` may name.
    """

    plain: dict[str, Any]
    choices: dict[str, str]
    packages: tuple[str, ...]
    sampler: Sampler
    guidance: Guidance
    search: Search
    budget: Budget

    @property
    def guided(self) -> bool:
        """Return whether a guide is asked: by a guidance that does anything, or by the search."""
        return self.guidance.needs != "nothing" or self.search.takes_gradients is not None

    @property
    def storage(self) -> str:
        """Which images are to be stored, as `its.disk.kept` says."""
        return self.plain["store"]["images"]

    @property
    def keep_candidates(self) -> bool:
        """Return whether every candidate is stored; the images are the same either way, but where an oracle chooses."""
        return self.plain["keep_candidates"] or self.has_oracle

    @cached_property
    def has_oracle(self) -> bool:
        """Return whether an oracle chooses the images, as a set, among the candidates of the search."""
        target = self.plain["verifier"].get(TARGET)
        return bool(target) and getattr(defined(target, self.packages), "of_sets", False) is True

    def asked(self, plain: Mapping[str, Any]) -> Any:
        """Return the node of the verifier that the search asks: of an oracle of sets its pool's.

        Args:
            plain: this configuration, with or without the paths of a smoke run's twins.
        """
        return plain["verifier"]["pool"] if self.has_oracle else plain["verifier"]

    @cached_property
    def prices(self) -> Prices:
        """The prices of steps in NFE, as far as the noise path is known; at most, where `bound` says so.

        Raises:
            ValueError: there is no such grid, or nothing on it that a guidance_interval leaves guided.
        """
        prices = self._priced(self._slots.at if self._stated_path.path else self._slots.most)
        prices.check_guided(self._slots.most, self._stated(GUIDANCE_INTERVAL), self._stated(SKIP_INTERVAL))
        return prices

    @property
    def samplings(self) -> tuple[int, int]:
        """The NFE of a plain sampling, at least and at most; the same number twice unless there is a `bound`."""
        if not self.bound:
            return self.prices.sampling, self.prices.sampling
        return self._priced(self._slots.fewest).sampling, self._priced(self._slots.most).sampling

    @property
    def bound(self) -> str:
        """The reason why NFE are only a bound; empty if they are exact."""
        by_level, missing = self._slots.fewest < self._slots.most, self._stated_path.missing
        if by_level and self.search.makes == "grids":
            return "what a grid costs goes by its times"
        unknown = self._stated_path.path is None
        return missing if self.sampler.second_order or (by_level and unknown) else ""

    @cached_property
    def _stated_path(self) -> StatedPath:
        return stated_path(self.plain["model"])

    @cached_property
    def _slots(self) -> Slots:
        stated, interval = (self._stated(mark) for mark in (GUIDANCE_SCALE, GUIDANCE_INTERVAL))
        scale, autoguided = 1.0 if stated is None else stated, self._stated(AUTOGUIDANCE) is not None
        check_conditional(scale, autoguided or self.plain["model"].get("conditional") is not False)
        path, skip_interval = self._stated_path.path or any_noise(1), self._stated(SKIP_INTERVAL)
        return Slots.of(scale, interval, path, autoguided=autoguided, skip_interval=skip_interval)

    def _stated(self, mark: str) -> Any:
        """Return the value of the model's parameter that is marked so, given or by default; None if it has none."""
        model = self.plain["model"]
        defaults = (each.default for each in parameters(model["_target_"]).values() if mark in each.marks)
        return next(chain(marked(model, mark), defaults), None)

    def _priced(self, slots: int | Callable[[Level], int]) -> Prices:
        """Return prices on the path that is stated, or else those of as many steps of as many stages on another."""
        path, sampler = self._stated_path.path, self.sampler
        if path is None:
            path = any_noise(4000)
            sampler = replace(sampler, spacing="trailing") if sampler.second_order else Euler(steps=sampler.steps)
        return Prices(path, sampler, slots, self.guidance.rounds)
