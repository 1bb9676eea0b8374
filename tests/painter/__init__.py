"""A stranger's text-to-image model in closed form, and two verifiers of it; of `its` it knows the public face alone.

A prompt's picture is 8x8 of one colour, by the prompt's hash; its images are Gaussian around that.
"""

from hashlib import sha256

import torch

from its import Denoiser, Flow, Guess, Verifier

SHAPE = (3, 8, 8)
STD = 0.25


def picture_of(prompt):
    """Return the mean of a prompt's images, [3, 1, 1] in [-0.6, 0.6]; of no prompt grey."""
    if not isinstance(prompt, str):
        return torch.zeros(3, 1, 1)
    return torch.tensor([1.2 * byte / 255 - 0.6 for byte in sha256(prompt.encode()).digest()[:3]])[:, None, None]


class Painter(Denoiser):
    """The exact denoiser of a prompt's images."""

    shape = SHAPE
    dtype = torch.float32
    device = torch.device("cpu")
    path = Flow()
    slots = 1

    def __call__(self, x, levels, conditions):
        means = torch.stack([picture_of(prompt) for prompt in conditions])
        offset = x - levels.alpha * means
        variance = (levels.alpha * STD) ** 2 + levels.sigma**2
        return Guess(means + levels.alpha * STD**2 / variance * offset, levels.sigma / variance * offset)


class Closeness(Verifier):
    """How near an image is to its prompt's picture."""

    absolute = True

    def reward(self, images, conditions):
        means = torch.stack([picture_of(prompt) for prompt in conditions])
        return -(images - means).square().mean(dim=(1, 2, 3))


class Redness(Verifier):
    """How red an image is, whatever was asked for."""

    absolute = True

    def reward(self, images, conditions):
        return images[:, 0].mean(dim=(1, 2)) - images[:, 1:].mean(dim=(1, 2, 3))
