"""Random pipelines of Qwen-Image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from its.twins import qwen_text, qwen_vl
from its.twins.flux import SCHEDULER
from its.twins.random_state import random_state
from its.twins.sd15 import write_json
from its.weights import Weights

WORDS = (
    *("system", "Describe", " the", " image", " by", " detailing", " color", " shape", " size", " texture"),
    *(" quantity", " text", " spatial", " relationships", " of", " objects", " and", " background", "user"),
)
"""Tokens of the pipeline's template, of whose beginning the 34 first are dropped."""


def write(weights: Weights) -> None:
    """Write a random pipeline to the folder `weights`, laid out as Qwen-Image is."""
    from diffusers import AutoencoderKLQwenImage, QwenImageTransformer2DModel

    # Write the networks.
    folder = Path(weights)
    vocabulary = qwen_text.write_tokenizer(str(folder / "tokenizer"), WORDS)
    qwen_vl.write_network(str(folder / "text_encoder"), {token: 1 for token in qwen_vl.SPECIAL}, vocabulary)
    transformer: Any = QwenImageTransformer2DModel(
        in_channels=16,
        out_channels=4,
        num_layers=1,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=32,
        axes_dims_rope=(4, 2, 2),
    )
    vae: Any = AutoencoderKLQwenImage(
        base_dim=4,
        z_dim=4,
        dim_mult=[1, 1, 2, 2],
        num_res_blocks=1,
        latents_mean=[-0.7571, -0.7089, -0.9113, 0.1075],
        latents_std=[2.8184, 1.4541, 2.3275, 2.6558],
    )
    for name, network in (("transformer", transformer), ("vae", vae)):
        network.load_state_dict(random_state(network))
        network.save_pretrained(folder / name)

    # Write the configurations.
    steps = {**SCHEDULER, "max_image_seq_len": 8192, "max_shift": 0.9, "shift": 1.0, "shift_terminal": 0.02}
    write_json(folder / "scheduler" / "scheduler_config.json", steps)
    write_json(
        folder / "model_index.json",
        {
            "_class_name": "QwenImagePipeline",
            "_diffusers_version": "0.35.0.dev0",
            "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
            "text_encoder": ["transformers", "Qwen2_5_VLForConditionalGeneration"],
            "tokenizer": ["transformers", "Qwen2Tokenizer"],
            "transformer": ["diffusers", "QwenImageTransformer2DModel"],
            "vae": ["diffusers", "AutoencoderKLQwenImage"],
        },
    )
