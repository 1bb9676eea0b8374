"""The exact denoiser of the Gaussian mixture, which a perfectly trained network would equal."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from its.dataset.mixture import Mixture
from its.levels import Columns, Guess
from its.model.denoiser import ClassifierFreeDenoiser
from its.sampler.noise_paths import Flow, NoisePath, linear_vp
from its.types import Condition
from its.weights import Device, GuidanceInterval, GuidanceScale

NO_COMPONENT = -1
"""Label that asks for no component."""


class MixtureDenoiser(ClassifierFreeDenoiser):
    """The posterior means of x_0 and eps given x_t as a `Denoiser`, in float64.

    It is a class of its own, and not a `NetworkDenoiser`: the means depend on alpha and sigma, not on native time, and
    both are computed, since deriving one from the other is ill-conditioned at either end.

    Args:
        data: the mixture.
        path: `vp` (the linear path of Ho et al. 2020, 1,000 steps) or `flow`.
        conditional: whether it is given the component.
        guidance_scale: of classifier-free guidance between the two; 1 is off.
        guidance_interval: native times between which it is on; see `its.model.slots.Slots`.
    """

    dtype = torch.float64

    def __init__(
        self,
        data: Mixture,
        path: str = "vp",
        *,
        conditional: bool = False,
        guidance_scale: GuidanceScale = 1.0,
        guidance_interval: GuidanceInterval | None = None,
        device: Device = "cpu",
    ) -> None:
        if path not in ("vp", "flow"):
            raise ValueError(f"model.path is {path!r}; it is vp or flow")
        noise_path: NoisePath = linear_vp() if path == "vp" else Flow()
        super().__init__(noise_path, guidance_scale, guidance_interval, NO_COMPONENT, conditional=conditional)
        self.data = data
        self.shape = data.shape
        self.device = torch.device(device)
        self._means = torch.as_tensor(data.means, device=self.device)

    def __call__(self, x: Tensor, levels: Columns, conditions: Sequence[Condition]) -> Guess:
        label = torch.tensor(conditions, dtype=torch.int64, device=self.device) if self.conditional else None
        coefficients = torch.stack([levels.alpha.flatten(), levels.sigma.flatten()], dim=1)
        return self.evaluated(self.network, x, coefficients, label, levels)

    def network(self, x: Tensor, coefficients: Tensor, label: Tensor | None) -> Guess:
        """Evaluate rows `x [n, *shape]`.

        Args:
            coefficients: alpha and sigma of each row `[n, 2]`, in place of a `Network`'s times.
            label: components `[n]`; -1 asks for none.
        """
        # Weigh the components by their posterior probability, or take the one that is asked for.
        alpha, sigma = (column[:, None, None] for column in coefficients.unbind(1))
        variance = (alpha * self.data.std) ** 2 + sigma**2
        offset = x.flatten(1).unsqueeze(1) - alpha * self._means
        weight = torch.softmax(-offset.square().sum(-1) / (2.0 * variance.squeeze(2)), dim=1)
        if label is not None:
            chosen = torch.arange(len(self._means), device=self.device) == label[:, None]
            weight = torch.where(label[:, None] < 0, weight, chosen.to(weight))

        # Average the components' own posterior means.
        x0 = self._means + (alpha * self.data.std**2 / variance) * offset
        eps = (sigma / variance) * offset
        weight = weight.unsqueeze(2)
        return Guess((weight * x0).sum(1).reshape(x.shape), (weight * eps).sum(1).reshape(x.shape))
