"""Random pipelines of PixArt-Sigma."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from its.twins import t5_text
from its.twins.dit import write_vae
from its.twins.random_state import random_state
from its.twins.sd15 import write_json
from its.weights import Weights

SCHEDULER = {
    "_class_name": "DPMSolverMultistepScheduler",
    "_diffusers_version": "0.28.0.dev0",
    "algorithm_type": "dpmsolver++",
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "beta_start": 0.0001,
    "dynamic_thresholding_ratio": 0.995,
    "euler_at_final": False,
    "final_sigmas_type": "zero",
    "lambda_min_clipped": float("-inf"),
    "lower_order_final": True,
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
    "sample_max_value": 1.0,
    "solver_order": 2,
    "solver_type": "midpoint",
    "steps_offset": 0,
    "thresholding": False,
    "timestep_spacing": "linspace",
    "trained_betas": None,
    "use_karras_sigmas": False,
    "use_lu_lambdas": False,
    "variance_type": None,
}
"""The scheduler as diffusers writes it of PixArt-Sigma."""


def write(weights: Weights) -> None:
    """Write a random pipeline to the folder `weights`, laid out as PixArt-Sigma-XL-2-1024-MS is."""
    from diffusers import PixArtTransformer2DModel

    folder = Path(weights)
    t5_text.write(str(folder / "text_encoder"), str(folder / "tokenizer"))
    transformer: Any = PixArtTransformer2DModel(
        num_attention_heads=2,
        attention_head_dim=8,
        cross_attention_dim=16,
        num_layers=2,
        sample_size=8,
        caption_channels=32,
        use_additional_conditions=False,
    )
    transformer.load_state_dict(random_state(transformer))
    transformer.save_pretrained(folder / "transformer")
    write_vae(str(folder / "vae"))
    write_json(folder / "scheduler" / "scheduler_config.json", SCHEDULER)
    write_json(
        folder / "model_index.json",
        {
            "_class_name": "PixArtSigmaPipeline",
            "_diffusers_version": "0.28.0.dev0",
            "scheduler": ["diffusers", "DPMSolverMultistepScheduler"],
            "text_encoder": ["transformers", "T5EncoderModel"],
            "tokenizer": ["transformers", "T5Tokenizer"],
            "transformer": ["diffusers", "PixArtTransformer2DModel"],
            "vae": ["diffusers", "AutoencoderKL"],
        },
    )
