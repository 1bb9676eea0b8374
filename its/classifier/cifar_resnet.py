"""Residual networks for 32x32 images: He et al. 2015 (arXiv:1512.03385, sec. 4.2), and ResNet-18 as TFG uses it."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from its.classifier.classifier import ImageClassifier
from its.classifier.labels import match_classes
from its.dataset.class_names import ClassNames
from its.model.checkpoint import fit, read
from its.model.wrappers import StateDict
from its.weights import Device, Weights

ARCHITECTURES = {"resnet20": 3, "resnet32": 5, "resnet44": 7, "resnet56": 9, "resnet110": 18, "resnet18": 2}
"""The number of blocks in a stage."""


class CifarResNet(nn.Module):
    """A residual network of three stages of 16, 32 and 64 channels (He et al.), or four from 64 on (`resnet18`).

    He et al.'s shortcuts between stages have no parameters (option A): every second pixel, padded by zero channels.

    Args:
        architecture: one of ARCHITECTURES.
    """

    def __init__(self, architecture: str, classes: int = 10) -> None:
        super().__init__()
        wide = architecture == "resnet18"
        widths = (64, 128, 256, 512) if wide else (16, 32, 64)
        self.conv1 = nn.Conv2d(3, widths[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])

        # Every stage but the first begins by halving the image.
        into = widths[0]
        for index, width in enumerate(widths):
            strides = [1 if index == 0 else 2] + [1] * (ARCHITECTURES[architecture] - 1)
            blocks = []
            for stride in strides:
                blocks.append(Block(into, width, stride, projects=wide))
                into = width
            setattr(self, f"layer{index + 1}", nn.Sequential(*blocks))

        # The published checkpoints call the last layer by two names.
        self.stages = len(widths)
        self.last = "fc" if wide else "linear"
        setattr(self, self.last, nn.Linear(into, classes))

    def features(self, x: Tensor) -> Tensor:
        """Compute penultimate features `[n, 64 or 512]` of normalised images."""
        x = F.relu(self.bn1(self.conv1(x)))
        for index in range(self.stages):
            x = getattr(self, f"layer{index + 1}")(x)
        return x.mean(dim=(2, 3))

    def head(self, features: Tensor) -> Tensor:
        """Compute logits of features."""
        return getattr(self, self.last)(features)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


class Block(nn.Module):
    """A residual block of two convolutions and a shortcut.

    Args:
        projects: whether a shortcut that changes the shape is a convolution, and not option A.
    """

    def __init__(self, into: int, out: int, stride: int, *, projects: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(into, out, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.stride, self.added = stride, out - into
        changes = stride != 1 or into != out
        self.shortcut = (
            nn.Sequential(nn.Conv2d(into, out, 1, stride=stride, bias=False), nn.BatchNorm2d(out))
            if projects and changes
            else nn.Sequential()
        )

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if len(self.shortcut) or not self.added:
            return F.relu(hidden + self.shortcut(x))
        thinned = x[:, :, :: self.stride, :: self.stride]
        return F.relu(hidden + F.pad(thinned, (0, 0, 0, 0, self.added // 2, self.added - self.added // 2)))


class CifarClassifier(ImageClassifier):
    """A CifarResNet with its normalisation; distances use its features."""

    network: CifarResNet

    def features(self, images: Tensor) -> Tensor:
        """Compute penultimate features of images in [-1, 1]."""
        return self.network.features(self.prepared(images))

    def head(self, features: Tensor) -> Tensor:
        """Compute logits of features, in the dataset's order."""
        logits = self.network.head(features)
        return logits if self.order is None else logits[:, self.order]


def load(
    weights: Weights,
    architecture: str,
    *,
    weights_key: str | None = None,
    mean: Sequence[float] = (0.485, 0.456, 0.406),
    std: Sequence[float] = (0.229, 0.224, 0.225),
    classes: str | Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
    device: Device = "cpu",
) -> CifarClassifier:
    """Load a state dict, `.th`, `.pt` or safetensors.

    Args:
        architecture: one of ARCHITECTURES.
        weights_key: of a file with several state dicts, see `its.model.checkpoint.read`.
        mean, std: of the pixels that it was trained on, by channel.
        classes: the dataset's class names, or `imagenet`; None is ten of them.
        labels: the checkpoint's class names, in its order; None is the dataset's order.

    Raises:
        ValueError: unknown architecture, other names or shapes, or other classes.
    """
    if architecture not in ARCHITECTURES:
        raise ValueError(f"architecture is {architecture!r}; choose one of {', '.join(ARCHITECTURES)}")
    state = read(weights, weights_key)
    count = 10 if classes is None else len(ClassNames.of(classes).words)
    network = CifarResNet(architecture, count)
    fit(
        network,
        state,
        weights,
        f"its names tell architecture={architecture_of(state) or 'none'} of "
        f"{', '.join(ARCHITECTURES)}; the dataset has {count} classes",
    )
    order = match_classes(labels, classes, weights) if labels is not None and classes is not None else None
    return CifarClassifier(network, mean, std, order=order).to(device)


def architecture_of(state: StateDict) -> str | None:
    """Return the one of ARCHITECTURES whose names a state dict has; None if it has others."""
    blocks = len({name.split(".")[1] for name in state if name.startswith("layer1.")})
    wide = any(name.startswith("layer4.") for name in state)
    return next((name for name, n in ARCHITECTURES.items() if (n, name == "resnet18") == (blocks, wide)), None)
