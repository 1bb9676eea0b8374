"""Grey 16x16 drawings of four shapes, in closed form: bar, cross, disc, ring, anywhere, in any size and brightness."""

from dataclasses import dataclass

import numpy as np

CLASSES = ("bar", "cross", "disc", "ring")


def draw(count, seed):
    """Return uint8 images [count, 16, 16, 1] and their class ids, int64 [count], every class in turn."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % len(CLASSES)
    centre = random.uniform(6, 9, (2, count, 1, 1))
    radius, width = random.uniform(3.5, 5.5, (count, 1, 1)), random.uniform(0.8, 1.3, (count, 1, 1))
    y, x = np.mgrid[:16, :16][:, None] - centre
    distance = np.hypot(x, y)
    bar = np.maximum(np.abs(y) - width, np.abs(x) - radius)
    depth = {
        "bar": bar,
        "cross": np.minimum(bar, np.maximum(np.abs(x) - width, np.abs(y) - radius)),
        "disc": distance - radius,
        "ring": np.abs(distance - radius) - width,
    }
    outside = np.choose(labels[:, None, None], [depth[name] for name in CLASSES])
    ink = np.clip(0.5 - outside, 0, 1) * random.uniform(0.6, 1.0, (count, 1, 1))
    return np.rint(255 * ink)[..., None].astype(np.uint8), labels.astype(np.int64)


@dataclass(frozen=True)
class Drawings:
    """The problems, one class after the other, and the real images that made ones are compared with."""

    count: int = 2000
    num_classes: int = len(CLASSES)

    @property
    def shape(self):
        return (1, 16, 16)

    def condition(self, index):
        return index % self.num_classes

    def reference(self):
        return draw(self.count, seed=1)
