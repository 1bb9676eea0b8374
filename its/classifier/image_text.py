"""Likeness of images and prompts by CLIP (Radford et al. 2021, arXiv:2103.00020) and its fine-tuned kin."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from its.classifier.image_features import Tower
from its.classifier.tokens import Tokens, tokenizer_of
from its.classifier.transformers_files import OTHER, load_with_processor
from its.model.checkpoint import require_numbers
from its.model.config_file import ConfigFile
from its.weights import Device, Settings, Weights, locate

HIGHEST_IS_END = 2
"""The `eos_token_id` of old configurations, by which a text is read at its token of the highest number, CLIP's end."""

Likeness = Literal["clip_score", "cosine", "logit"]

OUTPUTS: Mapping[Likeness, Callable[[Tensor, float], Tensor]] = {
    "clip_score": lambda cosine, scale: 2.5 * cosine.clamp(min=0),
    "cosine": lambda cosine, scale: cosine,
    "logit": lambda cosine, scale: scale * cosine,
}
"""Of a cosine and exp(logit_scale): CLIPScore (Hessel et al. 2021, arXiv:2104.08718), the cosine, PickScore's logit."""


class ImageText(nn.Module):
    """Images and prompts in one space.

    A prompt is embedded once, alone and at full length, so that its company changes nothing.

    Args:
        images: images in [-1, 1] `[n, 3, H, W]` to features `[n, width]`.
        model: transformers' CLIPModel, whose text tower is used.
        tokens: of prompts.
        output: what is said of the cosine.

    Raises:
        ValueError: there is no such output.
    """

    def __init__(self, images: nn.Module, model: Any, tokens: Tokens, output: Likeness) -> None:
        super().__init__()
        if output not in OUTPUTS:
            raise ValueError(f"output is {output!r}; choose one of {', '.join(OUTPUTS)}")
        self.images, self.output = images, output
        self.text, self.projection = model.text_model, model.text_projection
        self.scale = float(model.logit_scale.detach().float().exp())
        self._tokens = tokens
        self._directions: dict[str, Tensor] = {}
        self.requires_grad_(False).eval()

    def scores(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        """Score images in [-1, 1] `[n, 3, H, W]` by their prompts, differentiably: float64 `[n]`."""
        features = F.normalize(self.images(images).double(), dim=1)
        directions = torch.stack([self.direction(prompt) for prompt in prompts])
        return OUTPUTS[self.output]((features * directions).sum(dim=1), self.scale)

    def direction(self, prompt: str) -> Tensor:
        """Return the unit vector of a prompt, float64 `[width]`."""
        if prompt not in self._directions:
            tokens = torch.tensor([self._tokens.padded(prompt)], device=self.projection.weight.device)
            features = self.projection(self.text(input_ids=tokens).pooler_output)[0]
            self._directions[prompt] = F.normalize(features.double(), dim=0)
        return self._directions[prompt]

    def extra_repr(self) -> str:
        """Return the settings that decide the scores beside the weights."""
        return f"output={self.output}, scale={self.scale:g}"


def load(
    weights: Weights,
    *,
    weights_key: str | None = None,
    tokenizer: Weights | Settings | None = None,
    preprocessor: Weights | Settings | None = None,
    output: Likeness = "clip_score",
    device: Device = "cpu",
) -> ImageText:
    """Load a CLIP in transformers' format.

    Args:
        weights: a folder or a name on the hub.
        weights_key: the variant of its weights (`fp16`).
        tokenizer: a `tokenizer.json` or a folder; None is that of `weights`.
        preprocessor: a `preprocessor_config.json`; None is that of `weights`.
        output: what is said of the cosine: `clip_score` (2.5 max(0, cos)), `cosine`, `logit` (exp(logit_scale) cos).

    Raises:
        ValueError: it is no CLIP, its preparation is unknown, or weights or tokenizer do not fit.
    """
    config = ConfigFile.read(locate(weights) / "config.json", OTHER)
    if config.needed("model_type") != "clip":
        raise config.refusal("model_type", 'here it is "clip"')
    processors = None if preprocessor is None else locate(preprocessor)
    if processors is not None and processors.is_file():
        processors = processors.parent
    model, tower = load_with_processor("CLIPModel", config, weights, weights_key, processors)
    model = model.float()
    tower.network = Tower(model.vision_model, model.visual_projection)
    text = model.config.text_config
    place = tokenizer or weights
    tokens = Tokens(tokenizer_of(place), text.max_position_embeddings, text.vocab_size, place)
    if text.eos_token_id not in (HIGHEST_IS_END, end := tokens("")[-1]):
        raise ValueError(
            f"the text network of {weights} reads a prompt at token {text.eos_token_id} (eos_token_id), and the "
            f"tokenizer of {place} ends it with {end}; take the tokenizer that the network was trained with"
        )
    network = ImageText(tower, model, tokens, output).to(device)
    require_numbers(network, weights)
    try:
        network.direction("")
    except Exception as error:  # the library's, of an entry that it reads and cannot use
        raise ValueError(f"{weights} reads no prompt ({type(error).__name__}: {error}); fetch it again") from error
    return network
