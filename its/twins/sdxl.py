"""Random pipelines of SDXL, and a random network of its sizes beside one."""

from __future__ import annotations

from pathlib import Path

from its.twins import clip_text
from its.twins.dit import write_vae
from its.twins.random_state import random_state
from its.twins.sd15 import SCHEDULER, write_json, write_unet
from its.weights import Weights

EULER = {
    **{key: value for key, value in SCHEDULER.items() if key != "_class_name"},
    "_class_name": "EulerDiscreteScheduler",
    "interpolation_type": "linear",
    "prediction_type": "epsilon",
    "sample_max_value": 1.0,
    "timestep_spacing": "leading",
    "use_karras_sigmas": False,
}
"""The scheduler as SDXL was published with it."""


def write(weights: Weights, *, unet: Weights | None = None) -> None:
    """Write a random pipeline to the folder `weights`, laid out as stable-diffusion-xl-base-1.0 is.

    Args:
        unet: where another network's state dict is written, as SDXL-Lightning's are published.
    """
    folder = Path(weights)
    clip_text.write(str(folder / "text_encoder"), str(folder / "tokenizer"))
    clip_text.write(str(folder / "text_encoder_2"), str(folder / "tokenizer_2"), projected=True)
    write_unet(
        folder / "unet",
        cross_attention_dim=64,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + 32,
    )
    write_vae(str(folder / "vae"))
    write_json(folder / "scheduler" / "scheduler_config.json", EULER)
    write_json(
        folder / "model_index.json",
        {
            "_class_name": "StableDiffusionXLPipeline",
            "_diffusers_version": "0.19.0.dev0",
            "force_zeros_for_empty_prompt": True,
            "add_watermarker": None,
            "scheduler": ["diffusers", "EulerDiscreteScheduler"],
            "text_encoder": ["transformers", "CLIPTextModel"],
            "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
            "tokenizer": ["transformers", "CLIPTokenizer"],
            "tokenizer_2": ["transformers", "CLIPTokenizer"],
            "unet": ["diffusers", "UNet2DConditionModel"],
            "vae": ["diffusers", "AutoencoderKL"],
        },
    )
    if unet is not None:
        _write_other(folder / "unet", Path(unet))


def _write_other(folder: Path, path: Path) -> None:
    """Write another network of a folder's sizes."""
    from diffusers import UNet2DConditionModel
    from safetensors.torch import save_file

    save_file(random_state(UNet2DConditionModel.from_pretrained(folder), seed=1), path)
