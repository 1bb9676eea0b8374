"""Parts of a run that need no network: values, choices, sampler, guidance, search and budget."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from its.budget import Budget
from its.config.declarations import GUIDANCE_SCALE, marked
from its.guidance.guidance import Guidance
from its.particles.prices import Prices
from its.sampler.noise_paths import VP
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
        """Return whether the guidance does anything."""
        return self.guidance.needs != "nothing"

    @property
    def kept(self) -> str:
        """Which images are to be stored, as `its.disk.kept` says."""
        return self.plain["store"]["images"]

    @property
    def keep_candidates(self) -> bool:
        """Return whether every candidate is stored; the images are the same either way."""
        return self.plain["keep_candidates"]

    @cached_property
    def prices(self) -> Prices:
        """Prices of steps in NFE on a path of enough times; of a second-order sampler, which skips times, at most."""
        scales = [scale for scale in marked(self.plain["model"], GUIDANCE_SCALE) if scale != 1.0]
        table = tuple(1.0 - (k + 1) / 4001 for k in range(4000))
        return Prices(VP(table), replace(self.sampler, spacing="trailing"), 2 if scales else 1, self.guidance.rounds)
