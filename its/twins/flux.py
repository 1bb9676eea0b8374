"""Random pipelines of FLUX.1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from its.twins import clip_text, t5_text
from its.twins.random_state import random_state
from its.twins.sd15 import write_json
from its.weights import Weights

SCHEDULER = {
    "_class_name": "FlowMatchEulerDiscreteScheduler",
    "_diffusers_version": "0.30.0.dev0",
    "base_image_seq_len": 256,
    "base_shift": 0.5,
    "max_image_seq_len": 4096,
    "max_shift": 1.15,
    "num_train_timesteps": 1000,
    "shift": 3.0,
    "use_dynamic_shifting": True,
}
"""The scheduler as FLUX.1-dev was published with it; schnell's has a shift of 1, which is not dynamic."""


def write(weights: Weights, *, distilled_guidance: float | None) -> None:
    """Write a random pipeline to the folder `weights`, laid out as FLUX.1-dev is.

    Args:
        distilled_guidance: None is laid out as FLUX.1-schnell is.
    """
    from diffusers import FluxTransformer2DModel

    # Write the networks.
    folder, is_dev = Path(weights), distilled_guidance is not None
    clip_text.write(str(folder / "text_encoder"), str(folder / "tokenizer"))
    t5_text.write(str(folder / "text_encoder_2"), str(folder / "tokenizer_2"))
    transformer: Any = FluxTransformer2DModel(
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=32,
        guidance_embeds=is_dev,
        axes_dims_rope=(4, 2, 2),
    )
    transformer.load_state_dict(random_state(transformer))
    transformer.save_pretrained(folder / "transformer")
    write_flux_vae(folder / "vae")

    # Write the configurations.
    steps = SCHEDULER if is_dev else {**SCHEDULER, "shift": 1.0, "use_dynamic_shifting": False}
    write_json(folder / "scheduler" / "scheduler_config.json", steps)
    write_json(
        folder / "model_index.json",
        {
            "_class_name": "FluxPipeline",
            "_diffusers_version": "0.30.0.dev0",
            "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
            "text_encoder": ["transformers", "CLIPTextModel"],
            "text_encoder_2": ["transformers", "T5EncoderModel"],
            "tokenizer": ["transformers", "CLIPTokenizer"],
            "tokenizer_2": ["transformers", "T5TokenizerFast"],
            "transformer": ["diffusers", "FluxTransformer2DModel"],
            "vae": ["diffusers", "AutoencoderKL"],
        },
    )


def write_flux_vae(folder: Path) -> None:
    """Write a random AutoencoderKL with a shift and without the convolutions of latents, as FLUX.1's is."""
    from diffusers import AutoencoderKL

    vae: Any = AutoencoderKL(
        block_out_channels=(8,) * 4,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
        norm_num_groups=4,
        scaling_factor=0.3611,
        shift_factor=0.1159,
        use_quant_conv=False,
        use_post_quant_conv=False,
    )
    vae.load_state_dict(random_state(vae))
    vae.save_pretrained(folder)
