"""Random ImageReward networks under their authors' names, with a BERT tokenizer that knows single letters."""

from __future__ import annotations

import json
from pathlib import Path
from string import ascii_lowercase, digits, punctuation
from typing import Any

import torch
from torch import Tensor

from its.twins.random_state import random_state
from its.weights import Settings, Weights

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")


def write(
    weights: Weights,
    *,
    med_config: Weights | Settings,
    tokenizer: Weights | Settings,
    size: int = 32,
    patch: int = 16,
    width: int = 64,
) -> None:
    """Write a random network, its configuration and a `tokenizer.json`.

    Args:
        size: side of the images that it takes.
        width: of both networks.
    """
    # Write the tokenizer and the configuration.
    for file in (weights, med_config, tokenizer):
        Path(file).parent.mkdir(parents=True, exist_ok=True)
    count = _write_tokenizer(Path(tokenizer))
    sizes: dict[str, Any] = {"hidden_size": width, "intermediate_size": 2 * width, "num_hidden_layers": 2}
    entries: dict[str, Any] = {
        **sizes,
        "num_attention_heads": 2,
        "max_position_embeddings": 40,
        "layer_norm_eps": 1e-12,
        "hidden_act": "gelu",
        "pad_token_id": 0,
        "vocab_size": count,
        "model_type": "bert",
        "add_cross_attention": True,
    }
    Path(med_config).write_text(json.dumps(entries), encoding="utf-8")

    # Write the tensors of vision, text and head under their names.
    torch.save(_vision(sizes, size, patch) | _text(entries) | _head(width), weights)


def _write_tokenizer(path: Path) -> int:
    """Write a tokenizer of letters; return how many tokens it knows."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    letters = (*ascii_lowercase, *digits, *punctuation)
    vocabulary = {token: index for index, token in enumerate((*SPECIAL, *letters, *(f"##{each}" for each in letters)))}
    tokenizer: Any = Tokenizer(models.WordPiece(vocabulary, unk_token=SPECIAL[1]))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    ends = [(token, vocabulary[token]) for token in SPECIAL[2:]]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    tokenizer.save(str(path))
    return len(vocabulary)


def _vision(sizes: dict[str, Any], size: int, patch: int) -> dict[str, Tensor]:
    import transformers

    config = transformers.BlipVisionConfig(**sizes, num_attention_heads=1, image_size=size, patch_size=patch)
    places = (
        ("embeddings.class_embedding", "cls_token"),
        ("embeddings.position_embedding", "pos_embed"),
        ("embeddings.patch_embedding", "patch_embed.proj"),
        ("encoder.layers", "blocks"),
        ("self_attn.projection", "attn.proj"),
        ("self_attn", "attn"),
        ("layer_norm", "norm"),
        ("post_layernorm", "norm"),
    )
    state = {}
    for name, value in random_state(transformers.BlipVisionModel(config)).items():
        for place, original in places:
            name = name.replace(place, original)
        state[f"blip.visual_encoder.{name}"] = value
    return state


def _text(entries: dict[str, Any]) -> dict[str, Tensor]:
    from transformers import BlipTextConfig
    from transformers.models.blip.modeling_blip_text import BlipTextModel

    sizes = {key: value for key, value in entries.items() if key not in ("model_type", "add_cross_attention")}
    ends: dict[str, Any] = {"bos_token_id": 2, "sep_token_id": 3, "eos_token_id": 3}
    config = BlipTextConfig(**sizes, **ends, encoder_hidden_size=sizes["hidden_size"], is_decoder=True)
    state = random_state(BlipTextModel(config, add_pooling_layer=False), seed=1)
    return {f"blip.text_encoder.{name}": value for name, value in state.items()}


def _head(width: int) -> dict[str, Tensor]:
    from its.classifier.reward_head import RewardHead

    return {f"mlp.{name}": value for name, value in random_state(RewardHead([width, 16, 8, 6, 4, 1])).items()}
