"""The FID of a set that grows image by image, exactly, at a fraction of what each new covariance's root would cost.

With C = F Fᵀ the scatter of the set in the axes of the reference's covariance, one more image adds w z zᵀ to it, and

    tr (C + w z zᵀ)^½ - tr C^½ = 1/π ∫₀^∞ log(1 + w zᵀ (C + s²)⁻¹ z) ds,

by ∫₀^∞ log(1 + x / s²) ds = π √x and det(A + w z zᵀ) = det(A) (1 + w zᵀ A⁻¹ z) (Golub and Van Loan 2013, ch. 2.1). In
log s the integrand is analytic in a strip of width π whatever the spectrum, so that the trapezoidal rule converges like
exp(-π² / h) (Trefethen and Weideman 2014, SIAM Review 56, 385-458). The quadratic form is the squared length of what is
left of (C + s²)^-½ z beside the latest images, found by Gram and Schmidt; every `BLOCK` images at most
the singular values of F are computed anew.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from its.metric.features import Float64, Moments

STEP, LOWEST, HIGHEST = 0.4, -36.0, 28.0
"""Of log s beside the largest singular value: the trapezoids' width, 2e-11 of an integral, and its ends, 1e-12."""

BLOCK = 64
"""Images between two decompositions, at most: an eighth of the axes, which takes the least time."""

ROWS = 32
"""Candidates looked at at once."""


class RunningFid:
    """The FID of a growing set against a reference.

    The covariance divides by count - 1, and of fewer than two images it is zero, as in `Moments`: the FID of one image
    is |x - mean|² + tr(covariance of the reference).

    Args:
        reference: that the set is compared with.
        device: of the arithmetic, which is in float64, if it is a CUDA device; else the CPU.
    """

    def __init__(self, reference: Moments, device: str = "cpu") -> None:
        device = device if device.startswith("cuda") else "cpu"
        self._origin = torch.tensor(reference.mean, device=device)
        self._axes = torch.tensor(reference.factor, device=device)
        self._constant = float(np.trace(reference.covariance))
        self._scale = float(np.linalg.norm(reference.covariance))

        # The set: how many, mean and total scatter, and singular values of F with their sum.
        self.count = 0
        self._mean = torch.zeros_like(self._origin)
        self._scatter = 0.0
        self._singular = self._axes.new_zeros(self._axes.shape[1])
        self._most = min(BLOCK, max(8, len(self._singular) // 8))
        self._root = 0.0
        self._begin_block()

    @property
    def tie(self) -> float:
        """The difference between two FIDs that rounding may make."""
        return 1e-10 * self._constant

    def with_each(self, features: NDArray[np.floating]) -> Float64:
        """Return the FID that the set would have with each of `features` [candidate, feature] in it: [candidate]."""
        parts = self._beside_mean(features).split(ROWS)
        return torch.cat([self._fid(part, self._gain(self._left(part @ self._axes))) for part in parts]).cpu().numpy()

    def add(self, feature: NDArray[np.floating]) -> None:
        """Add one image by its features [feature]."""
        part = self._beside_mean(feature[None])
        place = part @ self._axes
        rest = self._left(place)
        self._root += float(self._gain(rest)[0])
        self._scatter += self._weight * float(part.square().sum())
        if self.count:
            self._append(math.sqrt(self._weight) * place[0], math.sqrt(self._weight) * rest)
        self._mean = self._mean + part[0] / (self.count + 1)
        self.count += 1
        if self._pending == self._most:
            self._decompose()

    @property
    def _weight(self) -> float:
        """The weight w of one more image in the scatter."""
        return self.count / (self.count + 1)

    def _beside_mean(self, features: NDArray[np.floating]) -> Tensor:
        rows = torch.from_numpy(np.asarray(features, dtype=np.float64)).to(self._origin.device)
        return rows - self._origin - self._mean

    def _fid(self, rows: Tensor, gain: Tensor) -> Tensor:
        """Return FIDs of the set with each of `rows` [n, feature], which lie beside its mean."""
        mean = self._mean + rows / (self.count + 1)
        fid = mean.square().sum(1) + self._constant
        if self.count == 0:
            return fid
        scatter = self._scatter + self._weight * rows.square().sum(1)
        return fid + scatter / self.count - 2 * (self._root + gain) / math.sqrt(self.count)

    def _gain(self, rest: Tensor) -> Tensor:
        """Return by how much each candidate raises tr C^½: [n]."""
        heights = torch.log1p(self._weight * rest.square().sum(2)) * self._shifts[:, None]
        return heights.sum(0) * (STEP / math.pi)

    def _left(self, places: Tensor) -> Tensor:
        """Return what is left of (C + s²)^-½ z, at every s, beside the images of this block: [s, n, axis + block]."""
        whole = pad(self._shrinking[:, None] * places, (0, self._most))
        return self._without_block(whole)

    def _without_block(self, rows: Tensor) -> Tensor:
        block = self._block[:, : self._pending]
        return rows - (rows @ block.transpose(1, 2)) @ block

    def _append(self, row: Tensor, rest: Tensor) -> None:
        """Append an image to the block: its row of Fᵀ, and what is left of it."""
        rest = self._without_block(rest)  # once more, for its own length is added below
        rest[:, 0, len(row) + self._pending] += 1
        self._block[:, self._pending] = (rest / rest.norm(dim=2, keepdim=True))[:, 0]
        self._rows[self._pending] = row
        self._pending += 1

    def _decompose(self) -> None:
        """Turn the axes to those of the scatter with this block in it, and begin another block."""
        transposed = torch.cat([torch.diag(self._singular), self._rows])
        turn, self._singular, _ = torch.linalg.svd(torch.linalg.qr(transposed, mode="r").R.T)
        self._axes = self._axes @ turn
        self._root = float(self._singular.sum())
        self._begin_block()

    def _begin_block(self) -> None:
        width = len(self._singular)
        largest = math.hypot(float(self._singular.max()) if width else 0.0, self._scale)
        steps = torch.arange(LOWEST, HIGHEST, STEP, dtype=torch.float64, device=self._axes.device)
        self._shifts = largest * steps.exp()
        self._shrinking = (self._singular.square() + self._shifts.square()[:, None]).rsqrt()
        self._block = self._axes.new_empty(len(steps), self._most, width + self._most)
        self._rows = self._axes.new_empty(self._most, width)
        self._pending = 0
