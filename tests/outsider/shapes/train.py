"""Make all weights of this package in seconds: `python -m shapes.train FOLDER`."""

import sys
from pathlib import Path

import torch
from shapes.drawings import draw
from shapes.judges import Convolutions, Perceptron
from shapes.vit import NO_CLASS, SIGMA_MIN, ViT
from torch import nn


def batches(steps, seed, rows=64):
    """Yield drawings in [-1, 1] and their labels."""
    images, labels = draw(2000, seed)
    images = torch.tensor(images).permute(0, 3, 1, 2) / 127.5 - 1
    for _ in range(steps):
        chosen = torch.randint(len(images), (rows,))
        yield images[chosen], torch.tensor(labels)[chosen]


def fit(network, losses, rate=2e-3):
    """Take a step down each of these losses."""
    optimizer = torch.optim.Adam(network.parameters(), rate)
    for loss in losses:
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def main(folder, steps=200):
    torch.manual_seed(0)
    folder = Path(folder)
    for network, name, seed in ((Convolutions(), "taste.pt", 2), (Perceptron(), "judge.pt", 3)):
        fit(network, (nn.functional.cross_entropy(network(x), y) for x, y in batches(steps, seed)))
        torch.save(network.state_dict(), folder / name)
    vit = ViT()
    fit(vit, (matching(vit, x, y) for x, y in batches(steps, seed=4)))
    vit.save(folder / "vit.npz")


def matching(network, image, label):
    """Return the loss of conditional flow matching, a tenth of the rows without their class."""
    t, noise = torch.rand(len(image), 1, 1, 1), torch.randn_like(image)
    label = torch.where(torch.rand(len(image)) < 0.1, NO_CLASS, label)
    predicted = network(t * image + (1 - (1 - SIGMA_MIN) * t) * noise, t.flatten(), label)
    return (predicted - (image - (1 - SIGMA_MIN) * noise)).square().mean()


if __name__ == "__main__":
    main(sys.argv[1])
