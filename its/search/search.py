"""The contract of a search: a frozen dataclass whose `run` is a coroutine over one image."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Any, ClassVar, Protocol, Self, cast

from its.particles.image import Image
from its.particles.verbs import Advance, Reward

Coroutine = Generator[Advance | Reward, Any, Any]
"""What `Search.run` returns; its value is a particle, or None."""


Size = Any
"""A whole number, or None until a cap, or `budget=natural`, decides it."""


class Search(Protocol):
    """A search method: a frozen dataclass of hyper-parameters whose `run` makes one image.

    Whoever inherits from it states only what differs from below.

    Attributes:
        anytime: True if stopping it early leaves a valid result, so that one run serves all caps;
            False if it plans for one cap.
        needs_absolute: whether it needs rewards that mean the same in any company; if not, it compares them through
            `image.order` alone. One that does not say is taken to need them.
        natural: the sizes it runs at under `budget=natural`; under a cap they must stay null.
    """

    anytime: ClassVar[bool] = False
    needs_absolute: ClassVar[bool] = True
    natural: ClassVar[dict[str, int]] = {}

    @property
    def needs_noise(self) -> bool:
        """Whether copies of a particle must separate at the next step (eta > 0)."""
        return False

    def minimum(self, sampling: int) -> int:
        """The least cap, in NFE, at which it makes an image; `sampling` is the NFE of a plain one."""
        return sampling

    def plan(self, nfe: int, image: Image) -> Self:
        """The search sized for a cap of `nfe`, from the prices of `image`: by default its one size is the number of
        samplings that the cap pays for. Only planned searches are asked."""
        return replace(cast(Any, self), **dict.fromkeys(self.natural, nfe // image.cost()))

    def run(self, image: Image) -> Coroutine:
        """Make one image; return its particle, or None for the best one rewarded."""
        ...
