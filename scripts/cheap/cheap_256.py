"""Images of 256x256 that cost next to nothing: the exact denoiser of a Gaussian, in pixels or in small latents.

What memory, disk and moving runs cost at 256x256 is shown with it on two cores, without weights or downloads:

    python run.py 'plugins=[scripts/cheap/cheap_256.py]' 'hydra.searchpath=[scripts/cheap/conf]' \
        dataset=cheap_256 model=cheap_256 verifier=cheap_256 sampler=euler \
        sampler.steps=4 metric=standard ~metric.isc ~metric.accuracy
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from its import ClassOrder, Device, Extractor, Flow, NetworkDenoiser, Verifier

SIZE, LATENT, CLASSES, STD = 256, 16, 10, 0.3
"""Pixels of a side of an image and of a latent; classes; the standard deviation of a latent's numbers."""


def means() -> Tensor:
    """Return the mean latent of each class, float32 `[classes, 3, LATENT, LATENT]`."""
    generator = torch.Generator().manual_seed(7)
    return torch.rand(CLASSES, 3, LATENT, LATENT, generator=generator) - 0.5


class Denoiser:
    """The exact posterior mean of latents of one class under the flow path, or of images, whose means are decoded."""

    def __init__(self, means: Tensor) -> None:
        self._means = means

    def __call__(self, x: Tensor, time: Tensor, label: Tensor | None) -> Tensor:
        sigma = time.to(x).reshape(-1, 1, 1, 1)
        alpha, mean = 1 - sigma, self._means[label]
        return mean + (alpha * STD**2 / ((alpha * STD) ** 2 + sigma**2)) * (x - alpha * mean)


class Enlarge:
    """A decoder of latents `[n, 3, LATENT, LATENT]`: larger, under a fixed texture, so that no two pixels are equal."""

    shape: tuple[int, ...] = (3, SIZE, SIZE)

    def __init__(self, device: Device = "cpu") -> None:
        generator = torch.Generator().manual_seed(8)
        self._texture = (0.1 * torch.randn(3, SIZE, SIZE, generator=generator)).to(device)

    def __call__(self, latents: Tensor) -> Tensor:
        return (interpolate(latents.float(), SIZE, mode="bilinear") + self._texture).clamp(-1, 1)


def load(latent: bool = True, device: Device = "cpu") -> NetworkDenoiser:
    """Return the model; in pixels (`latent=false`) each row of the engine is a whole image."""
    decoder, mean = Enlarge(device), means().to(device)
    mean, shape = (mean, mean.shape[1:]) if latent else (decoder(mean), decoder.shape)
    return NetworkDenoiser(
        Denoiser(mean),
        Flow(),
        "sample",
        shape=tuple(shape),
        clip=None,
        conditional=True,
        decoder=decoder if latent else None,
        device=device,
    )


@dataclass(frozen=True)
class Images:
    """The problems: ten classes."""

    class_order: ClassOrder
    num_classes: int = CLASSES

    @property
    def shape(self) -> tuple[int, ...]:
        return Enlarge.shape

    def condition(self, index: int) -> int:
        return self.class_order.condition(index, CLASSES)


@dataclass(frozen=True)
class Real:
    """Real images, made when they are read: an image set that is never whole in memory."""

    count: int = 1000
    source: str = "exact images"

    @property
    def account(self) -> str:
        return f"{self.count} {self.source}"

    @property
    def shape(self) -> tuple[int, ...]:
        return Enlarge.shape

    def __len__(self) -> int:
        return self.count

    def batches(self, rows: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        generator, mean, decoder = torch.Generator().manual_seed(9), means(), Enlarge()
        for first in range(0, self.count, step := min(rows, 100)):
            labels = torch.arange(first, min(first + step, self.count)) % CLASSES
            latents = mean[labels] + STD * torch.randn(len(labels), *mean.shape[1:], generator=generator)
            pixels = (127.5 * (decoder(latents) + 1)).round().to(torch.uint8)
            yield pixels.movedim(1, -1).contiguous().numpy(), labels.numpy()

    def fingerprint(self) -> str:
        return sha256(f"cheap {self}".encode()).hexdigest()


class Blocks(Extractor):
    """An extractor of 256 numbers: the mean of each of 16 x 16 blocks."""

    name = "blocks"
    widths = MappingProxyType({"moments": 256})

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        side = SIZE // 16
        parts = [images[k : k + 64].reshape(-1, 16, side, 16, side, 3) for k in range(0, len(images), 64)]
        means = [part.mean(axis=(2, 4, 5), dtype=np.float32) for part in parts]
        return {"features": np.concatenate(means).reshape(-1, 256) / 127.5 - 1}


class Brightness(Verifier):
    """A verifier that likes bright images."""

    absolute = True

    def reward(self, images: Tensor, conditions: Any) -> Tensor:
        return images.flatten(1).mean(dim=1)
