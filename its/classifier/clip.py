"""CLIP as a zero-shot classifier: classes named in an ensemble of prompts (Radford et al. 2021, arXiv:2103.00020)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from its.classifier.classifier import ImageClassifier
from its.classifier.tokens import tokenizer_of
from its.classifier.transformers_files import OTHER, load_with_processor
from its.dataset.class_names import ClassNames
from its.model.config_file import ConfigFile
from its.weights import Device, Weights, locate

TEMPLATES = (
    "itap of a {}.",
    "a bad photo of the {}.",
    "a origami {}.",
    "a photo of the large {}.",
    "a {} in a video game.",
    "art of the {}.",
    "a photo of the small {}.",
)
"""The seven of 80 prompts that CLIP's authors found to do as well as all on ImageNet."""

OLD_END = 2
"""The `eos_token_id` of early configurations, under which the network looks at the highest token."""

ROWS = 256
"""Prompts that are embedded at once."""


class ZeroShot(nn.Module):
    """CLIP's image tower, whose logits are cosines with the directions of classes, times CLIP's own scale.

    Args:
        model: transformers' CLIPModel; its text tower is not kept.
        directions: of unit length, `[classes, width]`.
    """

    directions: Tensor

    def __init__(self, model: Any, directions: Tensor) -> None:
        super().__init__()
        self.tower, self.projection = model.vision_model, model.visual_projection
        self.scale = float(model.logit_scale.detach().float().exp())
        self.register_buffer("directions", directions)

    def forward(self, pixels: Tensor) -> Tensor:
        """Compute logits `[n, classes]` of normalised images."""
        features = self.projection(self.tower(pixel_values=pixels).pooler_output)
        return self.scale * F.normalize(features, dim=1) @ self.directions.T


def load(
    weights: Weights,
    *,
    weights_key: str | None = None,
    classes: str | Sequence[str],
    names: Sequence[str] | None = None,
    templates: Sequence[str] = TEMPLATES,
    device: Device = "cpu",
) -> ImageClassifier:
    """Load CLIP, and embed every class in every prompt once.

    Args:
        weights: a folder or a name on the hub, with its tokenizer's files.
        weights_key: the variant of its weights (`fp16`).
        classes: the dataset's class names, or `imagenet`: of a class the first word is said.
        names: other words to say in prompts, one for each class in the dataset's order; CLIP's authors curated a list.
        templates: prompts with `{}` for a class.

    Raises:
        ValueError: it is no CLIP, its tokenizer is not whole, or a name or a template cannot be used.
    """
    # Read the folder.
    folder = locate(weights)
    config = ConfigFile.read(folder / "config.json", OTHER)
    if config.needed("model_type") != "clip":
        raise config.refusal("model_type", 'here it is "clip"')
    texts = prompts(classes, names, templates)
    model, classifier = load_with_processor("CLIPModel", config, weights, weights_key)

    # Embed the prompts, and keep the mean direction of each class.
    model = model.float().eval().to(device)
    tokens = _tokens(tokenizer_of(weights), texts, model.config.text_config, weights)
    with torch.inference_mode():
        embeddings = torch.cat([F.normalize(_embedded(model, part), dim=1) for part in _batches(tokens)])
        directions = F.normalize(embeddings.unflatten(0, (-1, len(templates))).mean(dim=1), dim=1)
    classifier.network = ZeroShot(model, directions.clone())
    return classifier.requires_grad_(False).eval().to(device)


def prompts(classes: str | Sequence[str], names: Sequence[str] | None, templates: Sequence[str]) -> list[str]:
    """Return every class in every template, class by class.

    Raises:
        ValueError: a template has not one `{}`, or there are not as many names as classes.
    """
    all_words = ClassNames.of(classes).words
    spoken = [words[0] for words in all_words] if names is None else list(names)
    if len(spoken) != len(all_words) or not all(name.strip() for name in spoken):
        raise ValueError(
            f"names has {len(spoken)} words to say in prompts, or an empty one; give {len(all_words)}, one a class"
        )
    if not templates or any(template.count("{}") != 1 for template in templates):
        raise ValueError(f"templates is {list(templates)!r}; each has one {{}} where a class is named")
    return [template.replace("{}", name.replace("_", " ")) for name in spoken for template in templates]


def _tokens(tokenizer: Any, texts: Sequence[str], config: Any, weights: str) -> list[list[int]]:
    """Return the tokens of each prompt, whole.

    Raises:
        ValueError: the network or the tokenizer does not take one.
    """
    tokens = tokenizer(list(texts), padding=False, truncation=False)["input_ids"]
    most, vocabulary, end = config.max_position_embeddings, config.vocab_size, tokenizer.eos_token_id
    for prompt, each in zip(texts, tokens, strict=True):
        if len(each) > most:
            raise ValueError(
                f"{prompt!r} has {len(each)} tokens, and {weights} takes {most}; shorten the name or template"
            )
        if max(each) >= vocabulary or end != each[-1] or each.count(end) != 1:
            raise ValueError(f"the tokenizer of {weights} does not know the words of {prompt!r}; fetch its files again")
        if config.eos_token_id != end and not (config.eos_token_id == OLD_END and max(each) == end):
            raise ValueError(
                f"text_config.eos_token_id of {weights} is {config.eos_token_id}, and its tokenizer ends {prompt!r} "
                f"with {end}, where the network is to look; fetch its files again"
            )
    return tokens


def _batches(tokens: Sequence[list[int]]) -> Iterator[Tensor]:
    """Yield batches of prompts, filled up behind their end, where a causal network does not look."""
    for first in range(0, len(tokens), ROWS):
        part = tokens[first : first + ROWS]
        longest = max(map(len, part))
        yield torch.tensor([each + [each[-1]] * (longest - len(each)) for each in part])


def _embedded(model: Any, tokens: Tensor) -> Tensor:
    """Embed prompts `[n, tokens]`: `[n, width]`."""
    return model.text_projection(model.text_model(input_ids=tokens.to(model.device)).pooler_output)
