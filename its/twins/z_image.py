"""Random pipelines of Z-Image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from its.twins import qwen_text
from its.twins.flux import write_flux_vae
from its.twins.random_state import random_state
from its.twins.sd15 import write_json
from its.weights import Weights


def write(weights: Weights, *, shift: float = 6.0) -> None:
    """Write a random pipeline to the folder `weights`, laid out as Z-Image is.

    Args:
        shift: of times; Turbo's is 3.
    """
    from diffusers import ZImageTransformer2DModel

    # Write the networks.
    folder = Path(weights)
    qwen_text.write(str(folder / "text_encoder"), str(folder / "tokenizer"), layers=3, kind="Qwen3Model")
    transformer: Any = ZImageTransformer2DModel(
        in_channels=4,
        dim=32,
        n_layers=1,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        cap_feat_dim=16,
        axes_dims=[4, 6, 6],
        axes_lens=[1536, 64, 64],
    )
    transformer.load_state_dict(random_state(transformer))
    transformer.save_pretrained(folder / "transformer")
    write_flux_vae(folder / "vae")

    # Write the configurations.
    write_json(
        folder / "scheduler" / "scheduler_config.json",
        {
            "_class_name": "FlowMatchEulerDiscreteScheduler",
            "_diffusers_version": "0.36.0.dev0",
            "num_train_timesteps": 1000,
            "shift": shift,
            "use_dynamic_shifting": False,
        },
    )
    write_json(
        folder / "model_index.json",
        {
            "_class_name": "ZImagePipeline",
            "_diffusers_version": "0.36.0.dev0",
            "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
            "text_encoder": ["transformers", "Qwen3Model"],
            "tokenizer": ["transformers", "Qwen2Tokenizer"],
            "transformer": ["diffusers", "ZImageTransformer2DModel"],
            "vae": ["diffusers", "AutoencoderKL"],
        },
    )
