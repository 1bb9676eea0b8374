"""Random pipelines of FLUX.2 klein."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from its.twins import qwen_text
from its.twins.flux import SCHEDULER
from its.twins.random_state import random_state
from its.twins.sd15 import write_json
from its.weights import Weights


def write(weights: Weights, *, distilled: bool = True) -> None:
    """Write a random pipeline to the folder `weights`, laid out as FLUX.2-klein-4B is.

    Args:
        distilled: whether it says that it is.
    """
    from diffusers import AutoencoderKLFlux2, Flux2Transformer2DModel

    # Write the networks.
    folder = Path(weights)
    qwen_text.write(str(folder / "text_encoder"), str(folder / "tokenizer"))
    transformer: Any = Flux2Transformer2DModel(
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=48,
        timestep_guidance_channels=32,
        guidance_embeds=False,
        axes_dims_rope=(4, 4, 4, 4),
    )
    vae: Any = AutoencoderKLFlux2(
        block_out_channels=(8,) * 4,
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=4,
    )
    for name, network in (("transformer", transformer), ("vae", vae)):
        network.load_state_dict(random_state(network))
        network.save_pretrained(folder / name)

    # Write the configurations.
    write_json(folder / "scheduler" / "scheduler_config.json", SCHEDULER)
    write_json(
        folder / "model_index.json",
        {
            "_class_name": "Flux2KleinPipeline",
            "_diffusers_version": "0.37.0.dev0",
            "is_distilled": distilled,
            "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
            "text_encoder": ["transformers", "Qwen3ForCausalLM"],
            "tokenizer": ["transformers", "Qwen2TokenizerFast"],
            "transformer": ["diffusers", "Flux2Transformer2DModel"],
            "vae": ["diffusers", "AutoencoderKLFlux2"],
        },
    )
