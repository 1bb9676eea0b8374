"""The plain step, without guidance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from its.guidance.guidance import Guidance, GuidanceOutput, Needs

if TYPE_CHECKING:
    from its.guidance.guidance_input import GuidanceInput


@dataclass(frozen=True)
class NoGuidance(Guidance):
    """No guidance: the sampler's own step."""

    @property
    def needs(self) -> Needs:
        return "nothing"

    def guide(self, inputs: GuidanceInput) -> GuidanceOutput:
        """Return the guess as it is."""
        return GuidanceOutput(inputs.plain)
