"""Random pipelines of Stable Diffusion 3.5."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from its.twins import clip_text, t5_text
from its.twins.flux import SCHEDULER, write_flux_vae
from its.twins.random_state import random_state
from its.twins.sd15 import write_json
from its.weights import Weights

WIDTH = 48
"""Of T5, above that of both CLIPs, 20 and 24, which are filled up to it."""


def write(weights: Weights, *, layers: int = 3) -> None:
    """Write a random pipeline to the folder `weights`, laid out as Stable Diffusion 3.5 medium is.

    Args:
        layers: blocks of the network, of which the first has two kinds of attention.
    """
    from diffusers import SD3Transformer2DModel

    # Write the networks.
    folder = Path(weights)
    clip_text.write(str(folder / "text_encoder"), str(folder / "tokenizer"), width=20, projected=True)
    clip_text.write(str(folder / "text_encoder_2"), str(folder / "tokenizer_2"), width=24, projected=True)
    t5_text.write(str(folder / "text_encoder_3"), str(folder / "tokenizer_3"), width=WIDTH)
    transformer: Any = SD3Transformer2DModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        num_layers=layers,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=WIDTH,
        caption_projection_dim=16,
        pooled_projection_dim=20 + 24,
        pos_embed_max_size=64,
        dual_attention_layers=(0,),
        qk_norm="rms_norm",
    )
    transformer.load_state_dict(random_state(transformer))
    transformer.save_pretrained(folder / "transformer")
    write_flux_vae(folder / "vae")

    # Write the configurations.
    write_json(folder / "scheduler" / "scheduler_config.json", {**SCHEDULER, "use_dynamic_shifting": False})
    write_json(
        folder / "model_index.json",
        {
            "_class_name": "StableDiffusion3Pipeline",
            "_diffusers_version": "0.31.0.dev0",
            "feature_extractor": [None, None],
            "image_encoder": [None, None],
            "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
            "text_encoder": ["transformers", "CLIPTextModelWithProjection"],
            "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
            "text_encoder_3": ["transformers", "T5EncoderModel"],
            "tokenizer": ["transformers", "CLIPTokenizer"],
            "tokenizer_2": ["transformers", "CLIPTokenizer"],
            "tokenizer_3": ["transformers", "T5TokenizerFast"],
            "transformer": ["diffusers", "SD3Transformer2DModel"],
            "vae": ["diffusers", "AutoencoderKL"],
        },
    )
