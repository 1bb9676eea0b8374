"""guided-diffusion's noise-aware ImageNet classifiers, for `guidance=cg`.

Dhariwal and Nichol 2021 (arXiv:2105.05233).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from its.model.checkpoint import fit, read
from its.model.openai_unet import Encoder, Layers, attended, norm
from its.sampler.noise_paths import VP, betas_named
from its.weights import Device, Weights


class NoisyImageClassifier(Encoder):
    """The way down and the middle of ADM's U-Net, then attention whose query is the mean of all positions.

    Args:
        path: the noise path that it was trained on. A row of another is scaled to it, and asked for at the time of the
            same ratio of signal and noise, at most at the path's ends.
        classes: number of logits.

    Others: see `its.model.openai_unet.OpenAIUNet`.
    """

    ratios: Tensor

    def __init__(
        self,
        path: VP,
        size: int,
        channels: int,
        blocks: int,
        multipliers: Sequence[float],
        attention: Sequence[int],
        head_channels: int,
        classes: int,
    ) -> None:
        layers = Layers(4 * channels, head_channels=head_channels, resblock_updown=True)
        super().__init__(size, channels, blocks, multipliers, attention, layers)
        width, side = self.widths[-1], size >> (len(multipliers) - 1)
        self.size = size
        self.out = nn.Sequential(norm(width), nn.SiLU(), AttentionPool(side, width, width // head_channels, classes))
        levels = [path.level(time) for time in range(path.most_steps)]
        ratios = torch.tensor([[level.alpha, level.sigma] for level in levels], dtype=torch.float64)
        self.register_buffer("ratios", log_ratio(*ratios.unbind(1)), persistent=False)

    def forward(self, x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """Return logits `[n, classes]` of rows `x = alpha x_0 + sigma eps`, `[n, 3, size, size]`.

        Raises:
            ValueError: the rows have another size.
        """
        if x.shape[1:] != (3, self.size, self.size):
            raise ValueError(
                f"rows are {list(x.shape[1:])}, and this noise-aware classifier takes [3, {self.size}, {self.size}]; "
                "choose the guide of this resolution"
            )
        rows = x / (alpha**2 + sigma**2).sqrt().to(x)
        hidden, _, _ = self.encoded(rows, self.times(log_ratio(alpha, sigma).flatten()))
        return self.out(hidden)

    def times(self, ratios: Tensor) -> Tensor:
        """Return the training steps `[n]`, float64, of log ratios of signal to noise; between two steps a part."""
        least, most = self.ratios[-1], self.ratios[0]
        ratios = ratios.double().clamp(least, most)
        after = torch.searchsorted(-self.ratios, -ratios).clamp(1, len(self.ratios) - 1)
        before = after - 1
        return before + (self.ratios[before] - ratios) / (self.ratios[before] - self.ratios[after])


class AttentionPool(nn.Module):
    """Attention over the positions `[n, channels, side, side]` and their mean, whose result goes to `[n, outputs]`.

    Its order is the new one, also where the blocks of the network have the legacy order.
    """

    def __init__(self, side: int, channels: int, heads: int, outputs: int) -> None:
        super().__init__()
        self.heads = heads
        self.positional_embedding = nn.Parameter(torch.empty(channels, side**2 + 1))
        self.qkv_proj = nn.Conv1d(channels, 3 * channels, 1)
        self.c_proj = nn.Conv1d(channels, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(2)
        places = torch.cat([flat.mean(dim=2, keepdim=True), flat], dim=2) + self.positional_embedding
        return self.c_proj(attended(self.qkv_proj(places), self.heads, "new")[:, :, :1])[:, :, 0]


def log_ratio(alpha: Tensor, sigma: Tensor) -> Tensor:
    """Return the log of signal over noise."""
    return (alpha / sigma).log()


def load(
    weights: Weights,
    *,
    weights_key: str | None = None,
    size: int,
    channels: int,
    blocks: int,
    multipliers: Sequence[float],
    attention: Sequence[int],
    head_channels: int,
    betas: Literal["cosine", "linear"],
    steps: int,
    classes: int = 1000,
    device: Device = "cpu",
) -> NoisyImageClassifier:
    """Load a `.pt` or safetensors state dict; see `NoisyImageClassifier`.

    Args:
        weights_key: of a file with several state dicts, see `its.model.checkpoint.read`.
        betas: rule of the noise path that it was trained on, in `steps` steps.

    Raises:
        ValueError: the checkpoint does not fit, or there is no such rule.
    """
    network = NoisyImageClassifier(
        betas_named(betas, steps), size, channels, blocks, multipliers, attention, head_channels, classes
    )
    fit(network, read(weights, weights_key), weights, "choose a noise-aware classifier of guided-diffusion")
    return network.to(device)
