"""Entries of configuration files as they lie on the hub, with sizes that a test can afford."""

GENERATION = {
    **dict.fromkeys(("add_cross_attention", "do_sample", "early_stopping", "is_decoder", "is_encoder_decoder"), False),
    **dict.fromkeys(("output_attentions", "output_hidden_states", "output_scores", "remove_invalid_values"), False),
    **dict.fromkeys(("return_dict_in_generate", "tf_legacy_loss", "tie_encoder_decoder", "torchscript"), False),
    **dict.fromkeys(("architectures", "bad_words_ids", "cross_attention_hidden_size", "prefix", "problem_type"), None),
    **dict.fromkeys(("decoder_start_token_id", "finetuning_task", "forced_bos_token_id", "forced_eos_token_id")),
    **dict.fromkeys(("sep_token_id", "task_specific_params", "tokenizer_class", "torch_dtype"), None),
    **{"exponential_decay_length_penalty": None, "use_bfloat16": False, "return_dict": True, "top_k": 50, "top_p": 1.0},
    **{"chunk_size_feed_forward": 0, "diversity_penalty": 0.0, "encoder_no_repeat_ngram_size": 0, "pruned_heads": {}},
    **{"id2label": {"0": "LABEL_0", "1": "LABEL_1"}, "label2id": {"LABEL_0": 0, "LABEL_1": 1}, "dropout": 0.0},
    **{"length_penalty": 1.0, "max_length": 20, "min_length": 0, "no_repeat_ngram_size": 0, "num_beam_groups": 1},
    **{"num_beams": 1, "num_return_sequences": 1, "repetition_penalty": 1.0, "temperature": 1.0, "typical_p": 1.0},
    **{"tie_word_embeddings": True, "attention_dropout": 0.0, "initializer_factor": 1.0, "initializer_range": 0.02},
}
"""What transformers of 2022 wrote into every part of a configuration."""


def clip(activation: str, name: str, commit: str | None) -> dict:
    """Return the configuration of openai/clip-vit-large-patch14, of laion's ViT-H-14 or of PickScore_v1, small."""
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2, "num_hidden_layers": 1}
    shared = {**GENERATION, **sizes, "hidden_act": activation, "layer_norm_eps": 1e-05, "projection_dim": 512}
    text = {"model_type": "clip_text_model", "vocab_size": 514, "max_position_embeddings": 77}
    ends = {"bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1, "transformers_version": "4.24.0"}
    vision = {"model_type": "clip_vision_model", "image_size": 32, "num_channels": 3, "patch_size": 16}
    nobody = dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"))
    of_tower = {**sizes, "hidden_act": activation}
    tiny = {"vocab_size": 514, "eos_token_id": 2}  # else the library's defaults, which are those of the real ones
    return {
        **{"_commit_hash": commit, "_name_or_path": name, "architectures": ["CLIPModel"], "initializer_factor": 1.0},
        **{"logit_scale_init_value": 2.6592, "model_type": "clip", "projection_dim": 32, "torch_dtype": "float32"},
        "text_config": {**shared, **text, **ends, "_name_or_path": ""},
        "text_config_dict": {**of_tower, **tiny},
        "transformers_version": None,
        "vision_config": {**shared, **vision, **nobody, "_name_or_path": "", "transformers_version": "4.24.0"},
        "vision_config_dict": {**of_tower, "patch_size": 16, "image_size": 32},
    }


CLIPS = {
    "openai/clip-vit-large-patch14": clip("quick_gelu", "clip-vit-large-patch14/", None),
    "laion/CLIP-ViT-H-14-laion2B-s32B-b79K": clip("gelu", "", None),
    "yuvalkirstain/PickScore_v1": clip("gelu", "laion/CLIP-ViT-H-14-laion2B-s32B-b79K", "94a64189c3535c1cb44acfcc"),
}

CLIP_PREPROCESSOR = {
    **{"crop_size": 32, "do_center_crop": True, "do_normalize": True, "do_resize": True, "resample": 3, "size": 32},
    "feature_extractor_type": "CLIPFeatureExtractor",
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
}
"""Of OpenAI's and laion's repositories."""

MED_CONFIG = {
    **{"architectures": ["BertModel"], "attention_probs_dropout_prob": 0.1, "hidden_act": "gelu"},
    **{"hidden_dropout_prob": 0.1, "initializer_range": 0.02, "layer_norm_eps": 1e-12, "model_type": "bert"},
    **{"pad_token_id": 0, "type_vocab_size": 2, "encoder_width": 768, "add_cross_attention": True},
}
"""ImageReward's, without its sizes."""

QWEN_TOKENS = ("vision_start_token_id", "vision_end_token_id", "image_token_id", "video_token_id")

_TEXT = {
    **{"attention_dropout": 0.0, "hidden_act": "silu", "hidden_size": 32, "initializer_range": 0.02},
    **{"intermediate_size": 64, "max_position_embeddings": 32768, "max_window_layers": 2, "num_attention_heads": 2},
    **{"num_hidden_layers": 2, "num_key_value_heads": 1, "rms_norm_eps": 1e-06, "rope_theta": 1000000.0},
    **{"sliding_window": 32768, "tie_word_embeddings": False, "torch_dtype": "bfloat16", "use_cache": True},
    **{"transformers_version": "4.41.2", "use_sliding_window": False},
}
_VISION_25 = {
    **{"depth": 2, "hidden_act": "silu", "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "in_chans": 3},
    **{"out_hidden_size": 32, "patch_size": 14, "spatial_merge_size": 2, "spatial_patch_size": 14, "window_size": 112},
    **{"fullatt_block_indexes": [1], "tokens_per_second": 2, "temporal_patch_size": 2},
}

QWENS = {
    "Qwen/Qwen2.5-VL-7B-Instruct": {
        **_TEXT,
        "architectures": ["Qwen2_5_VLForConditionalGeneration"],
        "model_type": "qwen2_5_vl",
        "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]},
        "vision_config": _VISION_25,
    },
    "Qwen/Qwen2.5-VL-7B-Instruct, saved by 4.54": {
        **_TEXT,
        "architectures": ["Qwen2_5_VLForConditionalGeneration"],
        "model_type": "qwen2_5_vl",
        "rope_scaling": {"mrope_section": [2, 3, 3], "rope_type": "default", "type": "default"},
        "text_config": {
            **_TEXT,
            **{"model_type": "qwen2_5_vl_text", "image_token_id": None, "video_token_id": None, "sliding_window": None},
            "layer_types": ["full_attention"] * 2,
            "rope_scaling": {"mrope_section": [2, 3, 3], "rope_type": "default", "type": "default"},
        },
        "vision_config": {**_VISION_25, "in_channels": 3, "initializer_range": 0.02, "model_type": "qwen2_5_vl"},
    },
    "Qwen/Qwen2-VL-7B-Instruct": {
        **_TEXT,
        "architectures": ["Qwen2VLForConditionalGeneration"],
        "model_type": "qwen2_vl",
        "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]},
        "vision_config": {
            **{"depth": 2, "embed_dim": 32, "mlp_ratio": 2, "num_heads": 2, "in_chans": 3, "hidden_size": 32},
            **{"patch_size": 14, "spatial_merge_size": 2, "spatial_patch_size": 14, "temporal_patch_size": 2},
        },
    },
    "Qwen/Qwen3-VL-8B-Instruct": {
        **{"architectures": ["Qwen3VLForConditionalGeneration"], "model_type": "qwen3_vl"},
        **{"tie_word_embeddings": False, "transformers_version": "4.57.0.dev0"},
        "text_config": {
            **{"attention_bias": False, "attention_dropout": 0.0, "dtype": "bfloat16", "head_dim": 16},
            **{"hidden_act": "silu", "hidden_size": 32, "initializer_range": 0.02, "intermediate_size": 64},
            **{"max_position_embeddings": 262144, "model_type": "qwen3_vl_text", "num_attention_heads": 2},
            **{"num_hidden_layers": 2, "num_key_value_heads": 1, "rms_norm_eps": 1e-06, "rope_theta": 5000000},
            "rope_scaling": {"mrope_interleaved": True, "mrope_section": [2, 3, 3], "rope_type": "default"},
            "use_cache": True,
        },
        "vision_config": {
            **{"deepstack_visual_indexes": [0], "depth": 2, "hidden_act": "gelu_pytorch_tanh", "hidden_size": 32},
            **{"in_channels": 3, "initializer_range": 0.02, "intermediate_size": 64, "model_type": "qwen3_vl"},
            **{"num_heads": 2, "num_position_embeddings": 2304, "out_hidden_size": 32, "patch_size": 16},
            **{"spatial_merge_size": 2, "temporal_patch_size": 2},
        },
    },
}

QWEN_PREPROCESSOR = {
    **{"min_pixels": 3136, "max_pixels": 12845056, "patch_size": 14, "temporal_patch_size": 2, "merge_size": 2},
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
    **{"image_processor_type": "Qwen2VLImageProcessor", "processor_class": "Qwen2_5_VLProcessor"},
}
