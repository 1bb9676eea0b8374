"""DINOv2 with a linear head of its authors (Oquab et al. 2023, arXiv:2304.07193), over ImageNet's classes.

transformers' `Dinov2ForImageClassification` holds both; or a backbone takes a `.pth` of facebookresearch/dinov2.
Embeddings of positions are resized as its networks do it, which is otherwise than transformers does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from its.classifier.classifier import ImageClassifier
from its.classifier.labels import ASSUMED, class_order
from its.classifier.transformers_files import OTHER, load_with_processor
from its.model.checkpoint import fit, read
from its.model.config_file import ConfigFile
from its.model.dinov2 import KNOWN, resize_positions
from its.weights import Device, Weights, locate

ENTRIES: Mapping[str, Any] = {
    **KNOWN,
    **dict.fromkeys(("id2label", "label2id"), Any),
    "problem_type": Literal["single_label_classification", None],
}
"""The allow-list of its `config.json`."""

LAYERS = (1, 4)
"""Last layers whose class tokens a published head sees."""


class DinoLinear(nn.Module):
    """A linear head on the class tokens of the last layers, and on the mean of the last one's patches.

    Args:
        backbone: transformers' Dinov2Model.
        head: of `(layers + 1) * width` features.
    """

    def __init__(self, backbone: Any, head: nn.Linear) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head
        self.layers = head.in_features // int(backbone.config.hidden_size) - 1

    def forward(self, pixels: Tensor) -> Tensor:
        """Compute logits `[n, classes]` of normalised images."""
        states = self.backbone(pixel_values=pixels, output_hidden_states=True).hidden_states[-self.layers :]
        tokens = [self.backbone.layernorm(state) for state in states]
        return self.head(torch.cat([*(each[:, 0] for each in tokens), tokens[-1][:, 1:].mean(dim=1)], dim=1))


def load(
    weights: Weights,
    *,
    weights_key: str | None = None,
    head: Weights | None = None,
    classes: str | Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
    assume_order: ASSUMED | None = None,
    device: Device = "cpu",
) -> ImageClassifier:
    """Load DINOv2 with its linear head.

    Args:
        weights: a folder or a name on the hub: Dinov2ForImageClassification, or with `head` Dinov2Model.
        weights_key: the variant of its weights (`fp16`).
        head: a state dict of `weight` and `bias`, such as `dinov2_vitb14_linear_head.pth` (1 layer) or
            `dinov2_vitb14_linear4_head.pth` (4).
        classes, labels, assume_order: see `its.classifier.hub_classifier.load`; a `head` carries no names.

    Raises:
        ValueError: its classes are not the dataset's, an entry is unknown, or weights do not fit.
    """
    # Read the folder.
    config = ConfigFile.read(locate(weights) / "config.json", OTHER)
    config.needed("model_type")
    config.require(ENTRIES)
    kind = "Dinov2ForImageClassification" if head is None else "Dinov2Model"
    network, classifier = load_with_processor(kind, config, weights, weights_key)

    # Put backbone and head together.
    backbone = network.dinov2 if head is None else network
    linear = network.classifier if head is None else _head(head, int(backbone.config.hidden_size))
    resize_positions(backbone.embeddings, config, classifier.crop)
    classifier.network = DinoLinear(backbone, linear).float()
    classifier.requires_grad_(False).eval()

    # Match the classes.
    if classes is not None:
        labelled = dict(network.config.id2label) if head is None else {}
        names = dict(enumerate(labels)) if labels is not None else labelled
        classifier.ordered(class_order(names, linear.out_features, classes, head or weights, assume_order))
    return classifier.to(device)


def _head(weights: str, width: int) -> nn.Linear:
    """Load a linear head for features of `width` numbers a token; its own shape says of how many layers."""
    state = read(weights)
    shape = list(state["weight"].shape) if "weight" in state else []
    widths = [width * (layers + 1) for layers in LAYERS]
    if len(shape) != 2 or shape[1] not in widths:
        what = f"weight of {shape}" if shape else f"{min(state)} and no weight"
        raise ValueError(
            f"{weights} holds {what}, and a head for this backbone has [classes, {widths[0]}] (1 layer) or [classes, "
            f"{widths[1]}] (4); take the one of this size"
        )
    head = nn.Linear(shape[1], shape[0])
    fit(head, state, weights, "take a linear head of facebookresearch/dinov2")
    return head
