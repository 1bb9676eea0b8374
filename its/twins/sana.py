"""Random pipelines of SANA and SANA-Sprint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from its.twins import gemma_text
from its.twins.random_state import random_state
from its.twins.sd15 import write_json
from its.weights import Weights

CHANNELS, WIDTH = 4, 16

SOLVER = {
    "_class_name": "DPMSolverMultistepScheduler",
    "_diffusers_version": "0.32.0.dev0",
    "algorithm_type": "dpmsolver++",
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "beta_start": 0.0001,
    "dynamic_thresholding_ratio": 0.995,
    "euler_at_final": False,
    "final_sigmas_type": "zero",
    "flow_shift": 3.0,
    "lambda_min_clipped": float("-inf"),
    "lower_order_final": True,
    "num_train_timesteps": 1000,
    "prediction_type": "flow_prediction",
    "rescale_betas_zero_snr": False,
    "sample_max_value": 1.0,
    "solver_order": 2,
    "solver_type": "midpoint",
    "steps_offset": 0,
    "thresholding": False,
    "timestep_spacing": "linspace",
    "trained_betas": None,
    "use_beta_sigmas": False,
    "use_exponential_sigmas": False,
    "use_flow_sigmas": True,
    "use_karras_sigmas": False,
    "use_lu_lambdas": False,
    "variance_type": None,
}
"""The scheduler as diffusers' conversion of SANA writes it."""

EULER = {"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0, "use_dynamic_shifting": False}
"""The other one that the conversion offers, of whose entries these decide the times."""

SCM = {
    "_class_name": "SCMScheduler",
    "_diffusers_version": "0.33.0.dev0",
    "num_train_timesteps": 1000,
    "prediction_type": "trigflow",
    "sigma_data": 0.5,
}
"""The scheduler of SANA-Sprint."""


def write(weights: Weights, *, sprint: bool = False) -> None:
    """Write a random pipeline to the folder `weights`, laid out as SANA is.

    Args:
        sprint: as SANA-Sprint is.
    """
    from diffusers import SanaTransformer2DModel

    # Write the networks.
    folder = Path(weights)
    gemma_text.write(str(folder / "text_encoder"), str(folder / "tokenizer"), width=WIDTH)
    transformer: Any = SanaTransformer2DModel(
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        num_attention_heads=2,
        attention_head_dim=8,
        num_layers=2,
        num_cross_attention_heads=2,
        cross_attention_head_dim=8,
        cross_attention_dim=16,
        caption_channels=WIDTH,
        guidance_embeds=sprint,
        qk_norm="rms_norm_across_heads" if sprint else None,
    )
    transformer.load_state_dict(random_state(transformer))
    transformer.save_pretrained(folder / "transformer")
    write_dc_ae(folder / "vae")

    # Write the configurations.
    scheduler: dict[str, Any] = SCM if sprint else SOLVER
    write_json(folder / "scheduler" / "scheduler_config.json", scheduler)
    write_json(
        folder / "model_index.json",
        {
            "_class_name": "SanaSprintPipeline" if sprint else "SanaPipeline",
            "_diffusers_version": scheduler["_diffusers_version"],
            "scheduler": ["diffusers", scheduler["_class_name"]],
            "text_encoder": ["transformers", "Gemma2Model"],
            "tokenizer": ["transformers", "GemmaTokenizerFast"],
            "transformer": ["diffusers", "SanaTransformer2DModel"],
            "vae": ["diffusers", "AutoencoderDC"],
        },
    )


def write_dc_ae(folder: Path) -> None:
    """Write a random AutoencoderDC that halves a side five times, as SANA's does."""
    from diffusers import AutoencoderDC

    kinds, widths = ("ResBlock",) * 5 + ("EfficientViTBlock",), (8,) * 6
    scales: tuple[tuple[int, ...], ...] = ((),) * 5 + ((5,),)
    vae: Any = AutoencoderDC(
        latent_channels=CHANNELS,
        attention_head_dim=4,
        encoder_block_types=kinds,
        decoder_block_types=kinds,
        encoder_block_out_channels=widths,
        decoder_block_out_channels=widths,
        encoder_layers_per_block=(1,) * 6,
        decoder_layers_per_block=(1,) * 6,
        encoder_qkv_multiscales=scales,
        decoder_qkv_multiscales=scales,
        upsample_block_type="interpolate",
        downsample_block_type="Conv",
        scaling_factor=0.41407,
    )
    vae.load_state_dict(random_state(vae))
    vae.save_pretrained(folder)
