"""The exact denoiser of the Gaussian mixture: what a perfectly trained network would compute."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from its.dataset.mixture import Mixture
from its.levels import Columns, Flow, Guess, Schedule, linear_vp
from its.types import Condition
from its.weights import Device, GuidanceScale


class MixtureDenoiser:
    """Posterior mean of x_0 and eps given x_t, in float64.

    Args:
        data: the mixture.
        path: `vp` (the linear schedule of Ho et al. 2020, 1,000 steps) or `flow`.
        conditional: whether it is told the component.
        guidance_scale: classifier-free guidance between the two; 1 is off.
    """

    dtype = torch.float64
    decoder = None

    def __init__(
        self,
        data: Mixture,
        path: str = "vp",
        *,
        conditional: bool = False,
        guidance_scale: GuidanceScale = 1.0,
        device: Device = "cpu",
    ) -> None:
        if path not in ("vp", "flow"):
            raise ValueError(f"model.path is {path!r}; it is vp or flow")
        if guidance_scale != 1.0 and not conditional:
            raise ValueError(
                f"model.guidance_scale is {guidance_scale} on an unconditional model; "
                "set model.conditional=true or model.guidance_scale=1"
            )
        self.data = data
        self.shape = data.shape
        self.device = torch.device(device)
        self.schedule: Schedule = linear_vp() if path == "vp" else Flow()
        self.conditional = conditional
        self.guidance_scale = guidance_scale
        self.slots = 1 if guidance_scale == 1.0 else 2
        self._means = torch.as_tensor(data.means, device=self.device)

    def __call__(self, x: Tensor, levels: Columns, conditions: Sequence[Condition]) -> Guess:
        if not self.conditional:
            return self.network(x, levels, None)
        labels = torch.tensor(conditions, dtype=torch.int64, device=self.device)
        if self.slots == 1:
            return self.network(x, levels, labels)
        both = Columns(*(torch.cat([column, column]) for column in levels))
        guess = self.network(torch.cat([x, x]), both, torch.cat([labels, labels.new_full(labels.shape, -1)]))
        pairs = [part.chunk(2) for part in guess]
        return Guess(*(untold + self.guidance_scale * (told - untold) for told, untold in pairs))

    def network(self, x: Tensor, levels: Columns, labels: Tensor | None) -> Guess:
        """One evaluation a row; a label of -1 asks for no component."""
        alpha, sigma = (column.flatten(1).unsqueeze(2) for column in (levels.alpha, levels.sigma))
        variance = (alpha * self.data.std) ** 2 + sigma**2
        offset = x.flatten(1).unsqueeze(1) - alpha * self._means
        weight = torch.softmax(-offset.square().sum(-1) / (2.0 * variance.squeeze(2)), dim=1)
        if labels is not None:
            wanted = torch.arange(len(self._means), device=self.device) == labels[:, None]
            weight = torch.where(labels[:, None] < 0, weight, wanted.to(weight))
        x0 = self._means + (alpha * self.data.std**2 / variance) * offset
        eps = (sigma / variance) * offset
        weight = weight.unsqueeze(2)
        return Guess((weight * x0).sum(1).reshape(x.shape), (weight * eps).sum(1).reshape(x.shape))
