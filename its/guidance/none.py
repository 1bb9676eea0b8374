"""No guidance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from its.guidance.guidance import Guidance, Look, Needs

if TYPE_CHECKING:
    from its.guidance.sight import Sight


@dataclass(frozen=True)
class NoGuidance(Guidance):
    """The sampler's own step."""

    @property
    def needs(self) -> Needs:
        return "nothing"

    def look(self, sight: Sight) -> Look:
        return Look(sight.guess)
