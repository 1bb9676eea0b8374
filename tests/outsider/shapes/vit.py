"""A small vision transformer that was trained by flow matching, in the file format of its training script.

Its path is that of Lipman et al. 2022 (arXiv:2210.02747, Eq. 20): with t from 0 (noise) to 1 (image),
x_t = t x_1 + (1 - (1 - SIGMA_MIN) t) x_0, and the network predicts u = x_1 - (1 - SIGMA_MIN) x_0.
"""

import json
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from its import Clipping, Denoiser, Device, Guess, GuidanceScale, Level, Weights, guided, locate

SIGMA_MIN = 0.01
NO_CLASS = 4


class ViT(nn.Module):
    """Predicts u of images [n, 1, 16, 16] at times [n] in [0, 1], given labels [n] from 0 to 4, of which 4 is none."""

    def __init__(self, width=64, depth=2, heads=4, patch=4):
        super().__init__()
        self.config = {"width": width, "depth": depth, "heads": heads, "patch": patch}
        self.patches = nn.Conv2d(1, width, patch, stride=patch)
        self.places = nn.Parameter(0.02 * torch.randn(1, (16 // patch) ** 2, width))
        self.time = nn.Sequential(nn.Linear(1, width), nn.SiLU(), nn.Linear(width, width))
        self.label = nn.Embedding(NO_CLASS + 1, width)
        layer = nn.TransformerEncoderLayer(
            width, heads, 2 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.pixels = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, patch * patch))
        self.fold = nn.Fold((16, 16), patch, stride=patch)

    def forward(self, x, time, label):
        tokens = self.patches(x).flatten(2).transpose(1, 2) + self.places
        tokens = tokens + (self.time(time[:, None]) + self.label(label))[:, None]
        return self.fold(self.pixels(self.blocks(tokens)).transpose(1, 2))

    def save(self, file):
        """Write settings and weights: one npz of arrays, the settings as text."""
        arrays = {name: value.detach().numpy() for name, value in self.state_dict().items()}
        np.savez(file, config=json.dumps(self.config), **arrays)


def read(file):
    """Return the network that `save` wrote."""
    with np.load(file, allow_pickle=False) as arrays:
        network = ViT(**json.loads(str(arrays["config"])))
        network.load_state_dict({name: torch.tensor(arrays[name]) for name in arrays if name != "config"})
    return network.eval().requires_grad_(False)


def solve(network, x, label, steps):
    """Return images by this network's own solver: Euler in t from 0 to 1."""
    for step in range(steps):
        x = x + network(x, torch.full((len(x),), step / steps), label) / steps
    return x


@dataclass(frozen=True)
class Optimal:
    """The path as `its` asks for it: native time is 1 - t, which is larger where it is noisier."""

    most_steps = 1000

    @property
    def noisiest(self):
        return self.level(1.0)

    @property
    def listable(self):
        return tuple(k / self.most_steps for k in range(self.most_steps, 0, -1))

    def prior_std(self, level):
        return level.sigma

    def level(self, time):
        t = 1.0 - time
        return Level(t, 1.0 - (1.0 - SIGMA_MIN) * t, time, ends=time == 0.0)

    def grid(self, steps, spacing, *, second_order=False):
        times = spacing if not isinstance(spacing, str) else np.arange(steps, 0, -1) / steps
        return (*(self.level(float(time)) for time in times), self.level(0.0))


class FlowMatching(Denoiser):
    """The transformer as a model of `its`, with classifier-free guidance."""

    shape = (1, 16, 16)
    dtype = torch.float32
    path = Optimal()
    clipping = Clipping(1.0, rederive_eps=True)

    def __init__(self, weights: Weights, guidance_scale: GuidanceScale = 1.0, device: Device = "cpu"):
        self.device = torch.device(device)
        self.network = read(locate(weights)).to(device)
        self.slots = 1 if guidance_scale == 1 else 2
        self.guided = guided(self.network, guidance_scale, NO_CLASS)

    def __call__(self, x, levels, conditions):
        label = torch.tensor(conditions, device=self.device)
        u = self.guided(x, (1 - levels.time.flatten()).float(), label)
        # u = x_1 - (1 - SIGMA_MIN) x_0 and x = alpha x_1 + sigma x_0 for image x_1 and noise x_0.
        alpha, sigma = levels.alpha.to(x), levels.sigma.to(x)
        eps = (x - alpha * u) / (sigma + alpha * (1 - SIGMA_MIN))
        return Guess(u + (1 - SIGMA_MIN) * eps, eps)
