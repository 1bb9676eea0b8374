"""Files of SANA, SANA-Sprint, LCM and SD-Turbo as they were published, or as their conversions write them."""

from __future__ import annotations

from collections.abc import Mapping

from its.twins.sana import SCM, SOLVER
from tests.model.published import (
    CLIP,
    CLIP_WORDS,
    INDEX,
    LDM,
    LDM_VAE,
    SD_UNET,
    STEPS,
    TEXT,
    TRANSFORMER,
    UNET,
    VAE,
    WORDS,
    Entries,
    part,
)

STAGES = ["ResBlock"] * 3 + ["EfficientViTBlock"] * 3

DC_AE = {
    "_class_name": "AutoencoderDC",
    "_diffusers_version": "0.32.0.dev0",
    "_name_or_path": "mit-han-lab/dc-ae-f32c32-sana-1.0-diffusers",
    "attention_head_dim": 32,
    "decoder_act_fns": "silu",
    "decoder_block_out_channels": [128, 256, 512, 512, 1024, 1024],
    "decoder_block_types": STAGES,
    "decoder_layers_per_block": [3] * 6,
    "decoder_norm_types": "rms_norm",
    "decoder_qkv_multiscales": [[], [], [], [5], [5], [5]],
    "downsample_block_type": "Conv",
    "encoder_block_out_channels": [128, 256, 512, 512, 1024, 1024],
    "encoder_block_types": STAGES,
    "encoder_layers_per_block": [2, 2, 2, 3, 3, 3],
    "encoder_qkv_multiscales": [[], [], [], [5], [5], [5]],
    "in_channels": 3,
    "latent_channels": 32,
    "scaling_factor": 0.41407,
    "upsample_block_type": "interpolate",
}

GEMMA = {
    "_name_or_path": "google/gemma-2-2b-it",
    "architectures": ["Gemma2Model"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "attn_logit_softcapping": 50.0,
    "bos_token_id": 2,
    "cache_implementation": "hybrid",
    "eos_token_id": [1, 107],
    "final_logit_softcapping": 30.0,
    "head_dim": 256,
    "hidden_act": "gelu_pytorch_tanh",
    "hidden_activation": "gelu_pytorch_tanh",
    "hidden_size": 2304,
    "initializer_range": 0.02,
    "intermediate_size": 9216,
    "max_position_embeddings": 8192,
    "model_type": "gemma2",
    "num_attention_heads": 8,
    "num_hidden_layers": 26,
    "num_key_value_heads": 4,
    "pad_token_id": 0,
    "query_pre_attn_scalar": 256,
    "rms_norm_eps": 1e-06,
    "rope_theta": 10000.0,
    "sliding_window": 4096,
    "sliding_window_size": 4096,
    "torch_dtype": "bfloat16",
    "transformers_version": "4.46.3",
    "use_cache": True,
    "vocab_size": 256000,
}

LINEAR = {
    "_class_name": "SanaTransformer2DModel",
    "_diffusers_version": "0.32.0.dev0",
    "attention_bias": False,
    "attention_head_dim": 32,
    "caption_channels": 2304,
    "cross_attention_dim": 2240,
    "cross_attention_head_dim": 112,
    "dropout": 0.0,
    "in_channels": 32,
    "interpolation_scale": None,
    "mlp_ratio": 2.5,
    "norm_elementwise_affine": False,
    "norm_eps": 1e-06,
    "num_attention_heads": 70,
    "num_cross_attention_heads": 20,
    "num_layers": 20,
    "out_channels": 32,
    "patch_size": 1,
    "sample_size": 32,
}

SANA_PARTS = {
    "text_encoder": part("transformers", "Gemma2Model"),
    "tokenizer": part("transformers", "GemmaTokenizerFast"),
    "transformer": part("diffusers", "SanaTransformer2DModel"),
    "vae": part("diffusers", "AutoencoderDC"),
}

SANA: Mapping[str, Entries] = {
    INDEX: {
        "_class_name": "SanaPipeline",
        "_diffusers_version": "0.32.0.dev0",
        "scheduler": part("diffusers", "DPMSolverMultistepScheduler"),
        **SANA_PARTS,
    },
    STEPS: SOLVER,
    TRANSFORMER: LINEAR,
    VAE: DC_AE,
    TEXT: GEMMA,
}

SPRINT: Mapping[str, Entries] = {
    **SANA,
    INDEX: {
        "_class_name": "SanaSprintPipeline",
        "_diffusers_version": "0.33.0.dev0",
        "scheduler": part("diffusers", "SCMScheduler"),
        **SANA_PARTS,
    },
    STEPS: {**SCM, "intermediate_timesteps": 1.3, "max_timesteps": 1.5708},
    TRANSFORMER: {
        **LINEAR,
        "guidance_embeds": True,
        "guidance_embeds_scale": 0.1,
        "qk_norm": "rms_norm_across_heads",
        "timestep_scale": 1.0,
    },
}

SD_PARTS = {
    "text_encoder": part("transformers", "CLIPTextModel"),
    "tokenizer": part("transformers", "CLIPTokenizer"),
    "unet": part("diffusers", "UNet2DConditionModel"),
    "vae": part("diffusers", "AutoencoderKL"),
}

LCM: Mapping[str, Entries] = {
    INDEX: {
        "_class_name": "LatentConsistencyModelPipeline",
        "_diffusers_version": "0.22.0.dev0",
        "feature_extractor": part("transformers", "CLIPImageProcessor"),
        "requires_safety_checker": True,
        "safety_checker": part("stable_diffusion", "StableDiffusionSafetyChecker"),
        "scheduler": part("diffusers", "LCMScheduler"),
        **SD_PARTS,
    },
    STEPS: {
        **LDM,
        "_class_name": "LCMScheduler",
        "_diffusers_version": "0.24.0",
        "clip_sample": False,
        "clip_sample_range": 1.0,
        "dynamic_thresholding_ratio": 0.995,
        "interpolation_type": "linear",
        "original_inference_steps": 50,
        "prediction_type": "epsilon",
        "rescale_betas_zero_snr": False,
        "sample_max_value": 1.0,
        "set_alpha_to_one": False,
        "skip_prk_steps": True,
        "steps_offset": 1,
        "thresholding": False,
        "timestep_scaling": 10.0,
        "timestep_spacing": "leading",
        "trained_betas": None,
        "use_karras_sigmas": False,
    },
    UNET: {**SD_UNET, "_diffusers_version": "0.22.0.dev0", "time_cond_proj_dim": 256},
    VAE: {**LDM_VAE, "_diffusers_version": "0.22.0.dev0", "force_upcast": True, "scaling_factor": 0.18215},
    TEXT: CLIP,
    WORDS: CLIP_WORDS,
}

TURBO: Mapping[str, Entries] = {
    INDEX: {
        "_class_name": "StableDiffusionPipeline",
        "_diffusers_version": "0.24.0.dev0",
        "feature_extractor": [None, None],
        "image_encoder": [None, None],
        "requires_safety_checker": False,
        "safety_checker": [None, None],
        "scheduler": part("diffusers", "EulerDiscreteScheduler"),
        **SD_PARTS,
    },
    STEPS: {
        **LDM,
        "_class_name": "EulerDiscreteScheduler",
        "_diffusers_version": "0.24.0.dev0",
        "clip_sample": False,
        "interpolation_type": "linear",
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
    },
    UNET: {**SD_UNET, "_diffusers_version": "0.24.0.dev0", "use_linear_projection": True},
    VAE: {**LDM_VAE, "_diffusers_version": "0.24.0.dev0", "force_upcast": True, "scaling_factor": 0.18215},
    TEXT: {**CLIP, "hidden_act": "gelu", "projection_dim": 512},
    WORDS: {**CLIP_WORDS, "pad_token": "!"},
}
