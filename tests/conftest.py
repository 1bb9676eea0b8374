"""A laboratory for searches: engines over the analytic mixture, scripted searches, and results as bits."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
import torch
from torch import Tensor

from its.budget import Currency
from its.dataset.mixture import Mixture
from its.engine import Engine, Result
from its.engine.noise import Noise, normal
from its.levels import Level
from its.model.mixture import MixtureDenoiser
from its.particles.image import Image
from its.particles.particle import Particle
from its.particles.verbs import Through
from its.run.experiment import Experiment
from its.sampler.ddim import DDIM
from its.sampler.sampler import Sampler
from its.search.search import Coroutine, Search
from its.types import Problem
from its.verifier.classifier import Classifier
from tests.build import make_experiment


@dataclass(frozen=True)
class Script(Search):
    """A search whose coroutine is a function written inside a test."""

    body: Callable[[Image], Coroutine]
    anytime: bool = False
    guidance: Any = None
    takes_gradients: Through | None = None
    needs_absolute = False
    makes = "grids"  # so that it may return an image that it had not rewarded

    def sized_for(self, nfe: int, image: Image) -> Self:
        return self

    def run(self, image: Image) -> Coroutine:
        return self.body(image)


class Enlarged:
    """A decoder of latents 1 x 4 x 4 to images 1 x 8 x 8."""

    shape = (1, 8, 8)

    def __call__(self, latents: Tensor) -> Tensor:
        return latents.repeat_interleave(2, -1).repeat_interleave(2, -2)


@dataclass(frozen=True)
class Lab:
    """Everything runs on a mixture of four components, 1 x 4 x 4, in float64.

    Attributes:
        interval: shares of the top time between which its models are guided; None: where a test says so.
        latent: whether its models have a decoder.
        guided: whether its engines have a guide, for searches that guide their steps themselves.
    """

    data: Mixture = field(default_factory=Mixture)
    script: type[Script] = Script
    interval: tuple[float, float] | None = None
    latent: bool = False
    guided: bool = False

    def denoiser(
        self, *, path: str = "vp", scale: float = 1.0, kind: type[MixtureDenoiser] = MixtureDenoiser
    ) -> MixtureDenoiser:
        """Unconditional, or guided towards the wanted component where `scale` is not 1.

        With an `interval`, shares of the top time, always guided, and only there; with `latent`, it has a decoder.
        """
        scale = 2.0 if self.interval and scale == 1.0 else scale
        top = 999.0 if path == "vp" else 1.0
        interval = self.interval and [top * end for end in self.interval]
        model = kind(self.data, path, conditional=scale != 1.0, guidance_scale=scale, guidance_interval=interval)
        model.decoder = Enlarged() if self.latent else None
        return model

    def nfe(self, levels: Iterable[Level], *, path: str = "vp", scale: float = 1.0) -> int:
        """NFE of an evaluation at each of these levels."""
        if self.interval is None:
            return sum(1 if scale == 1.0 else 2 for _ in levels)
        (low, high), top = self.interval, 999.0 if path == "vp" else 1.0
        return sum(2 if low <= level.time / top <= high else 1 for level in levels)

    def logits(self, images: Tensor) -> Tensor:
        """Of images as the models here make them."""
        return self.data.logits(images[..., ::2, ::2] if self.latent else images)

    def engine(
        self,
        sampler: Sampler,
        model: MixtureDenoiser | None = None,
        verifier: object = None,
        *,
        seed: int = 0,
        batch: int = 32,
        rows: int | None = None,
        noise: Noise = normal,
        guide: object = None,
        **sizes: int,
    ) -> Engine:
        verifiers = {"select": verifier or Classifier(self.logits)}
        if guide or self.guided:
            verifiers["guide"] = guide or Classifier(self.logits)
        model = model or self.denoiser()
        return Engine(model, sampler, verifiers, seed=seed, batch=batch, rows=rows, noise=noise, **sizes)

    def problems(self, indices: Iterable[int]) -> list[Problem]:
        return [Problem(index, self.data.condition(index)) for index in indices]

    def results(
        self,
        engine: Engine,
        search: Search,
        caps: Sequence[float],
        indices: Iterable[int],
        currency: Currency = "nfe",
    ) -> dict[int, Result]:
        return {r.problem.index: r for r in engine.run(search, caps, self.problems(indices), currency)}

    def bits(self, *args: object) -> dict[int, list[tuple]]:
        """`results` as what can be compared with ==."""
        return self.as_bits(self.results(*args))

    @staticmethod
    def as_bits(results: dict[int, Result]) -> dict[int, list[tuple]]:
        """Bytes, rewards to the last bit, ledgers."""
        return {
            index: [(o.image.tobytes(), float(o.reward).hex(), dict(o.ledger)) for o in result.outcomes]
            for index, result in results.items()
        }

    def play(
        self,
        body: Callable[[Image], Coroutine],
        sampler: Sampler | None = None,
        model: MixtureDenoiser | None = None,
        verifier: object = None,
    ) -> Result:
        """Run a scripted, uncapped search on one image."""
        engine = self.engine(sampler or DDIM(steps=10, eta=1.0), model, verifier, rows=8192)
        return self.results(engine, Script(body), (math.inf,), [0])[0]

    @staticmethod
    def rows(particles: Sequence[Particle]) -> Tensor:
        """The states of particles that have been evaluated or advanced to, `[n, 16]`."""
        return torch.cat([p.state.x.rows.take([p.state.x]) for p in particles]).flatten(1)

    @staticmethod
    def guesses(particles: Sequence[Particle]) -> tuple[Tensor, Tensor]:
        """x0_hat and eps_hat of evaluated particles, each `[n, 16]`."""
        states = [p.state for p in particles]
        return (
            torch.cat([s.guess.row.rows.take([s.guess.row]) for s in states]).flatten(1),
            torch.cat([s.own.eps.rows.take([s.own.eps]) for s in states]).flatten(1),
        )


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """On one thread: its tensors are too small to share."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield Lab()
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def inception_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with random weights in the format of pt_inception-2015-12-05-6726825d.pth."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    class Bare(FeatureExtractorInceptionV3):
        def load_state_dict(self, state: dict) -> None:
            """Keep what the constructor made."""

    nothing = io.BytesIO()
    torch.save({}, nothing)
    nothing.seek(0)
    state = Bare("inception-v3-compat", ["2048"], feature_extractor_weights_path=nothing).state_dict()
    generator = torch.Generator().manual_seed(0)
    for name, value in state.items():
        if name.endswith("conv.weight"):
            value.normal_(0.0, (2.0 / value[0].numel()) ** 0.5, generator=generator)
        elif name == "fc.bias":
            value.normal_(0.0, 2.0, generator=generator)  # which the inception score leaves out
        elif name.endswith("bias"):
            value.normal_(0.0, 0.1, generator=generator)
        elif name == "fc.weight":
            value.normal_(0.0, 0.05, generator=generator)
    path = tmp_path_factory.mktemp("inception") / "random.pth"
    torch.save(state, path)
    return path


@pytest.fixture(scope="session")
def cifar() -> dict[str, np.ndarray]:
    """The real CIFAR-10 images of ../shared/data: `train` and `test`, uint8 `[n, 32, 32, 3]`."""
    path = Path(__file__).parents[2] / "shared" / "data" / "cifar10" / "cifar10-lossless-subset.npz"
    if not path.is_file():
        pytest.skip(f"the CIFAR-10 subset is not at {path}")
    with np.load(path, allow_pickle=False) as file:
        return {"train": file["train_x"], "test": file["test_x"]}


@pytest.fixture
def experiment(tmp_path: Path) -> Callable[..., Experiment]:
    """Build an experiment below `tmp_path`."""
    return lambda folder, *overrides: make_experiment(tmp_path / folder, *overrides)
