"""A Gaussian mixture of small images, of which everything has a closed form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from its import parameters
from its.dataset.classes import ClassOrder
from its.pixels import to_uint8


@dataclass(frozen=True)
class Mixture:
    """Equal parts of `classes` isotropic Gaussians, whose means are fixed random patterns.

    Attributes:
        classes: components; a problem's condition is the component it asks for.
        size: height and width of an image with one channel.
        std: standard deviation of each component around its mean.
        class_order: the component that each problem asks for.
    """

    classes: int = 4
    size: int = 4
    std: float = 0.12
    class_order: ClassOrder = field(default_factory=ClassOrder)

    def __post_init__(self) -> None:
        parameters.check(self, "dataset.images", classes=1, size=1, std=parameters.ABOVE_ZERO)
        self.class_order.check(self.classes)

    @property
    def shape(self) -> tuple[int, int, int]:
        """The event shape (C, H, W)."""
        return (1, self.size, self.size)

    @cached_property
    def means(self) -> np.ndarray:
        """The components' means in [-0.5, 0.5], float64 `[classes, C * H * W]`."""
        return np.random.Generator(np.random.Philox(key=7)).uniform(-0.5, 0.5, (self.classes, self.size**2))

    def condition(self, index: int) -> int:
        """Return the component that problem `index` asks for."""
        return self.class_order.condition(index, self.classes)

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the exact mean `[d]` and covariance `[d, d]` of images of all components, float64."""
        mean = self.means.mean(axis=0)
        spread = self.means - mean
        return mean, spread.T @ spread / self.classes + self.std**2 * np.eye(self.means.shape[1])

    def logits(self, images: Tensor) -> Tensor:
        """Compute exact log-likelihoods, up to a constant: `[n, classes]` of images `[n, C, H, W]`."""
        means = torch.as_tensor(self.means, device=images.device)
        distance = (images.double().flatten(1)[:, None, :] - means).square().sum(-1)
        return -distance / (2.0 * self.std**2)

    def reference(self) -> tuple[np.ndarray, np.ndarray]:
        """Draw the 5,000 reference images, uint8 `[n, H, W, C]`, with their components, int64 `[n]`."""
        images, labels = self.draw(5000, seed=1)
        return to_uint8(torch.from_numpy(images)).numpy(), labels

    def draw(self, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw `n` exact samples, float64 `[n, C, H, W]`, with their components in turn, int64 `[n]`."""
        random = np.random.Generator(np.random.Philox(key=seed))
        labels = np.arange(n) % self.classes
        flat = self.means[labels] + self.std * random.standard_normal((n, self.means.shape[1]))
        return flat.reshape(n, *self.shape), labels.astype(np.int64)


def bayes_classifier(data: Mixture) -> Callable[[Tensor], Tensor]:
    """Return the Bayes classifier: images `[n, C, H, W]` to the exact log-likelihoods `[n, classes]`."""
    return data.logits
