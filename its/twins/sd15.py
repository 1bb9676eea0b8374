"""Random pipelines of Stable Diffusion 1.5."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from its.twins import clip_text
from its.twins.dit import write_vae
from its.twins.random_state import random_state
from its.weights import Weights

SCHEDULER = {
    "_class_name": "PNDMScheduler",
    "_diffusers_version": "0.6.0",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "trained_betas": None,
    "clip_sample": False,
}
"""The scheduler as Stable Diffusion 1.5 was published with it."""


def write(weights: Weights) -> None:
    """Write a random pipeline to the folder `weights`, laid out as stable-diffusion-v1-5 is."""
    folder = Path(weights)
    clip_text.write(str(folder / "text_encoder"), str(folder / "tokenizer"))
    write_unet(folder / "unet", cross_attention_dim=32)
    write_vae(str(folder / "vae"))
    write_json(folder / "scheduler" / "scheduler_config.json", SCHEDULER)
    write_json(
        folder / "model_index.json",
        {
            "_class_name": "StableDiffusionPipeline",
            "_diffusers_version": "0.6.0",
            "feature_extractor": ["transformers", "CLIPImageProcessor"],
            "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
            "scheduler": ["diffusers", "PNDMScheduler"],
            "text_encoder": ["transformers", "CLIPTextModel"],
            "tokenizer": ["transformers", "CLIPTokenizer"],
            "unet": ["diffusers", "UNet2DConditionModel"],
            "vae": ["diffusers", "AutoencoderKL"],
        },
    )


def write_unet(folder: Path, **options: Any) -> None:
    """Write a random UNet2DConditionModel that attends at the lower of two resolutions."""
    from diffusers import UNet2DConditionModel

    defaults: dict[str, Any] = {
        "block_out_channels": (8, 16),
        "layers_per_block": 1,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        "attention_head_dim": 2,
        "norm_num_groups": 4,
        "sample_size": 64,
    }
    unet: Any = UNet2DConditionModel(**defaults | options)
    unet.load_state_dict(random_state(unet))
    unet.save_pretrained(folder)


def write_json(path: Path, entries: dict[str, Any]) -> None:
    """Write a configuration."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(entries, indent=2))
