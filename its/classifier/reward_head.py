"""The head of LAION's aesthetic predictor and of ImageReward: five linear layers, with nothing between them."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from its.model.checkpoint import fit
from its.model.wrappers import StateDict

PLACES = ("layers.0", "layers.2", "layers.4", "layers.6", "layers.7")
"""Names of the linear layers; between them training dropped features."""


class RewardHead(nn.Module):
    """Features `[n, width]` to numbers `[n]`.

    Args:
        widths: of the features and of what each layer makes; the last is 1.
    """

    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        linear = [nn.Linear(*pair) for pair in pairwise(widths)]
        first, second, third, fourth, fifth = linear
        nothing = nn.Identity()
        self.layers = nn.Sequential(first, nothing, second, nothing, third, nothing, fourth, fifth)

    def forward(self, features: Tensor) -> Tensor:
        return self.layers(features).squeeze(1)


def reward_head(state: StateDict, width: int, weights: str) -> RewardHead:
    """Load a head of features `[n, width]`; the shapes of its tensors say how wide its layers are.

    Raises:
        ValueError: it is of other features, or no such head.
    """
    shapes = [tuple(state[f"{place}.weight"].shape) for place in PLACES if f"{place}.weight" in state]
    if len(shapes) < len(PLACES) or any(len(shape) != 2 for shape in shapes) or shapes[-1][0] != 1:
        raise ValueError(
            f"{weights} has not the five linear layers of a reward's head ({', '.join(PLACES)}, to one number); take "
            "sac+logos+ava1-l14-linearMSE.pth, or ImageReward.pt"
        )
    if shapes[0][1] != width:
        raise ValueError(
            f"{weights} is a head of {shapes[0][1]} features, and its network makes {width}; take the network that it "
            "was trained on"
        )
    head = RewardHead([width, *(shape[0] for shape in shapes)])
    fit(head, state, weights, "take a head of these five layers")
    return head
