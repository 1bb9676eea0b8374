"""Methods that climb by gradients, written from their papers; gradients of the mixture are formulas.

Each returns the chosen image and its NFE.
"""

from __future__ import annotations

import numpy as np
from scipy.special import softmax

from tests.reference.naive import CLEAN, Naive


def slope(naive: Naive, x: np.ndarray) -> np.ndarray:
    """The gradient of the log-probability of the wanted component at an image."""
    weights = softmax(-((x - naive.means) ** 2).sum(axis=1) / (2 * naive.std**2))
    return (naive.means[naive.condition] - weights @ naive.means) / naive.std**2


def back(naive: Naive, x: np.ndarray, time: float, g: np.ndarray) -> np.ndarray:
    """The gradient with respect to x of what has the gradient g with respect to E[x_0 | x].

    The Jacobian is symmetric: a part of each component's own, and the covariance of their means given x.
    """
    alpha, sigma = naive.level(time)
    variance = (alpha * naive.std) ** 2 + sigma**2
    weights = softmax(-((x - alpha * naive.means) ** 2).sum(axis=1) / (2 * variance))
    apart = naive.means - weights @ naive.means
    spread = apart.T @ (weights * (apart @ g))
    return alpha * naive.std**2 / variance * g + alpha * sigma**2 / variance**2 * spread


def back_of_step(naive: Naive, x: np.ndarray, t: float, s: float, g: np.ndarray) -> np.ndarray:
    """The same of a step of DDIM, in which x counts through its guess and by itself."""
    (alpha_t, sigma_t), (alpha_s, sigma_s) = naive.level(t), naive.level(s)
    kept = np.sqrt(sigma_s**2 - naive.step_std(t, s, naive.eta) ** 2) / sigma_t
    return kept * g + back(naive, x, t, (alpha_s - kept * alpha_t) * g)


def reno(
    naive: Naive, iterations: int, rate: float, momentum: float, clip: float, weight: float
) -> tuple[np.ndarray, int]:
    """Eyring et al. (2406.04312): loss and its gradient are minimised, as in the authors' code and PyTorch's SGD."""
    e, buffer, images = naive.draw("start"), None, []
    times = naive.times
    steps = [naive.draw(f"step {time:g}") for time in times[:-2]] if naive.eta else [None] * (naive.steps - 1)
    steps.append(np.zeros(16))
    for iteration in range(iterations):
        rows = [e]
        for i in range(naive.steps):
            rows.append(naive.step(rows[-1], times[i], times[i + 1], steps[i]))
        images.append(rows[-1])
        naive.reward(images[-1])
        if iteration == iterations - 1:
            break
        g = -slope(naive, rows[-1])
        for i in reversed(range(naive.steps)):
            g = back_of_step(naive, rows[i], times[i], times[i + 1], g)
        norm = np.linalg.norm(e)
        g = g + weight * (norm - (len(e) - 1) / norm) * e / norm
        g = g * min(1, clip / (np.linalg.norm(g) + 1e-6))
        buffer = g if buffer is None else momentum * buffer + g
        e = e - rate * (g + momentum * buffer)
    return images[int(np.argmax(naive.rewards))], iterations * naive.steps


def is_late(naive: Naive, time: float, share: float) -> bool:
    return time <= share * naive.times[0]


def ug_fm(naive: Naive, share: float, length: float, ascents: int, through: str) -> tuple[np.ndarray, int]:
    """Sun and Polak (2606.22958), whose flow is here the VP path, rescaled."""
    x, nfe = naive.draw("start"), naive.steps
    for t, s in zip(naive.times[:-1], naive.times[1:], strict=True):
        for _ in range(ascents if is_late(naive, t, share) else 0):
            g = slope(naive, naive.denoise(x, t))
            g = back(naive, x, t, g) if through == "network" else g
            x = x + sum(naive.level(t)) * length * g / np.linalg.norm(g)
            nfe += 1
        x = naive.step(x, t, s)
    return naive.best([x]), nfe


def flowchef(naive: Naive, share: float, length: float, ascents: int) -> tuple[np.ndarray, int]:
    """Patel et al. (2412.00100), on the linear path z = x / (alpha + sigma), where steps are Euler's."""

    def position(time: float) -> float:
        return 0.0 if time == CLEAN else naive.level(time)[1] / sum(naive.level(time))

    x = naive.draw("start")
    for t, s in zip(naive.times[:-1], naive.times[1:], strict=True):
        z, x0 = x / sum(naive.level(t)), naive.denoise(x, t)
        velocity = (z - x0) / position(t)
        for _ in range(ascents if is_late(naive, t, share) else 0):
            g = slope(naive, z - position(t) * velocity)
            z = z + length * g / np.linalg.norm(g)
        x = sum(naive.level(s)) * (z + (position(s) - position(t)) * velocity)
    return naive.best([x]), naive.steps
