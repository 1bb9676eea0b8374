"""What a guidance is: it wraps the sampler's step, and may ask a verifier for gradients.

Formulas are those of Training-Free-Guidance (Ye et al. 2024, arXiv:2409.15761), in which all methods here have been
compared; `abar` is alpha^2 / (alpha^2 + sigma^2), f the guide's log-score.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, Protocol

from its.levels import Columns, Guess

if TYPE_CHECKING:
    from torch import Tensor

    from its.guidance.sight import Sight

Needs = Literal["nothing", "guess", "network"]
"""Gradients of what: of nothing, of the guide alone (the guess is evaluated plainly), or through the network too."""


class Look(NamedTuple):
    """What a guidance makes of a batch.

    Attributes:
        guess: x0_hat and eps_hat that the step starts from.
        push: added to the row after the step, times `push_scale`; None is nothing.
    """

    guess: Guess
    push: Tensor | None = None


class Guidance(Protocol):
    """A guidance method: a frozen dataclass of hyper-parameters.

    Whoever inherits from it states only what differs from below.

    Attributes:
        noise_aware: whether its guide scores noisy rows x_t at their level, and not images.
    """

    noise_aware: ClassVar[bool] = False

    @property
    def needs(self) -> Needs:
        """Whose gradient it takes."""
        return "network"

    @property
    def rounds(self) -> int:
        """How often each step is taken: all but the last time the row is renoised to where it came from."""
        return 1

    @property
    def calls(self) -> int:
        """Calls of the guide, each forward and backward, of one look at one row."""
        return 1

    @property
    def draws(self) -> int:
        """Monte-Carlo draws of one look at one row."""
        return 0

    def look(self, sight: Sight) -> Look:
        """Guide a batch of rows at mixed levels; no row may depend on another."""
        ...

    def push_scale(self, t: Columns, s: Columns) -> Tensor | float:
        """Factor of `push` for the step from t to s."""
        return 1.0
