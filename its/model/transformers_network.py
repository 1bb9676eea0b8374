"""Networks and tokenizers in transformers' format, loaded whole or refused."""

from __future__ import annotations

from collections.abc import Mapping
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
        *("vision_token_id", "vision_start_token_id", "vision_end_token_id"),
    }
)
"""Entries that versions of transformers wrote into every configuration: of its own, of generated text, of training."""

FAULTS = (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError)
"""Errors of the library about a file that it does not read."""

FORMER = {"in_chans": "in_channels", "spatial_patch_size": "patch_size"}
"""Names that entries of Qwen-VLs had, beside today's, which say the same."""

FLAT = ("qwen2_vl", "qwen2_5_vl")
"""Types of networks whose text network's entries stood beside those of the whole."""


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
    known = HARMLESS | _read_by(read) | _of_text(config, read)
    known |= {key for key, name in FORMER.items() if config.entries.get(key, read) == getattr(read, name, None)}
    for key, value in config.entries.items():
        if key not in known and value is not None:
            raise config.refusal(key, f"the installed transformers does not read {place}{key}, which may decide pixels")
        if isinstance(value, Mapping) and hasattr(part := getattr(read, key, None), "to_dict"):
            check_entries(ConfigFile(config.path, value, config.remedy), part, f"{place}{key}.")


def _read_by(read: Any) -> set[str]:
    """Return the names of the entries that a configuration of the library knows."""
    known = {*type(read)().to_dict(), *type(read).attribute_map}
    return known | {"rope_theta", "rope_scaling"} if "rope_parameters" in known else known


def _of_text(config: ConfigFile, read: Any) -> set[str]:
    """Return entries of a text network that are read beside those of the whole; see `FLAT`.

    The library leaves them out where there is a `text_config`; then both must say the same.
    """
    if getattr(read, "model_type", None) not in FLAT:
        return set()
    inner = config.entries.get("text_config")
    if not isinstance(inner, Mapping):
        return _read_by(read.text_config)
    windowless = {"sliding_window"} if inner.get("use_sliding_window") is False else set[str]()
    return windowless | {key for key, value in inner.items() if config.entries.get(key) == value}


def loaded(kind: str, folder: Path, weights: str, **options: Any) -> Any:
    """Return what transformers' class `kind` reads of a folder, without network and foreign code.

    Raises:
        ValueError: transformers is not installed, or does not read it.
    """
    transformers = library(weights)
    try:
        reader: Any = getattr(transformers, kind)
        return reader.from_pretrained(folder, local_files_only=True, trust_remote_code=False, **options)
    except FAULTS as error:
        raise ValueError(f"{weights} is not read ({' '.join(str(error).split())[:300]}); {OTHER}") from error


def library(weights: str) -> Any:
    """Return transformers, without progress bars.

    Raises:
        ValueError: it is not installed.
    """
    try:
        import transformers
    except ImportError as error:
        raise ValueError(
            f"{weights} needs transformers, which is not installed; in the folder of this code: "
            ".venv/bin/python -m pip install -c constraints.txt -e '.[text2image]'"
        ) from error
    transformers.utils.logging.disable_progress_bar()
    return transformers
