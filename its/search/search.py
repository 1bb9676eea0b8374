"""The contract of a search: a frozen dataclass of hyper-parameters whose `run` is a coroutine over one image."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable
from dataclasses import field, fields, replace
from inspect import get_annotations
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, cast

from its import parameters
from its.guidance.guidance import Guidance
from its.guidance.none import NoGuidance
from its.levels import Level
from its.particles.image import Image
from its.particles.verbs import Request, Through

Coroutine = Generator[Request, Any, Any]
"""What `Search.run` returns: it yields requests, and its value is a particle, or None for the best one rewarded."""

if TYPE_CHECKING:
    Size = Any  # a number wherever a method computes with it
else:
    Size = int | None
"""The annotation of a field made by `sized`: a whole number, or None until a cap, or `budget=natural`, decides it."""


def sized(natural: int) -> Any:
    """Declare a field of a search as its size: None under a cap, which decides it, else `natural`.

    Args:
        natural: the method's own size, which `budget=natural` runs it at.
    """
    return field(default=None, metadata={"natural": natural})


class Search(ABC):
    """A search method: a frozen dataclass of hyper-parameters whose `run` makes one image.

    A subclass states only what differs from below. Fields are checked against their annotations; `check` adds rules.

    Attributes:
        anytime: True if stopping it early leaves a valid result, so that one run serves all caps;
            False if it plans for one cap.
        needs_absolute: True if it compares rewards as numbers; False if it does so through `image.order` and
            `image.best` alone, which also serve verifiers whose rewards only rank candidates.
        needs_noise: True if copies of a particle must separate at the next step (eta > 0).
        looks_ahead: True if it advances particles without noise, under whatever sampler.
        scores_guesses: True if it asks for rewards of guesses on the way down, at whatever level.
        proposes_guesses: True if it puts guesses in the place of the network's, by `image.propose`.
        moves_starts: False if no image comes straight down from a moved starting point, which would be stored beside it
            under a deterministic sampler; a plan's disk goes by it.
        samples_once: True if it costs one plain sampling at any cap; a plan's NFE go by it.
        takes_gradients: what the gradients go through that it asks for, as `gradient` says; None if it asks for none.
        makes: `images`, or `grids`: times of a sampler, each judged by a set of images.
    """

    anytime: ClassVar[bool] = False
    needs_absolute: ClassVar[bool] = True
    scores_guesses: ClassVar[bool] = False
    proposes_guesses: ClassVar[bool] = False
    moves_starts: ClassVar[bool] = True
    samples_once: ClassVar[bool] = False
    makes: ClassVar[Literal["images", "grids"]] = "images"

    def __post_init__(self) -> None:
        self.check()

    @property
    def needs_noise(self) -> bool:
        return False

    @property
    def looks_ahead(self) -> bool:
        return False

    @property
    def guidance(self) -> Guidance | None:
        """Return the guidance that its steps need, which is then the run's; None leaves that to `guidance=`.

        It follows from the parameters alone, and not from the sizes that a cap decides.
        """
        return None

    @property
    def takes_gradients(self) -> Through | None:
        return None

    @property
    def natural(self) -> dict[str, int]:
        """Return the sizes it runs at under `budget=natural`, by field; under a cap these fields stay None."""
        return {size.name: size.metadata["natural"] for size in fields(cast(Any, self)) if "natural" in size.metadata}

    def check(self, **rules: parameters.Rule | float | Iterable[Any]) -> None:
        """Check its parameters: types by annotation, and by name a `Rule`, a least value or the values to choose from.

        Raises:
            ValueError: a value breaks a rule.
        """
        parameters.check(self, "search", **rules)

    def minimum(self, sampling: int) -> int:
        """Return the least cap, in NFE, at which it makes an image; `sampling` is the NFE of a plain one."""
        return sampling

    def minimum_calls(self, image: Image) -> int | None:
        """Return the least cap, in verifier calls, at which it makes an image; None if it cannot plan for such a cap.

        A planned search that can says so here, and takes its prices from `image.price`.
        """
        return 1 if self.anytime else None

    def sized_for(self, cap: int, image: Image) -> Self:
        """Return the search sized for a cap, from the prices of `image`.

        By default each of its sizes is the number of samplings that the cap pays for: of NFE, or of `minimum_calls`.
        Only planned searches are asked, and for a cap in verifier calls only those that state `minimum_calls`.
        """
        price = image.price(image.cost(), self.minimum_calls(image) or 0)
        return replace(cast(Any, self), **dict.fromkeys(self.natural, cap // price))

    def noisiest_scored(self, image: Image) -> Level:
        """Return the noisiest level whose guess it asks the reward of; the clean one if it scores images alone.

        A verifier that compares an image with the guess at a level cannot score guesses down to that.
        """
        return image.grid[0 if self.scores_guesses else -1]

    def recipe_numbers(self, shape: tuple[int, ...]) -> int:
        """Return how many numbers the recipe of a starting point holds, besides its key: those of a `LowBand`.

        With `keep_candidates` they are stored; a plan goes by it.
        """
        return 0

    @abstractmethod
    def run(self, image: Image) -> Coroutine:
        """Make one image; return its particle, or None for the best one rewarded."""


def guidance_under(search: Search, chosen: Guidance) -> Guidance:
    """Return the guidance of a search's steps: the one that it brings along, else the one that was chosen.

    Raises:
        ValueError: there are both.
    """
    own = search.guidance
    if own is None or own == chosen:
        return chosen
    if not isinstance(chosen, NoGuidance):
        raise ValueError(
            f"{type(search).__name__} guides its steps itself, by {type(own).__name__}, and {type(chosen).__name__} "
            "was chosen besides; set guidance=none"
        )
    return own


def require_search(kind: type) -> None:
    """Refuse a class of what is no search: a frozen dataclass that inherits `Search`.

    Raises:
        ValueError: naming the class, its line, and what is missing.
    """
    options = getattr(kind, "__dataclass_params__", None)
    fields_of_its_own = [name for name, hint in get_annotations(kind).items() if "ClassVar" not in str(hint)]
    if not issubclass(kind, Search):
        missing = "does not inherit its.Search, which has minimum, sized_for and whatever a search leaves unsaid"
    elif options is None or (fields_of_its_own and "__dataclass_params__" not in vars(kind)):
        missing = "is no dataclass, so that it has no parameters; write @dataclass(frozen=True) above it"
    elif not options.frozen:
        missing = "is not frozen, and one search makes every image; write @dataclass(frozen=True) above it"
    else:
        return
    raise ValueError(f"{parameters.place_of(kind)}: search {kind.__name__} {missing}")


def sized_to(search: Search, cap: int, image: Image) -> Search:
    """Return a planned search sized for a cap; see `Search.sized_for`.

    Raises:
        ValueError: that returned something else than such a search.
    """
    planned = search.sized_for(cap, image)
    if type(planned) is not type(search):
        raise ValueError(
            f"{parameters.place_of(type(search))}: sized_for of {type(search).__name__} returned "
            f"{type(planned).__name__}; it returns the search sized for a cap, as replace(self, particles=...)"
        )
    return planned
