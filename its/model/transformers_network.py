"""Networks and tokenizers in transformers' format, loaded whole or refused."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from torch import nn

from its.model.checkpoint import misfit_of, refuse_misfit, stored
from its.model.config_file import ConfigFile

OTHER = "choose another, or correct the entry if it is wrong"

STEMS = ("model", "pytorch_model")
"""Beginnings of the names of weights, in timm's folders too."""

HARMLESS = frozenset(
    {
        *("_name_or_path", "_commit_hash", "architectures", "model_type", "torch_dtype", "dtype"),
        *("transformers_version", "num_labels", "tokenizer_class", "finetuning_task", "task_specific_params"),
        *("return_dict", "output_hidden_states", "output_attentions", "output_scores", "torchscript", "use_bfloat16"),
        *("tf_legacy_loss", "pruned_heads", "tie_word_embeddings", "use_cache", "dropout", "chunk_size_feed_forward"),
        *("is_encoder_decoder", "is_decoder", "add_cross_attention", "cross_attention_hidden_size"),
        *("tie_encoder_decoder", "max_length", "min_length", "do_sample", "early_stopping", "num_beams"),
        *("num_beam_groups", "prefix", "diversity_penalty", "temperature", "top_k", "top_p", "typical_p"),
        *("repetition_penalty", "length_penalty", "bad_words_ids", "no_repeat_ngram_size"),
        *("encoder_no_repeat_ngram_size", "num_return_sequences", "return_dict_in_generate", "forced_bos_token_id"),
        *("forced_eos_token_id", "remove_invalid_values", "exponential_decay_length_penalty", "suppress_tokens"),
        *("begin_suppress_tokens", "decoder_start_token_id", "bos_token_id", "pad_token_id", "sep_token_id"),
        *("eos_token_id", "vision_token_id", "attention_dropout", "output_past", "_attn_implementation_autoset"),
        *("vision_start_token_id", "vision_end_token_id", "cache_implementation"),
    }
)
"""Entries that versions of transformers wrote into every configuration: of its own, of generated text, of training."""

ALIASES = {
    **{"in_chans": "in_channels", "spatial_patch_size": "patch_size"},
    **{"hidden_act": "hidden_activation", "sliding_window_size": "sliding_window"},
}
"""Entries of vision networks, and of Gemma 2, that the library does not read, and the one that each must agree with."""

SWITCHES = {"sliding_window": "use_sliding_window"}
"""Entries that decide nothing where another one is false."""

PLAIN_ROPE = ("mrope", "default", None)
"""Names of rotary positions that are not scaled, where they say so at all."""


def load_network(kind: str, folder: Path, weights: str, key: str | None, **options: Any) -> nn.Module:
    """Load a network of transformers' class `kind`, every tensor of it.

    Args:
        key: the variant of the weights; see `its.model.checkpoint.stored`.
        options: of the library's reader, such as `dtype`.

    Raises:
        ValueError: the library does not read it, or tensors are missing or left over.
    """
    file, variant = stored(folder, STEMS, key)
    safetensors = ".safetensors" in file.name
    network, info = loaded(
        kind, folder, weights, variant=variant, use_safetensors=safetensors, output_loading_info=True, **options
    )
    refuse_misfit(weights, type(network).__name__, misfit_of(info), "fetch the whole repository again")
    check_entries(ConfigFile.read(folder / "config.json", OTHER), network.config)
    return network


def check_entries(config: ConfigFile, read: Any, place: str = "") -> None:
    """Refuse entries of a configuration that the installed transformers has no use for, and that are not harmless.

    Args:
        read: the configuration that it made of them.
        place: of nested entries, such as `text_config.`

    Raises:
        ValueError: names the first such entry.
    """
    known = HARMLESS | type(read)().to_dict().keys() | type(read).attribute_map.keys()
    for key, value in config.entries.items():
        part = getattr(read, key.removesuffix("_dict"), None)  # CLIP's of 2022 have a vision_config_dict beside
        if isinstance(value, Mapping) and hasattr(part, "to_dict"):
            check_entries(ConfigFile(config.path, value, config.remedy), part, f"{place}{key}.")
        elif value is not None and key not in known and not _is_followed(key, value, read):
            raise config.refusal(key, f"the installed transformers does not read {place}{key}, which may decide pixels")


def _is_followed(key: str, value: Any, read: Any) -> bool:
    """Return whether the library has an entry where it does not look for it today: it has taken it to its place.

    Texts' entries stood beside `vision_config` before there was a `text_config`.
    """
    text = getattr(read, "text_config", read)
    rope = getattr(text, "rope_parameters", None) or {}
    if key == "rope_theta":
        return rope.get(key) == value
    if key == "rope_scaling":
        kind = value.get("rope_type", value.get("type"))
        others = {name: each for name, each in value.items() if name not in ("rope_type", "type")}
        same_kind = rope.get("rope_type", "default") == ("default" if kind in PLAIN_ROPE else kind)
        return same_kind and all(rope.get(name) == each for name, each in others.items())
    if hasattr(read, ALIASES.get(key, "")):
        return getattr(read, ALIASES[key]) == value
    if key in SWITCHES and getattr(text, SWITCHES[key], True) is False:
        return True
    return key in type(text)().to_dict() and getattr(text, key) == value


def loaded(kind: str, folder: Path, weights: str, **options: Any) -> Any:
    """Return what transformers' class `kind` reads of a folder, without network and foreign code.

    Raises:
        ValueError: transformers is not installed, or does not read it.
    """
    transformers = library(weights)
    try:
        reader: Any = getattr(transformers, kind)
        return reader.from_pretrained(folder, local_files_only=True, trust_remote_code=False, **options)
    except Exception as error:
        raise ValueError(f"{weights} is not read ({' '.join(str(error).split())[:300]}); {OTHER}") from error


def library(weights: str) -> Any:
    """Return transformers, without progress bars.

    Raises:
        ValueError: it is not installed.
    """
    transformers = package("transformers", weights)
    transformers.utils.logging.disable_progress_bar()
    return transformers


def package(name: str, weights: str) -> Any:
    """Return a package of the extra `text2image`.

    Raises:
        ValueError: it is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise ValueError(
            f"{weights} needs {name}, which is not installed; in the folder of this code: "
            ".venv/bin/python -m pip install -c constraints.txt -e '.[text2image]'"
        ) from error
