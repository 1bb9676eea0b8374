"""Random pipelines of latent consistency models."""

from __future__ import annotations

import json
from pathlib import Path

from its.twins import sd15
from its.twins.sd15 import write_json, write_unet
from its.weights import Weights

SCHEDULER = {
    "_class_name": "LCMScheduler",
    "_diffusers_version": "0.24.0",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "clip_sample": False,
    "clip_sample_range": 1.0,
    "dynamic_thresholding_ratio": 0.995,
    "num_train_timesteps": 1000,
    "original_inference_steps": 50,
    "prediction_type": "epsilon",
    "rescale_betas_zero_snr": False,
    "sample_max_value": 1.0,
    "set_alpha_to_one": True,
    "steps_offset": 1,
    "thresholding": False,
    "timestep_scaling": 10.0,
    "timestep_spacing": "leading",
    "trained_betas": None,
}
"""The scheduler as diffusers writes it."""


def write(weights: Weights) -> None:
    """Write a random pipeline to the folder `weights`, laid out as LCM_Dreamshaper_v7 is."""
    folder = Path(weights)
    sd15.write(weights)
    write_unet(folder / "unet", cross_attention_dim=32, time_cond_proj_dim=16)
    write_json(folder / "scheduler" / "scheduler_config.json", SCHEDULER)
    index = json.loads((folder / "model_index.json").read_text())
    index |= {"_class_name": "LatentConsistencyModelPipeline", "scheduler": ["diffusers", "LCMScheduler"]}
    write_json(folder / "model_index.json", index)
