"""ImageReward (Xu et al. 2023, arXiv:2304.05977): BLIP on an image and its prompt, and a linear head."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from its.classifier.classifier import ImageClassifier
from its.classifier.hps import MEAN, STD
from its.classifier.reward_head import reward_head
from its.classifier.tokens import Tokens, tokenizer_of
from its.classifier.transformers_files import OTHER
from its.model.checkpoint import fit, read, require_numbers
from its.model.config_file import ConfigFile
from its.model.transformers_network import library
from its.model.wrappers import StateDict
from its.weights import Device, Settings, Weights, locate

OFFSET, SCALE = 0.16717362830052426, 1.0333394966054072
"""Mean and standard deviation of the head's numbers over its authors' data, which rewards are given in."""

WORDS = 35
"""Tokens of a prompt that the network was trained on, start and end among them."""

HEAD_WIDTH = 64
"""Width of an attention head of its vision networks, the base and the large one."""

CONFIG: Mapping[str, Any] = {
    **dict.fromkeys(("attention_probs_dropout_prob", "hidden_dropout_prob", "initializer_range"), float),
    "architectures": Sequence[str],
    "hidden_act": Literal["gelu"],
    **dict.fromkeys(("hidden_size", "intermediate_size", "max_position_embeddings"), int),
    **dict.fromkeys(("num_attention_heads", "num_hidden_layers", "vocab_size", "encoder_width"), int),
    "layer_norm_eps": float,
    "model_type": Literal["bert"],
    "pad_token_id": int,
    "type_vocab_size": int,  # of segments, which it has not
    "add_cross_attention": Literal[True],
}
"""The allow-list of `med_config.json`, whose `encoder_width` is not read, as by its authors."""

OF_TEXT = ("hidden_size", "intermediate_size", "max_position_embeddings", "num_attention_heads", "num_hidden_layers")
TAKEN = (*OF_TEXT, "vocab_size", "layer_norm_eps", "hidden_act", "pad_token_id")
"""Entries that decide the text network."""

UNSET = {"bos_token_id": None, "sep_token_id": None}
"""Tokens that only a decoder begins with and ends at."""

VISION, TEXT, HEAD = "blip.visual_encoder.", "blip.text_encoder.", "mlp."
"""Beginnings of the names of its three parts."""

UNUSED = re.compile(r"blip\.(vision_proj|text_proj)\.(weight|bias)|blip\.text_encoder\.embeddings\.position_ids")
"""Tensors of BLIP's pretraining that no score goes by."""

PLACES = (
    (r"cls_token", "embeddings.class_embedding"),
    (r"pos_embed", "embeddings.position_embedding"),
    (r"patch_embed\.proj\.", "embeddings.patch_embedding."),
    (r"blocks\.(\d+)\.norm([12])\.", r"encoder.layers.\1.layer_norm\2."),
    (r"blocks\.(\d+)\.attn\.qkv\.", r"encoder.layers.\1.self_attn.qkv."),
    (r"blocks\.(\d+)\.attn\.proj\.", r"encoder.layers.\1.self_attn.projection."),
    (r"blocks\.(\d+)\.mlp\.", r"encoder.layers.\1.mlp."),
    (r"norm\.", "post_layernorm."),
)
"""Names of the vision network, and transformers' for them; those of the text network are the same."""


class ImageReward(nn.Module):
    """Rewards of images in [-1, 1] `[n, 3, H, W]` for their prompts, differentiable in the images.

    Args:
        vision: normalised images to states, with its preparation around it.
        text: transformers' BlipTextModel, which looks at these states.
        head: of the state at a prompt's first token.
        tokens: of prompts.
        pad: the token that prompts are filled up with, which is not looked at.
    """

    def __init__(self, vision: nn.Module, text: nn.Module, head: nn.Module, tokens: Tokens, pad: int) -> None:
        super().__init__()
        self.vision, self.text, self.head = vision, text, head
        self._tokens, self._pad = tokens, pad
        self.requires_grad_(False).eval()

    def scores(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        """Score images by their prompts: `[n]`."""
        # Read the prompts.
        most, lengths = self._tokens.most, [len(self._tokens(prompt)) for prompt in prompts]
        tokens = torch.tensor([self._tokens.padded(prompt, self._pad) for prompt in prompts], device=images.device)
        mask = torch.arange(most, device=images.device) < torch.tensor(lengths, device=images.device)[:, None]

        # Let them look at the images; it is no decoder here, whatever its configuration says.
        states = self.vision(images)
        seen = torch.ones(states.shape[:2], dtype=torch.long, device=images.device)
        text = self.text(
            input_ids=tokens,
            attention_mask=mask.long(),
            encoder_hidden_states=states,
            encoder_attention_mask=seen,
            is_decoder=False,
        )
        return (self.head(text.last_hidden_state[:, 0]) - OFFSET) / SCALE


class States(nn.Module):
    """States `[n, patches + 1, width]` that BLIP's vision network makes of normalised images."""

    def __init__(self, vision: nn.Module) -> None:
        super().__init__()
        self.vision = vision

    def forward(self, pixels: Tensor) -> Tensor:
        return self.vision(pixel_values=pixels).last_hidden_state


def load(
    weights: Weights, med_config: Weights | Settings, tokenizer: Weights | Settings, *, device: Device = "cpu"
) -> ImageReward:
    """Load ImageReward.

    Args:
        weights: `ImageReward.pt`.
        med_config: `med_config.json` beside it.
        tokenizer: a `tokenizer.json` of BERT's (bert-base-uncased), or a folder with one.

    Raises:
        ValueError: an entry is unknown, or weights or tokenizer do not fit.
    """
    # Read the files.
    transformers = library(weights)
    file = ConfigFile.read(locate(med_config), OTHER)
    file.require(CONFIG)
    state = {name: value.float() for name, value in read(weights).items() if not UNUSED.fullmatch(name)}
    parts = {start: _below(state, start) for start in (VISION, TEXT, HEAD)}
    if strange := [name for name in state if not name.startswith(tuple(parts))] or [s for s in parts if not parts[s]]:
        raise ValueError(f"{weights} is no ImageReward ({strange[0]}); take ImageReward.pt of THUDM/ImageReward")

    # Make the networks.
    vision = _vision(transformers, {_renamed(name): value for name, value in parts[VISION].items()}, weights)
    width = vision.config.hidden_size
    entries = {key: file.needed(key) for key in TAKEN}
    if entries["num_attention_heads"] < 1 or entries["hidden_size"] % entries["num_attention_heads"]:
        raise file.refusal("num_attention_heads", "hidden_size is a multiple of it")
    sizes = transformers.BlipTextConfig(**entries, encoder_hidden_size=width, is_decoder=True, **UNSET)
    text = transformers.models.blip.modeling_blip_text.BlipTextModel(sizes, add_pooling_layer=False)
    fit(text, parts[TEXT], weights, f"{med_config} is of another network")
    head = reward_head(parts[HEAD], sizes.hidden_size, weights)
    side = vision.config.image_size
    images = ImageClassifier(States(vision), MEAN, STD, size=side, crop=side, interpolation="bicubic", centre="round")
    tokens = Tokens(tokenizer_of(tokenizer, "BertTokenizer"), WORDS, sizes.vocab_size, tokenizer)
    network = ImageReward(images, text, head, tokens, sizes.pad_token_id).to(device)
    require_numbers(network, weights)
    return network


def _below(state: StateDict, start: str) -> StateDict:
    return {name.removeprefix(start): value for name, value in state.items() if name.startswith(start)}


def _renamed(name: str) -> str:
    """Return transformers' name of a tensor of the vision network; another's stays."""
    for pattern, place in PLACES:
        if match := re.match(pattern, name):
            return match.expand(place) + name[match.end() :]
    return name


def _vision(transformers: Any, state: StateDict, weights: str) -> Any:
    """Make the vision network, whose shapes say its sizes; its norms are timm's, with an epsilon of 1e-6."""
    try:
        width, _, patch, _ = state["embeddings.patch_embedding.weight"].shape
        hidden = len(state["encoder.layers.0.mlp.fc1.weight"])
        side = round((state["embeddings.position_embedding"].shape[1] - 1) ** 0.5) * patch
    except (KeyError, ValueError, IndexError) as error:
        raise ValueError(f"{weights} has no vision network of BLIP's ({error}); take ImageReward.pt") from error
    config = transformers.BlipVisionConfig(
        hidden_size=width,
        intermediate_size=hidden,
        num_hidden_layers=len({name.split(".")[2] for name in state if name.startswith("encoder.layers.")}),
        num_attention_heads=width // HEAD_WIDTH,
        image_size=side,
        patch_size=patch,
        hidden_act="gelu",
        layer_norm_eps=1e-6,
    )
    return fit(transformers.BlipVisionModel(config), state, weights, "fetch it again")
