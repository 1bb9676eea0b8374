"""The contract of guidances: each wraps the sampler's step, and may take gradients of a verifier, its guide.

Formulas are those of Training-Free-Guidance (Ye et al. 2024, arXiv:2409.15761), which compares all methods here;
`abar` is alpha^2 / (alpha^2 + sigma^2), f the guide's log-score.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Protocol

from its import parameters
from its.levels import Columns, Guess, Level

if TYPE_CHECKING:
    from torch import Tensor

    from its.guidance.guidance_input import GuidanceInput

Needs = Literal["nothing", "guess", "network"]
"""The gradients that a guidance takes: none, of the guide at the guess alone, or through the network too."""


class GuidanceOutput(NamedTuple):
    """The guess that the step starts from, and a term added after it.

    Attributes:
        guess: x0_hat and eps_hat, `[n, *shape]`.
        shift: added to the row after the step, times `shift_scale`, or the noise's variance where the guidance twists;
            None is nothing.
    """

    guess: Guess
    shift: Tensor | None = None


class Guidance(Protocol):
    """A guidance method: a frozen dataclass of hyper-parameters.

    A class that inherits from it states only what differs from below.

    Attributes:
        noise_aware: whether its guide scores noisy rows x_t at their level, and not images.
        twists: whether it leaves the sampler's step as it is but for the mean of its noise, which moves by the noise's
            variance times `shift`; and its guide scores the guess alone, once. Then log-densities of steps are known.
    """

    noise_aware: ClassVar[bool] = False
    twists: ClassVar[bool] = False

    def divides_by(self, t: Level) -> float:
        """Return what it divides by at a level, which must not be 0: alpha, if it makes x0_hat of a tilted eps_hat."""
        return 1.0

    def check(self, **rules: parameters.Rule | float | Iterable[Any]) -> None:
        """Check its parameters; see `its.parameters.check`.

        Raises:
            ValueError: a value breaks a rule.
        """
        parameters.check(self, "guidance", **rules)

    @property
    def needs(self) -> Needs:
        """The gradients that it takes."""
        return "network"

    @property
    def rounds(self) -> int:
        """The number of times that each step is taken; after all but the last the row is renoised back up."""
        return 1

    @property
    def calls(self) -> int:
        """The number of calls of the guide, each forward and backward, for one row."""
        return 1

    @property
    def num_draws(self) -> int:
        """The number of Monte-Carlo draws for one row."""
        return 0

    def guide(self, inputs: GuidanceInput) -> GuidanceOutput:
        """Guide a batch of rows at mixed levels; no row may depend on another."""
        ...

    def shift_scale(self, t: Columns, s: Columns) -> Tensor | float:
        """Return the factor of `shift` for the step from t to s."""
        return 1.0
