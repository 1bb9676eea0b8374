"""The self-supervised verifier of Ma et al. 2025 (arXiv:2501.09732): does the image keep what its guess promised?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from its.types import Condition

if TYPE_CHECKING:
    from torch import Tensor


class FeatureNetwork(Protocol):
    """A network of image features: CLIP's, DINO's, a classifier's."""

    def features(self, images: Tensor) -> Tensor:
        """Return features `[n, ...]` of images `[n, C, H, W]` in about [-1, 1], each row by itself."""
        ...


class SelfSupervised:
    """The cosine of the features of an image and of an earlier guess of it, in [-1, 1]; it asks for no class.

    The guess is x0_hat at the level of the sampler's grid nearest `probe`, which the engine keeps on the way down.

    Args:
        network: of the features.
        probe: share of noise `sigma / (alpha + sigma)`, in (0, 1); of a flow model that is its time.

    Raises:
        ValueError: the network has no features, or the share lies outside.
    """

    absolute: bool = True
    probe: float = 0.4

    def __init__(self, network: FeatureNetwork, probe: float = 0.4) -> None:
        if not callable(getattr(network, "features", None)):
            name = getattr(network, "__qualname__", type(network).__qualname__)
            raise ValueError(
                f"{name} has no method features(images), and a self-supervised verifier compares images by their "
                "features; choose verifier=self_supervised_clip, self_supervised_dino or self_supervised_siglip"
            )
        if not 0 < probe < 1:
            raise ValueError(
                f"verifier.probe is {probe}; it is a share of noise above 0 and below 1, of which Ma et al. take 0.4"
            )
        self.network = network
        self.probe = probe

    def reward(self, images: Tensor, conditions: Sequence[Condition], guesses: Tensor) -> Tensor:
        """Compare images with their guesses, both `[n, C, H, W]`: `[n]`, float64."""
        from torch.nn.functional import cosine_similarity

        now, then = (self.network.features(each).flatten(1).double() for each in (images, guesses))
        return cosine_similarity(now, then, dim=1)
