"""Configuration files of pipelines, entry by entry as they were published; sizes of networks are the twins'."""

from __future__ import annotations

from typing import Any

Entries = dict[str, Any]

INDEX, STEPS, VAE = "model_index.json", "scheduler/scheduler_config.json", "vae/config.json"
UNET, TRANSFORMER = "unet/config.json", "transformer/config.json"
TEXT, TEXT_2 = "text_encoder/config.json", "text_encoder_2/config.json"
WORDS, WORDS_2 = "tokenizer/tokenizer_config.json", "tokenizer_2/tokenizer_config.json"

SIZES = frozenset(
    {
        *("block_out_channels", "layers_per_block", "down_block_types", "up_block_types", "cross_attention_dim"),
        *("attention_head_dim", "norm_num_groups", "transformer_layers_per_block", "addition_time_embed_dim"),
        *("projection_class_embeddings_input_dim", "num_layers", "num_single_layers", "num_attention_heads"),
        *("joint_attention_dim", "pooled_projection_dim", "axes_dims_rope", "in_channels", "out_channels"),
        *("timestep_guidance_channels", "latent_channels", "caption_channels", "hidden_size", "intermediate_size"),
        *("num_hidden_layers", "vocab_size", "projection_dim", "d_model", "d_kv", "d_ff", "num_heads", "head_dim"),
        *("num_key_value_heads", "num_decoder_layers", "sample_size", "layer_types", "decoder_block_out_channels"),
        *("encoder_block_out_channels", "encoder_block_types", "encoder_layers_per_block", "encoder_qkv_multiscales"),
        *("decoder_block_types", "decoder_layers_per_block", "decoder_qkv_multiscales", "cross_attention_head_dim"),
        *("num_cross_attention_heads", "time_cond_proj_dim"),
    }
)
"""Entries that take the twin's values."""

LDM = {"beta_end": 0.012, "beta_schedule": "scaled_linear", "beta_start": 0.00085, "num_train_timesteps": 1000}

CLIP = {
    "architectures": ["CLIPTextModel"],
    "attention_dropout": 0.0,
    "bos_token_id": 0,
    "dropout": 0.0,
    "eos_token_id": 2,
    "hidden_act": "quick_gelu",
    "hidden_size": 768,
    "initializer_factor": 1.0,
    "initializer_range": 0.02,
    "intermediate_size": 3072,
    "layer_norm_eps": 1e-05,
    "max_position_embeddings": 77,
    "model_type": "clip_text_model",
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "pad_token_id": 1,
    "projection_dim": 768,
    "torch_dtype": "float16",
    "transformers_version": "4.32.0.dev0",
    "vocab_size": 49408,
}

CLIP_WORDS = {
    "add_prefix_space": False,
    "bos_token": {
        "__type": "AddedToken",
        "content": "<|startoftext|>",
        "lstrip": False,
        "normalized": True,
        "rstrip": False,
        "single_word": False,
    },
    "do_lower_case": True,
    "eos_token": {
        "__type": "AddedToken",
        "content": "<|endoftext|>",
        "lstrip": False,
        "normalized": True,
        "rstrip": False,
        "single_word": False,
    },
    "errors": "replace",
    "model_max_length": 77,
    "name_or_path": "openai/clip-vit-large-patch14",
    "pad_token": "<|endoftext|>",
    "special_tokens_map_file": "./special_tokens_map.json",
    "tokenizer_class": "CLIPTokenizer",
    "unk_token": "<|endoftext|>",
}

T5 = {
    "architectures": ["T5EncoderModel"],
    "classifier_dropout": 0.0,
    "d_ff": 10240,
    "d_kv": 64,
    "d_model": 4096,
    "decoder_start_token_id": 0,
    "dense_act_fn": "gelu_new",
    "dropout_rate": 0.1,
    "eos_token_id": 1,
    "feed_forward_proj": "gated-gelu",
    "initializer_factor": 1.0,
    "is_encoder_decoder": True,
    "is_gated_act": True,
    "layer_norm_epsilon": 1e-06,
    "model_type": "t5",
    "num_decoder_layers": 24,
    "num_heads": 64,
    "num_layers": 24,
    "output_past": True,
    "pad_token_id": 0,
    "relative_attention_max_distance": 128,
    "relative_attention_num_buckets": 32,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "transformers_version": "4.43.3",
    "use_cache": True,
    "vocab_size": 32128,
}

T5_WORDS = {
    "additional_special_tokens": [],
    "clean_up_tokenization_spaces": True,
    "eos_token": "</s>",
    "extra_ids": 0,
    "legacy": True,
    "model_max_length": 512,
    "pad_token": "<pad>",
    "sp_model_kwargs": {},
    "tokenizer_class": "T5Tokenizer",
    "unk_token": "<unk>",
}

BLOCKS = {"down_block_types": ["DownEncoderBlock2D"] * 4, "up_block_types": ["UpDecoderBlock2D"] * 4}

LDM_VAE = {
    **BLOCKS,
    "_class_name": "AutoencoderKL",
    "act_fn": "silu",
    "block_out_channels": [128, 256, 512, 512],
    "in_channels": 3,
    "latent_channels": 4,
    "layers_per_block": 2,
    "norm_num_groups": 32,
    "out_channels": 3,
    "sample_size": 512,
}

SDXL_VAE = {**LDM_VAE, "_name_or_path": "../sdxl-vae/", "force_upcast": True, "scaling_factor": 0.13025}

SD_UNET = {
    "_class_name": "UNet2DConditionModel",
    "act_fn": "silu",
    "attention_head_dim": 8,
    "block_out_channels": [320, 640, 1280, 1280],
    "center_input_sample": False,
    "cross_attention_dim": 768,
    "down_block_types": [],
    "downsample_padding": 1,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "in_channels": 4,
    "layers_per_block": 2,
    "mid_block_scale_factor": 1,
    "norm_eps": 1e-05,
    "norm_num_groups": 32,
    "out_channels": 4,
    "sample_size": 64,
    "up_block_types": [],
}

SDXL_UNET = {
    **SD_UNET,
    "_diffusers_version": "0.19.0.dev0",
    "addition_embed_type": "text_time",
    "addition_embed_type_num_heads": 64,
    "addition_time_embed_dim": 256,
    "class_embed_type": None,
    "class_embeddings_concat": False,
    "conv_in_kernel": 3,
    "conv_out_kernel": 3,
    "cross_attention_norm": None,
    "dual_cross_attention": False,
    "encoder_hid_dim": None,
    "encoder_hid_dim_type": None,
    "mid_block_only_cross_attention": None,
    "mid_block_type": "UNetMidBlock2DCrossAttn",
    "num_attention_heads": None,
    "num_class_embeds": None,
    "only_cross_attention": False,
    "projection_class_embeddings_input_dim": 2816,
    "resnet_out_scale_factor": 1.0,
    "resnet_skip_time_act": False,
    "resnet_time_scale_shift": "default",
    "time_cond_proj_dim": None,
    "time_embedding_act_fn": None,
    "time_embedding_dim": None,
    "time_embedding_type": "positional",
    "timestep_post_act": None,
    "transformer_layers_per_block": [1, 2, 10],
    "upcast_attention": None,
}
"""Its linear projections (`use_linear_projection`) are of other shapes than the twin's convolutions, and left out."""

PIXART = {
    "_class_name": "Transformer2DModel",
    "_diffusers_version": "0.28.0.dev0",
    "activation_fn": "gelu-approximate",
    "attention_bias": True,
    "attention_head_dim": 72,
    "attention_type": "default",
    "caption_channels": 4096,
    "cross_attention_dim": 1152,
    "double_self_attention": False,
    "dropout": 0.0,
    "in_channels": 4,
    "interpolation_scale": 2,
    "norm_elementwise_affine": False,
    "norm_eps": 1e-06,
    "norm_num_groups": 32,
    "norm_type": "ada_norm_single",
    "num_attention_heads": 16,
    "num_embeds_ada_norm": 1000,
    "num_layers": 28,
    "num_vector_embeds": None,
    "only_cross_attention": False,
    "out_channels": 8,
    "patch_size": 2,
    "sample_size": 128,
    "upcast_attention": False,
    "use_additional_conditions": False,
    "use_linear_projection": False,
}

FLUX = {
    "_class_name": "FluxTransformer2DModel",
    "_diffusers_version": "0.30.0.dev0",
    "_name_or_path": "../checkpoints/flux-dev/transformer",
    "attention_head_dim": 128,
    "axes_dims_rope": [16, 56, 56],
    "guidance_embeds": True,
    "in_channels": 64,
    "joint_attention_dim": 4096,
    "num_attention_heads": 24,
    "num_layers": 19,
    "num_single_layers": 38,
    "patch_size": 1,
    "pooled_projection_dim": 768,
}

FLUX_STEPS = {
    "_class_name": "FlowMatchEulerDiscreteScheduler",
    "_diffusers_version": "0.30.0.dev0",
    "base_image_seq_len": 256,
    "base_shift": 0.5,
    "max_image_seq_len": 4096,
    "max_shift": 1.15,
    "num_train_timesteps": 1000,
    "shift": 3.0,
    "use_dynamic_shifting": True,
}


def part(library: str, name: str) -> list[str]:
    return [library, name]


FLUX_INDEX = {
    "_class_name": "FluxPipeline",
    "_diffusers_version": "0.30.0.dev0",
    "scheduler": part("diffusers", "FlowMatchEulerDiscreteScheduler"),
    "text_encoder": part("transformers", "CLIPTextModel"),
    "text_encoder_2": part("transformers", "T5EncoderModel"),
    "tokenizer": part("transformers", "CLIPTokenizer"),
    "tokenizer_2": part("transformers", "T5TokenizerFast"),
    "transformer": part("diffusers", "FluxTransformer2DModel"),
    "vae": part("diffusers", "AutoencoderKL"),
}
