"""One image of the Gaussian mixture, one row at a time, in NumPy: nothing of its.engine, its.search or its.sampler."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.special import log_softmax, softmax

CLEAN = -1.0


class Naive:
    """DDIM on the linear schedule of Ho et al. (2020), its noise from a tape, and the Bayes classifier's reward.

    A state is an array `[16]`, a level the native time of the network; `CLEAN` is the end.

    Args:
        draws: of one image, named `<place> <purpose>`.

    Attributes:
        times: of the grid, T + 1 of them.
        rewards: of all images and guesses that were scored, in order.
    """

    def __init__(
        self, means: np.ndarray, std: float, draws: Mapping[str, np.ndarray], condition: int, steps: int, eta: float
    ) -> None:
        self.means, self.std, self.condition, self.eta = means, std, condition, eta
        abar = np.cumprod(1 - np.linspace(1e-4, 2e-2, 1000))
        self.ratios = np.sqrt((1 - abar) / abar)
        self.unread = [(name.split(" ", 1)[1], np.asarray(values)) for name, values in draws.items()]
        self.rewards: list[float] = []
        self.space(steps)

    def space(self, steps: int) -> None:
        """Take so many steps, by the rule `trailing`."""
        self.steps = steps
        self.times = [*(np.round(1000 - 1000 / steps * np.arange(steps)) - 1), CLEAN]

    def draw(self, purpose: str) -> np.ndarray:
        """Read the next draw on the tape that is for this purpose."""
        place = next(k for k, (name, _) in enumerate(self.unread) if name == purpose)
        values = self.unread.pop(place)[1]
        return values.astype(float).reshape(-1) if purpose != "permutation" else values

    def level(self, time: float) -> tuple[float, float]:
        """Return alpha and sigma."""
        if time == CLEAN:
            return 1.0, 0.0
        ratio = np.interp(time, np.arange(1000), self.ratios)
        return 1 / np.sqrt(1 + ratio**2), ratio / np.sqrt(1 + ratio**2)

    def abar(self, i: int) -> float:
        return self.level(self.times[i])[0] ** 2

    def denoise(self, x: np.ndarray, time: float) -> np.ndarray:
        """Compute E[x_0 | x_t]: components by responsibility, each pulled towards its mean."""
        alpha, sigma = self.level(time)
        variance = (alpha * self.std) ** 2 + sigma**2
        apart = x - alpha * self.means
        responsibility = softmax(-(apart**2).sum(axis=1) / (2 * variance))
        return responsibility @ (self.means + alpha * self.std**2 / variance * apart)

    def slope(self, x: np.ndarray, time: float) -> np.ndarray:
        """Compute the gradient at x_t of the reward of the guess, by hand: the chain rule through the mixture."""
        alpha, sigma = self.level(time)
        variance = (alpha * self.std) ** 2 + sigma**2
        apart, shrunk = x - alpha * self.means, alpha * self.std**2 / variance
        responsibility = softmax(-(apart**2).sum(axis=1) / (2 * variance))
        posterior = self.means + shrunk * apart

        # Of the reward, with respect to the guess.
        away = responsibility @ posterior - self.means
        probability = softmax(-(away**2).sum(axis=1) / (2 * self.std**2))
        v = (probability @ away - away[self.condition]) / self.std**2

        # Of the guess: components are pulled along, and their shares change.
        drift = (responsibility @ apart - apart) / variance
        return shrunk * v + (responsibility * (posterior @ v)) @ drift

    def step_std(self, t: float, s: float, eta: float) -> float:
        (alpha_t, sigma_t), (alpha_s, sigma_s) = self.level(t), self.level(s)
        return eta * sigma_s / sigma_t * np.sqrt(sigma_t**2 - (alpha_t / alpha_s * sigma_s) ** 2)

    def step(
        self, x: np.ndarray, t: float, s: float, z: np.ndarray | None = None, eta: float | None = None
    ) -> np.ndarray:
        """Song et al. (2020), Eq. 12, with the noise `z` or a draw of its own."""
        x0 = self.denoise(x, t)
        (alpha_t, sigma_t), (alpha_s, sigma_s) = self.level(t), self.level(s)
        eps = (x - alpha_t * x0) / sigma_t
        std = self.step_std(t, s, self.eta if eta is None else eta)
        if std > 0 and z is None:
            z = self.draw(f"step {t:g}")
        noise = std * z if std > 0 else 0.0
        return alpha_s * x0 + np.sqrt(sigma_s**2 - std**2) * eps + noise

    def down(self, x: np.ndarray, i: int, j: int) -> np.ndarray:
        """Take the steps from grid level i to grid level j."""
        for k in range(i, j):
            x = self.step(x, self.times[k], self.times[k + 1])
        return x

    def sample(self) -> np.ndarray:
        return self.down(self.draw("start"), 0, self.steps)

    def renoise(self, x: np.ndarray, s: float, t: float) -> np.ndarray:
        """Take a state up from s to t by q(x_t | x_s)."""
        (alpha_s, sigma_s), (alpha_t, sigma_t) = self.level(s), self.level(t)
        r = alpha_t / alpha_s
        return r * x + np.sqrt(sigma_t**2 - (r * sigma_s) ** 2) * self.draw(f"renoise {t:g}")

    def reward(self, image: np.ndarray) -> float:
        """Return the log-probability of the condition's component."""
        logits = -((image - self.means) ** 2).sum(axis=1) / (2 * self.std**2)
        self.rewards.append(float(log_softmax(logits)[self.condition]))
        return self.rewards[-1]

    def value(self, x: np.ndarray, time: float) -> float:
        """Return the reward of the guess at a level, or of the image."""
        return self.reward(x if time == CLEAN else self.denoise(x, time))

    def best(self, images: list[np.ndarray]) -> np.ndarray:
        rewards = [self.reward(image) for image in images]
        return images[int(np.argmax(rewards))]
