"""A laboratory for searches: engines over the analytic mixture, scripted searches, and results as bits."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Self

import pytest
import torch
from torch import Tensor

from its.dataset.mixture import Mixture
from its.engine import Engine, Result
from its.image import Image, Particle
from its.model.mixture import MixtureDenoiser
from its.sampler.ddim import DDIM
from its.sampler.sampler import Sampler
from its.types import Coroutine, Problem, Search
from its.verifier.classifier import Classifier


@dataclass(frozen=True)
class Script:
    """A search whose coroutine is a function written inside a test."""

    body: Callable[[Image], Coroutine]
    anytime: bool = False
    peak_rows: int = 64
    natural: ClassVar[dict[str, int]] = {}
    needs_noise: ClassVar[bool] = False

    def minimum(self, sampling: int) -> int:
        return sampling

    def plan(self, nfe: int, image: Image) -> Self:
        return self

    def run(self, image: Image) -> Coroutine:
        return self.body(image)


@dataclass(frozen=True)
class Lab:
    """Everything runs on a mixture of four components, 1 x 4 x 4, in float64."""

    data: Mixture = field(default_factory=Mixture)
    script: type[Script] = Script

    def denoiser(self, *, path: str = "vp", scale: float = 1.0) -> MixtureDenoiser:
        """Unconditional, or guided towards the wanted component where `scale` is not 1."""
        return MixtureDenoiser(self.data, path, conditional=scale != 1.0, guidance_scale=scale)

    def engine(self, sampler: Sampler, model: MixtureDenoiser | None = None, verifier: object = None, *,
               seed: int = 0, batch: int = 32, rows: int | None = None) -> Engine:
        verifiers = {"select": verifier or Classifier(self.data.logits)}
        return Engine(model or self.denoiser(), sampler, verifiers, seed=seed, batch=batch, rows=rows)

    def problems(self, indices: Iterable[int]) -> list[Problem]:
        return [Problem(index, self.data.condition(index)) for index in indices]

    def results(self, engine: Engine, search: Search, caps: Sequence[float],
                indices: Iterable[int]) -> dict[int, Result]:
        return {r.problem.index: r for r in engine.run(search, caps, self.problems(indices))}

    def bits(self, *args: object) -> dict[int, list[tuple]]:
        """`results` as what can be compared with ==."""
        return self.as_bits(self.results(*args))

    @staticmethod
    def as_bits(results: dict[int, Result]) -> dict[int, list[tuple]]:
        """Bytes, rewards to the last bit, ledgers."""
        return {index: [(o.image.tobytes(), float(o.reward).hex(), dict(o.ledger)) for o in result.outcomes]
                for index, result in results.items()}

    def play(self, body: Callable[[Image], Coroutine], sampler: Sampler | None = None,
             model: MixtureDenoiser | None = None, verifier: object = None) -> Result:
        """Run a scripted, uncapped search on one image."""
        engine = self.engine(sampler or DDIM(steps=10, eta=1.0), model, verifier, rows=8192)
        return self.results(engine, Script(body), (math.inf,), [0])[0]

    @staticmethod
    def rows(particles: Sequence[Particle]) -> Tensor:
        """The states of particles that have been evaluated or advanced to, `[n, 16]`."""
        return torch.cat([p.state.x.pool.take([p.state.x]) for p in particles]).flatten(1)

    @staticmethod
    def guesses(particles: Sequence[Particle]) -> tuple[Tensor, Tensor]:
        """x0_hat and eps_hat of evaluated particles, each `[n, 16]`."""
        states = [p.state for p in particles]
        return (torch.cat([s.guess.slot.pool.take([s.guess.slot]) for s in states]).flatten(1),
                torch.cat([s.eps.pool.take([s.eps]) for s in states]).flatten(1))


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """On one thread: its tensors are too small to share."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield Lab()
    torch.set_num_threads(threads)
