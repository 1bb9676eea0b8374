"""A state dict of open_clip's ViT as transformers' CLIPModel, and the prompts that its tokenizer reads."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from torch import Tensor

from its.model.checkpoint import fit
from its.model.transformers_network import library, package
from its.model.wrappers import StateDict

PLACES = {
    "visual.class_embedding": "vision_model.embeddings.class_embedding",
    "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
    "visual.ln_pre": "vision_model.pre_layrnorm",
    "visual.ln_post": "vision_model.post_layernorm",
    "visual.proj": "visual_projection.weight",
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "ln_final": "text_model.final_layer_norm",
    "text_projection": "text_projection.weight",
    "logit_scale": "logit_scale",
}
"""Names outside the blocks, with or without `.weight` and `.bias` behind them."""

IN_BLOCK = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
"""Names in a block."""

BLOCK = re.compile(r"(?P<tower>visual\.)?transformer\.resblocks\.(?P<number>\d+)\.(?P<rest>.+)")
FUSED = re.compile(r"attn\.in_proj_(?P<kind>weight|bias)")
TRANSPOSED = ("visual.proj", "text_projection")
UNUSED = ("attn_mask",)
"""A buffer that older versions saved, which is made anew."""


def renamed(state: StateDict) -> StateDict:
    """Return a state dict under transformers' names; one that is not open_clip's keeps its name.

    Queries, keys and values are one tensor in open_clip; projections are multiplied from the other side.
    """
    renamed_state: StateDict = {}
    for name, value in state.items():
        if name not in UNUSED:
            renamed_state |= _of_block(name, value) if BLOCK.fullmatch(name) else {_outside(name): _turned(name, value)}
    return renamed_state


def cleaned(prompt: str) -> str:
    """Return a prompt as open_clip cuts it into tokens: mended by ftfy, entities resolved twice, in lower case."""
    text = package("ftfy", "a network of open_clip's").fix_text(prompt)
    return " ".join(unescape(unescape(text)).split()).lower()


def _outside(name: str) -> str:
    stem, _, kind = name.rpartition(".")
    return PLACES.get(name) or (f"{PLACES[stem]}.{kind}" if stem in PLACES else name)


def _turned(name: str, value: Tensor) -> Tensor:
    return value.T.contiguous() if name in TRANSPOSED else value


def _of_block(name: str, value: Tensor) -> StateDict:
    block = BLOCK.fullmatch(name)
    assert block is not None
    place = f"{'vision' if block['tower'] else 'text'}_model.encoder.layers.{block['number']}"
    if fused := FUSED.fullmatch(block["rest"]):
        parts = zip("qkv", value.chunk(3), strict=False)
        return {f"{place}.self_attn.{letter}_proj.{fused['kind']}": part for letter, part in parts}
    stem, _, kind = block["rest"].rpartition(".")
    return {f"{place}.{IN_BLOCK[stem]}.{kind}" if stem in IN_BLOCK else name: value}


def clip_of(state: StateDict, heads: int, weights: str) -> Any:
    """Make the CLIPModel of open_clip's state dict, whose shapes say its sizes; its activation is the exact GELU.

    Args:
        heads: of both towers.
        weights: name of the weights, for messages.

    Raises:
        ValueError: it is no ViT of open_clip, or a tensor is missing, left over or of another shape.
    """
    # Read the sizes off.
    state = renamed(state)
    try:
        sizes = {tower: _sizes(state, f"{tower}_model", heads) for tower in ("vision", "text")}
        patches = state["vision_model.embeddings.patch_embedding.weight"]
        vision, text = (state[f"{tower}_model.embeddings.position_embedding.weight"] for tower in ("vision", "text"))
        sizes["vision"] |= {
            "patch_size": patches.shape[-1],
            "image_size": round((len(vision) - 1) ** 0.5) * patches.shape[-1],
        }
        vocabulary = len(state["text_model.embeddings.token_embedding.weight"])
        width = len(state["visual_projection.weight"])
    except (KeyError, IndexError) as error:
        raise ValueError(
            f"{weights} is no CLIP of open_clip's ({error} is missing); take HPS_v2.1_compressed.pt or "
            "HPS_v2_compressed.pt of xswu/HPSv2"
        ) from error

    # Make the network.
    ends = {"bos_token_id": vocabulary - 2, "eos_token_id": vocabulary - 1, "pad_token_id": vocabulary - 1}
    sizes["text"] |= {"vocab_size": vocabulary, "max_position_embeddings": len(text), **ends}
    transformers = library(weights)
    config = transformers.CLIPConfig(vision_config=sizes["vision"], text_config=sizes["text"], projection_dim=width)
    return fit(transformers.CLIPModel(config), state, weights, "fetch it again")


def _sizes(state: StateDict, tower: str, heads: int) -> dict[str, Any]:
    """Return the sizes of a tower."""
    hidden, width = state[f"{tower}.encoder.layers.0.mlp.fc1.weight"].shape
    layers = {name.split(".")[3] for name in state if name.startswith(f"{tower}.encoder.layers.")}
    return {
        "hidden_size": width,
        "intermediate_size": hidden,
        "num_hidden_layers": len(layers),
        "num_attention_heads": heads,
        "hidden_act": "gelu",
    }
