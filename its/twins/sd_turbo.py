"""Random pipelines of SD-Turbo."""

from __future__ import annotations

import json
from pathlib import Path

from its.twins import clip_text, sd15
from its.twins.sd15 import write_json, write_unet
from its.weights import Weights

SCHEDULER = {
    "_class_name": "EulerDiscreteScheduler",
    "_diffusers_version": "0.24.0.dev0",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "clip_sample": False,
    "interpolation_type": "linear",
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
    "sample_max_value": 1.0,
    "set_alpha_to_one": False,
    "sigma_max": None,
    "sigma_min": None,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "timestep_spacing": "trailing",
    "timestep_type": "discrete",
    "trained_betas": None,
    "use_karras_sigmas": False,
}
"""The scheduler as SD-Turbo was published with it."""


def write(weights: Weights) -> None:
    """Write a random pipeline to the folder `weights`, laid out as sd-turbo is: of Stable Diffusion 2.1's parts."""
    folder = Path(weights)
    sd15.write(weights)
    clip_text.write(str(folder / "text_encoder"), str(folder / "tokenizer"), hidden_act="gelu")
    write_unet(folder / "unet", cross_attention_dim=32, use_linear_projection=True, attention_head_dim=(1, 2))
    write_json(folder / "scheduler" / "scheduler_config.json", SCHEDULER)
    index = json.loads((folder / "model_index.json").read_text())
    index |= {
        "_diffusers_version": "0.24.0.dev0",
        "feature_extractor": [None, None],
        "image_encoder": [None, None],
        "requires_safety_checker": False,
        "safety_checker": [None, None],
        "scheduler": ["diffusers", "EulerDiscreteScheduler"],
    }
    write_json(folder / "model_index.json", index)
