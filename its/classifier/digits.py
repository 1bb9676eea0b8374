"""Small digit classifiers: one to search with, a held-out one of another architecture, and a noise-aware one.

`scripts/train_digits.py` trains the first two on disjoint halves of the real images. All are smooth (SiLU and
GELU, average pooling), so that a log-probability has a gradient with respect to the image.
"""

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from its.model.checkpoint import conversion
from its.weights import Weights, locate


class VerifierNet(nn.Module):
    """A classifier of three convolutions and a linear head, 0.04 M parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 24, 3, padding=1),
            nn.GroupNorm(4, 24),
            nn.SiLU(),
            nn.Conv2d(24, 48, 3, padding=1),
            nn.GroupNorm(4, 48),
            nn.SiLU(),
            nn.AvgPool2d(2),
            nn.Conv2d(48, 48, 3, padding=1),
            nn.SiLU(),
            nn.Flatten(),
            nn.Dropout(0.2),
        )
        self.head = nn.Linear(48 * 4 * 4, 10)

    def features(self, images: Tensor) -> Tensor:
        """Return penultimate features [n, 768] of float images [n, 1, 8, 8] in [-1, 1]."""
        return self.body(images)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [n, 10], which are `head` of the features."""
        return self.head(self.features(images))


class ReportNet(nn.Module):
    """A residual perceptron over pixels, 0.08 M parameters; distances use its features."""

    num_features: int = 48

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        self.stem = nn.Linear(64, width)
        self.blocks = nn.ModuleList(_ResidualBlock(width) for _ in range(2))
        self.neck = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, self.num_features), nn.GELU())
        self.head = nn.Linear(self.num_features, 10)

    def features(self, images: Tensor) -> Tensor:
        """Return penultimate features [n, 48] of float images [n, 1, 8, 8] in [-1, 1]."""
        hidden = self.stem(images.flatten(1))
        for block in self.blocks:
            hidden = hidden + block(hidden)
        return self.neck(hidden)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [n, 10], which are `head` of the features."""
        return self.head(self.features(images))


class _ResidualBlock(nn.Sequential):
    """The residual branch of a block: norm, two linear layers with GELU and dropout between."""

    def __init__(self, width: int) -> None:
        super().__init__(
            nn.LayerNorm(width),
            nn.Linear(width, width),
            nn.GELU(),
            nn.Dropout(0.2),
            nn.Linear(width, width),
        )


class NoisyNet(nn.Module):
    """A noise-aware classifier of three convolutions and a linear head, 0.04 M parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 24, 3, padding=1),
            nn.GroupNorm(4, 24),
            nn.SiLU(),
            nn.Conv2d(24, 48, 3, padding=1),
            nn.GroupNorm(4, 48),
            nn.SiLU(),
            nn.AvgPool2d(2),
            nn.Conv2d(48, 48, 3, padding=1),
            nn.SiLU(),
            nn.Flatten(),
        )
        self.head = nn.Linear(48 * 4 * 4, 10)

    def forward(self, x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """Return logits [n, 10] of `x = alpha x_0 + sigma eps` [n, 1, 8, 8]; alpha, sigma are [n, 1, 1, 1]."""
        alpha, sigma = alpha.to(x), sigma.to(x)
        scale = (alpha**2 + sigma**2).sqrt()
        channels = [x / scale, (alpha / scale).expand_as(x), (sigma / scale).expand_as(x)]
        return self.head(self.body(torch.cat(channels, dim=1)))


CLASSIFIERS: dict[str, type[nn.Module]] = {"VerifierNet": VerifierNet, "ReportNet": ReportNet, "NoisyNet": NoisyNet}


def load(cls_name: str, weights: Weights) -> nn.Module:
    """Return classifier `cls_name` with the weights of a safetensors file, frozen, in eval mode.

    Raises:
        ValueError: `cls_name` is unknown, the file is not safetensors, or names or shapes in it
            differ from the architecture's.
    """
    if cls_name not in CLASSIFIERS:
        raise ValueError(f"cls_name is {cls_name!r}, but digits has {', '.join(CLASSIFIERS)}; choose one")
    network, path = CLASSIFIERS[cls_name](), locate(weights)
    try:
        network.load_state_dict(load_file(path), strict=True)
    except SafetensorError as error:
        remedy = "fetch it again" if path.suffix == ".safetensors" else f"convert it once: {conversion(path)}"
        raise ValueError(f"{weights} is not safetensors ({error}); {remedy}") from error
    except RuntimeError as error:
        raise ValueError(f"{weights} does not fit {cls_name}: {' '.join(str(error).split())}") from error
    return network.requires_grad_(False).eval()
