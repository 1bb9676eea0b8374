"""A random HPSv3 under its published names, with the Qwen2-VL that it was made of and a question of few words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import nn

from its.model.wrappers import StateDict
from its.twins.qwen_vl import write as write_qwen_vl
from its.twins.random_state import random_state
from its.weights import Settings, Weights

TEXTS = '''INSTRUCTION = """
Rate this picture.
Textual prompt - {text_prompt}

"""

prompt_with_special_token = """
Its rating: <|Reward|>
END
"""
'''


def write(weights: Weights, *, base: Weights | Settings, texts: Weights | Settings) -> None:
    """Write a random network to the file `weights`, its processor to the folder `base`, its question to `texts`."""
    import transformers

    write_qwen_vl(base, kind="Qwen2VL")
    Path(texts).write_text(TEXTS, encoding="utf-8")
    config: Any = transformers.Qwen2VLConfig.from_pretrained(base)
    config.text_config.vocab_size += 1
    network: Any = transformers.Qwen2VLForConditionalGeneration(config)
    head = nn.Sequential(nn.Linear(32, 16), nn.ReLU(), nn.Dropout(), nn.Linear(16, 4), nn.ReLU(), nn.Linear(4, 2))
    state = {**_published(random_state(network)), **{f"rm_head.{k}": v for k, v in random_state(head, seed=1).items()}}
    Path(weights).parent.mkdir(parents=True, exist_ok=True)
    save_file(state, weights)


def _published(state: StateDict) -> StateDict:
    """Return tensors under the names of transformers 4.45, with which it was published."""
    names = {name: name.replace("model.visual.", "visual.") for name in state}
    return {names[name].replace("model.language_model.", "model."): value for name, value in state.items()}
