"""Families' files as they were published, and folders of twins that hold them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from tests.model.published import (
    BLOCKS,
    CLIP,
    CLIP_WORDS,
    FLUX,
    FLUX_INDEX,
    FLUX_STEPS,
    INDEX,
    LDM,
    LDM_VAE,
    PIXART,
    SD_UNET,
    SDXL_UNET,
    SDXL_VAE,
    SIZES,
    STEPS,
    T5,
    T5_WORDS,
    TEXT,
    TEXT_2,
    TRANSFORMER,
    UNET,
    VAE,
    WORDS,
    WORDS_2,
    Entries,
    part,
)
from tests.model.published_few_steps import LCM, SANA, SPRINT, TURBO

LDM_STEPS = {**LDM, "clip_sample": False, "set_alpha_to_one": False, "skip_prk_steps": True, "steps_offset": 1}

SD15: Mapping[str, Entries] = {
    INDEX: {
        "_class_name": "StableDiffusionPipeline",
        "_diffusers_version": "0.6.0",
        "feature_extractor": part("transformers", "CLIPImageProcessor"),
        "safety_checker": part("stable_diffusion", "StableDiffusionSafetyChecker"),
        "scheduler": part("diffusers", "PNDMScheduler"),
        "text_encoder": part("transformers", "CLIPTextModel"),
        "tokenizer": part("transformers", "CLIPTokenizer"),
        "unet": part("diffusers", "UNet2DConditionModel"),
        "vae": part("diffusers", "AutoencoderKL"),
    },
    STEPS: {**LDM_STEPS, "_class_name": "PNDMScheduler", "_diffusers_version": "0.6.0", "trained_betas": None},
    UNET: {**SD_UNET, "_diffusers_version": "0.6.0"},
    VAE: {**LDM_VAE, "_diffusers_version": "0.6.0"},
    TEXT: {**CLIP, "_name_or_path": "openai/clip-vit-large-patch14", "torch_dtype": "float32"},
    WORDS: CLIP_WORDS,
}

SDXL: Mapping[str, Entries] = {
    INDEX: {
        "_class_name": "StableDiffusionXLPipeline",
        "_diffusers_version": "0.19.0.dev0",
        "force_zeros_for_empty_prompt": True,
        "add_watermarker": None,
        "scheduler": part("diffusers", "EulerDiscreteScheduler"),
        "text_encoder": part("transformers", "CLIPTextModel"),
        "text_encoder_2": part("transformers", "CLIPTextModelWithProjection"),
        "tokenizer": part("transformers", "CLIPTokenizer"),
        "tokenizer_2": part("transformers", "CLIPTokenizer"),
        "unet": part("diffusers", "UNet2DConditionModel"),
        "vae": part("diffusers", "AutoencoderKL"),
    },
    STEPS: {
        **LDM_STEPS,
        "_class_name": "EulerDiscreteScheduler",
        "_diffusers_version": "0.19.0.dev0",
        "interpolation_type": "linear",
        "prediction_type": "epsilon",
        "sample_max_value": 1.0,
        "timestep_spacing": "leading",
        "trained_betas": None,
        "use_karras_sigmas": False,
    },
    UNET: SDXL_UNET,
    VAE: {**SDXL_VAE, "_diffusers_version": "0.20.0.dev0"},
    TEXT: CLIP,
    TEXT_2: {**CLIP, "architectures": ["CLIPTextModelWithProjection"], "hidden_act": "gelu"},
    WORDS: CLIP_WORDS,
    WORDS_2: {**CLIP_WORDS, "pad_token": "!"},
}

PIXART_SIGMA: Mapping[str, Entries] = {
    INDEX: {
        "_class_name": "PixArtSigmaPipeline",
        "_diffusers_version": "0.28.0.dev0",
        "scheduler": part("diffusers", "DPMSolverMultistepScheduler"),
        "text_encoder": part("transformers", "T5EncoderModel"),
        "tokenizer": part("transformers", "T5Tokenizer"),
        "transformer": part("diffusers", "Transformer2DModel"),
        "vae": part("diffusers", "AutoencoderKL"),
    },
    STEPS: {
        "_class_name": "DPMSolverMultistepScheduler",
        "_diffusers_version": "0.22.0.dev0",
        "algorithm_type": "dpmsolver++",
        "beta_end": 0.02,
        "beta_schedule": "linear",
        "beta_start": 0.0001,
        "dynamic_thresholding_ratio": 0.995,
        "euler_at_final": False,
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
    },
    TRANSFORMER: PIXART,
    VAE: {**SDXL_VAE, "_diffusers_version": "0.28.0.dev0"},
    TEXT: {**T5, "_name_or_path": "DeepFloyd/t5-v1_1-xxl", "torch_dtype": "float32"},
    WORDS: T5_WORDS,
}

FLUX_VAE = {
    **BLOCKS,
    "_class_name": "AutoencoderKL",
    "_diffusers_version": "0.30.0.dev0",
    "_name_or_path": "../checkpoints/flux-dev",
    "act_fn": "silu",
    "block_out_channels": [],
    "force_upcast": True,
    "in_channels": 3,
    "latent_channels": 16,
    "latents_mean": None,
    "latents_std": None,
    "layers_per_block": 2,
    "mid_block_add_attention": True,
    "norm_num_groups": 32,
    "out_channels": 3,
    "sample_size": 1024,
    "scaling_factor": 0.3611,
    "shift_factor": 0.1159,
    "use_post_quant_conv": False,
    "use_quant_conv": False,
}

FLUX_DEV: Mapping[str, Entries] = {
    INDEX: FLUX_INDEX,
    STEPS: FLUX_STEPS,
    TRANSFORMER: FLUX,
    VAE: FLUX_VAE,
    TEXT: {**CLIP, "_name_or_path": "openai/clip-vit-large-patch14", "torch_dtype": "bfloat16"},
    TEXT_2: {**T5, "_name_or_path": "google/t5-v1_1-xxl"},
    WORDS: CLIP_WORDS,
    WORDS_2: {**T5_WORDS, "add_prefix_space": None},
}

FLUX_SCHNELL: Mapping[str, Entries] = {
    **FLUX_DEV,
    INDEX: {**FLUX_INDEX, "feature_extractor": [None, None], "image_encoder": [None, None]},
    STEPS: {**FLUX_STEPS, "shift": 1.0, "use_dynamic_shifting": False},
    TRANSFORMER: {**FLUX, "guidance_embeds": False},
}

KLEIN: Mapping[str, Entries] = {
    INDEX: {
        "_class_name": "Flux2KleinPipeline",
        "_diffusers_version": "0.37.0.dev0",
        "is_distilled": True,
        "scheduler": part("diffusers", "FlowMatchEulerDiscreteScheduler"),
        "text_encoder": part("transformers", "Qwen3ForCausalLM"),
        "tokenizer": part("transformers", "Qwen2TokenizerFast"),
        "transformer": part("diffusers", "Flux2Transformer2DModel"),
        "vae": part("diffusers", "AutoencoderKLFlux2"),
    },
    STEPS: {
        **FLUX_STEPS,
        "_diffusers_version": "0.37.0.dev0",
        "invert_sigmas": False,
        "shift_terminal": None,
        "stochastic_sampling": False,
        "time_shift_type": "exponential",
        **dict.fromkeys(("use_beta_sigmas", "use_exponential_sigmas", "use_karras_sigmas"), False),
    },
    TRANSFORMER: {
        "_class_name": "Flux2Transformer2DModel",
        "_diffusers_version": "0.37.0.dev0",
        "attention_head_dim": 128,
        "axes_dims_rope": [32, 32, 32, 32],
        "eps": 1e-06,
        "guidance_embeds": False,
        "in_channels": 128,
        "joint_attention_dim": 7680,
        "mlp_ratio": 3.0,
        "num_attention_heads": 24,
        "num_layers": 5,
        "num_single_layers": 20,
        "out_channels": None,
        "patch_size": 1,
        "rope_theta": 2000,
        "timestep_guidance_channels": 256,
    },
    VAE: {
        **{key: value for key, value in FLUX_VAE.items() if not key.startswith(("latents_", "scaling", "shift"))},
        "_class_name": "AutoencoderKLFlux2",
        "_diffusers_version": "0.37.0.dev0",
        "batch_norm_eps": 0.0001,
        "batch_norm_momentum": 0.1,
        "patch_size": [2, 2],
        "use_post_quant_conv": True,
        "use_quant_conv": True,
    },
    TEXT: {
        "architectures": ["Qwen3ForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": 151643,
        "dtype": "bfloat16",
        "eos_token_id": 151645,
        "head_dim": 128,
        "hidden_act": "silu",
        "hidden_size": 2560,
        "initializer_range": 0.02,
        "intermediate_size": 9728,
        "layer_types": [],
        "max_position_embeddings": 40960,
        "max_window_layers": 36,
        "model_type": "qwen3",
        "num_attention_heads": 32,
        "num_hidden_layers": 36,
        "num_key_value_heads": 8,
        "rms_norm_eps": 1e-06,
        "rope_scaling": None,
        "rope_theta": 1000000,
        "sliding_window": None,
        "tie_word_embeddings": True,
        "transformers_version": "4.56.1",
        "use_cache": True,
        "use_sliding_window": False,
        "vocab_size": 151936,
    },
}

PUBLISHED: Mapping[str, Mapping[str, Entries]] = {
    "sd15": SD15,
    "sdxl": SDXL,
    "pixart_sigma": PIXART_SIGMA,
    "flux_dev": FLUX_DEV,
    "flux_schnell": FLUX_SCHNELL,
    "flux2_klein": KLEIN,
    "sana": SANA,
    "sana_sprint": SPRINT,
    "lcm": LCM,
    "sd_turbo": TURBO,
}
"""Files by family and place. Values of sizes do not matter: see `SIZES`. Tokenizers lack their long lists."""


def publish(folder: Path, family: str) -> None:
    """Write a family's published files into its twin's folder, in place of the twin's, with the twin's sizes."""
    for place, entries in PUBLISHED[family].items():
        path = folder / place
        own = json.loads(path.read_text())
        sizes = {key: own[key] for key in entries if key in SIZES and key in own}
        path.write_text(json.dumps({**entries, **sizes}))
