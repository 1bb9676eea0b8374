"""Random CLIP networks in transformers' format, with a tokenizer that knows single letters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from its.twins.random_state import random_state
from its.weights import Weights

START, END = "<|startoftext|>", "<|endoftext|>"


def write(weights: Weights, *, size: int = 32, patch: int = 16, width: int = 32) -> None:
    """Write a random network, its image processor and its tokenizer to the folder `weights`.

    Args:
        size: side of the images that it takes.
    """
    import transformers

    tokenizer = letters_tokenizer()
    tokenizer.save_pretrained(Path(weights))
    vocabulary = tokenizer.get_vocab()

    # Make the network.
    sizes = {"hidden_size": width, "intermediate_size": 2 * width, "num_hidden_layers": 1, "num_attention_heads": 2}
    ends = {"bos_token_id": vocabulary[START], "eos_token_id": vocabulary[END], "pad_token_id": vocabulary[END]}
    config: Any = transformers.CLIPConfig(
        text_config={**sizes, **ends, "vocab_size": len(vocabulary), "max_position_embeddings": 96},
        vision_config={**sizes, "image_size": size, "patch_size": patch},
        projection_dim=width,
    )
    network: Any = transformers.CLIPModel(config)
    state = random_state(network)
    state["logit_scale"] = state["logit_scale"] * 0 + 4.6
    network.load_state_dict(state)
    network.save_pretrained(Path(weights))

    # Write its image processor.
    sides = {"height": size, "width": size}
    transformers.CLIPImageProcessor(size={"shortest_edge": size}, crop_size=sides).save_pretrained(Path(weights))


def letters_tokenizer() -> Any:
    """Make a tokenizer that knows each byte as part of a word and at a word's end, and the two ends of a text."""
    import transformers

    letters = [chr(code) for code in (*range(33, 127), *range(161, 173), *range(174, 324))]
    vocabulary = {
        token: index for index, token in enumerate([*letters, *(f"{each}</w>" for each in letters), START, END])
    }
    return transformers.CLIPTokenizer(vocab=vocabulary, merges=[])
