"""Methods that put another guess in the place of the network's, written from their papers."""

from __future__ import annotations

import numpy as np
from scipy.special import softmax

from tests.reference.naive import Naive


def lidar(
    naive: Naive, samples: int, lookahead: int, strength: float, scale: float, end: float
) -> tuple[np.ndarray, int, float]:
    """Kim et al. (2602.03211), in its form of eps; returns the mean effective sample size too.

    Samples come down in `lookahead` steps. The likelihood of x_t given sample k is N(alpha x0_k, sigma^2).
    """
    steps = naive.steps
    naive.space(lookahead)
    ahead = np.stack([naive.sample() for _ in range(samples)])
    rewards = np.array([naive.reward(x) for x in ahead])
    naive.space(steps)
    x, sizes = naive.draw("start"), []
    for t, s in zip(naive.times, naive.times[1:], strict=False):
        (alpha, sigma), (alpha_s, sigma_s) = naive.level(t), naive.level(s)
        eps = (x - alpha * naive.denoise(x, t)) / sigma
        if t > end * naive.times[0]:
            log_likelihood = -((x - alpha * ahead) ** 2).sum(axis=1) / (2 * sigma**2)
            tilted = softmax(log_likelihood + strength * rewards)
            g = alpha / sigma**2 * ((tilted - softmax(log_likelihood)) @ ahead)
            eps = eps - scale * sigma * g
            sizes.append(1 / (tilted**2).sum())
        std = naive.step_std(t, s, naive.eta)
        z = naive.draw(f"step {t:g}") if std > 0 else 0.0
        x = alpha_s * (x - sigma * eps) / alpha + np.sqrt(sigma_s**2 - std**2) * eps + std * z
    return naive.best([x]), samples * lookahead + steps, float(np.mean(sizes))
