"""Two classifiers of drawings, of different kinds: one is asked during a search, the other measures the result."""

import torch
from torch import nn

from its import Device, Weights, locate


class Convolutions(nn.Sequential):
    """Logits [n, 4] of images [n, 1, 16, 16]."""

    def __init__(self):
        super().__init__(
            nn.Conv2d(1, 16, 3, stride=2, padding=1), nn.SiLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.SiLU(),
            nn.Flatten(), nn.Linear(32 * 16, 4),
        )  # fmt: skip


class Taste:
    """The log-probability of the class that an image was asked for."""

    absolute = True

    def __init__(self, weights: Weights, device: Device = "cpu"):
        self.network = frozen(Convolutions(), weights).to(device)

    def reward(self, images, conditions):
        logits = self.network(images).log_softmax(dim=1)
        return logits[torch.arange(len(images)), torch.tensor(conditions)]


class Perceptron(nn.Module):
    """Features [n, 32] of images, and logits [n, 4] of features."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(256, 64), nn.GELU(), nn.Linear(64, 32), nn.Tanh())
        self.head = nn.Linear(32, 4)

    def features(self, images):
        return self.layers(images)

    def forward(self, images):
        return self.head(self.features(images))


def judge(weights: Weights):
    """Return the network that measures."""
    return frozen(Perceptron(), weights)


def frozen(network, weights):
    """Return a network with the weights of a file, for use alone."""
    network.load_state_dict(torch.load(locate(weights), weights_only=True))
    return network.eval().requires_grad_(False)
