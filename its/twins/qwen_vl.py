"""Random Qwen2-VL and Qwen2.5-VL networks in transformers' format, with a tokenizer of single bytes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from its.twins.random_state import random_state
from its.weights import Weights

SPECIAL = ("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{% for part in message.content %}"
    "{% if part.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part.text }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endfor %}{{ '<|im_start|>assistant\n' }}"
)
"""A conversation as the network reads it."""


OF_VISION: Mapping[str, Mapping[str, Any]] = {
    "Qwen2VL": {"embed_dim": 32, "mlp_ratio": 2},
    "Qwen2_5_VL": {"intermediate_size": 64, "out_hidden_size": 32, "fullatt_block_indexes": [1]},
}
"""Sizes of the vision network, by the beginning of transformers' names of a kind."""


def write(weights: Weights, *, kind: str = "Qwen2_5_VL") -> None:
    """Write a random network of two layers, its processor and its tokenizer to the folder `weights`."""
    import transformers

    # Make the processor.
    tokenizer = _tokenizer()
    pixels: dict[str, Any] = {"size": {"shortest_edge": 28 * 28, "longest_edge": 8 * 28 * 28}}
    processor: Any = getattr(transformers, f"{kind}Processor")(
        transformers.Qwen2VLImageProcessor(**pixels),
        tokenizer,
        transformers.Qwen2VLVideoProcessor(**pixels),
        chat_template=TEMPLATE,
    )
    processor.save_pretrained(Path(weights))

    write_network(weights, {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL}, len(tokenizer), kind)


def write_network(folder: str, ids: Mapping[str, int], vocabulary: int, kind: str = "Qwen2_5_VL") -> None:
    """Write a random network of two layers to a folder.

    Args:
        ids: of the marks of a conversation. vocabulary: tokens that it knows. kind: see `OF_VISION`.
    """
    import transformers

    config: Any = getattr(transformers, f"{kind}Config")(
        text_config={
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "vocab_size": vocabulary,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 3, 3]},
            "bos_token_id": ids["<|im_start|>"],
            "eos_token_id": ids["<|im_end|>"],
        },
        vision_config={"hidden_size": 32, "depth": 2, "num_heads": 2, **OF_VISION[kind]},
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
    )
    network: Any = getattr(transformers, f"{kind}ForConditionalGeneration")(config)
    network.load_state_dict(random_state(network))
    network.save_pretrained(Path(folder))


def _tokenizer() -> Any:
    """Make a tokenizer of bytes, and of the marks of a conversation."""
    import transformers
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    bytes_ = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer: Any = Tokenizer(models.BPE({token: index for index, token in enumerate(bytes_)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=SPECIAL[1], eos_token=SPECIAL[1])
