"""A Gaussian mixture of small images: everything about it is known in closed form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from its.dataset.classes import Schedule
from its.pixels import to_uint8


@dataclass(frozen=True)
class Mixture:
    """Equal parts of `classes` isotropic Gaussians, whose means are fixed random patterns.

    Attributes:
        classes: components; a problem's condition is the component it asks for.
        size: height and width of an image with one channel.
        std: standard deviation of each component around its mean.
        schedule: which component each problem asks for.
    """

    classes: int = 4
    size: int = 4
    std: float = 0.12
    schedule: Schedule = field(default_factory=Schedule)

    def __post_init__(self) -> None:
        if self.classes < 1 or self.size < 1 or self.std <= 0:
            raise ValueError(f"mixture of {self.classes} classes, size {self.size}, std {self.std}; all are above 0")
        self.schedule.check(self.classes)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Event shape (C, H, W)."""
        return (1, self.size, self.size)

    @cached_property
    def means(self) -> np.ndarray:
        """Component means in [-0.5, 0.5], float64 `[classes, C * H * W]`."""
        return np.random.Generator(np.random.Philox(key=7)).uniform(-0.5, 0.5, (self.classes, self.size**2))

    def condition(self, index: int) -> int:
        """Component wanted by problem `index`."""
        return self.schedule.condition(index, self.classes)

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Exact mean `[d]` and covariance `[d, d]` of images of all components."""
        mean = self.means.mean(axis=0)
        spread = self.means - mean
        return mean, spread.T @ spread / self.classes + self.std**2 * np.eye(self.means.shape[1])

    def logits(self, images: Tensor) -> Tensor:
        """Exact log-likelihood of each component, up to a constant: `[n, classes]` of images `[n, C, H, W]`."""
        means = torch.as_tensor(self.means, device=images.device)
        distance = (images.double().flatten(1)[:, None, :] - means).square().sum(-1)
        return -distance / (2.0 * self.std**2)

    def reference(self) -> tuple[np.ndarray, np.ndarray]:
        """5,000 exact samples, uint8 `[n, H, W, C]`, with their components, int64 `[n]`."""
        images, labels = self.draw(5000, seed=1)
        return to_uint8(torch.from_numpy(images)).numpy(), labels

    def draw(self, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """`n` exact samples, float64 `[n, C, H, W]`, with their components, int64 `[n]`."""
        random = np.random.Generator(np.random.Philox(key=seed))
        labels = np.arange(n) % self.classes
        flat = self.means[labels] + self.std * random.standard_normal((n, self.means.shape[1]))
        return flat.reshape(n, *self.shape), labels.astype(np.int64)


def bayes_classifier(data: Mixture) -> Callable[[Tensor], Tensor]:
    """The best classifier there is: images to the exact log-likelihoods of the components."""
    return data.logits
