"""Configurations as Stable Diffusion 3.5, Qwen-Image and Z-Image were published with them, of tiny sizes."""

import json
import shutil

import pytest

from its.model import qwen_image, sd35, z_image
from its.twins import qwen_image as qwen_twin
from its.twins import sd35 as sd35_twin
from its.twins import z_image as z_image_twin

pytestmark = pytest.mark.usefixtures("text_cache")

FLOW = "FlowMatchEulerDiscreteScheduler"
ROPE = {"mrope_section": [2, 3, 3], "rope_type": "default", "type": "default"}
TEXT = {
    "architectures": ["Qwen2_5_VLForConditionalGeneration"],
    "attention_dropout": 0.0,
    "bos_token_id": 151643,
    "eos_token_id": 151645,
    "hidden_act": "silu",
    "hidden_size": 32,
    "initializer_range": 0.02,
    "intermediate_size": 64,
    "max_position_embeddings": 128000,
    "max_window_layers": 28,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "num_key_value_heads": 1,
    "rms_norm_eps": 1e-06,
    "rope_scaling": ROPE,
    "rope_theta": 1000000.0,
    "use_cache": True,
    "use_sliding_window": False,
    "vision_end_token_id": 151653,
    "vision_start_token_id": 151652,
    "vision_token_id": 151654,
    "vocab_size": 278,
}
NESTED = {
    **TEXT,
    "image_token_id": None,
    "layer_types": ["full_attention"] * 2,
    "model_type": "qwen2_5_vl_text",
    "sliding_window": None,
    "torch_dtype": "float32",
    "video_token_id": None,
}
VISION = {
    "depth": 2,
    "fullatt_block_indexes": [1],
    "hidden_act": "silu",
    "hidden_size": 32,
    "in_channels": 3,
    "in_chans": 3,
    "initializer_range": 0.02,
    "intermediate_size": 64,
    "model_type": "qwen2_5_vl",
    "num_heads": 2,
    "out_hidden_size": 32,
    "patch_size": 14,
    "spatial_merge_size": 2,
    "spatial_patch_size": 14,
    "temporal_patch_size": 2,
    "tokens_per_second": 2,
    "torch_dtype": "float32",
    "window_size": 112,
}
QWEN_VL = {
    **TEXT,
    "image_token_id": 151655,
    "model_type": "qwen2_5_vl",
    "sliding_window": 32768,
    "text_config": NESTED,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "transformers_version": "4.53.1",
    "video_token_id": 151656,
    "vision_config": VISION,
}
"""Qwen-Image's text encoder, whose text network's entries stand in two places."""

FLAT_QWEN_VL = {key: value for key, value in QWEN_VL.items() if key != "text_config"}
"""Qwen2.5-VL-7B-Instruct's own."""

FILES = {
    "sd35": {
        "scheduler/scheduler_config.json": {
            "_class_name": FLOW,
            "_diffusers_version": "0.29.0.dev0",
            "num_train_timesteps": 1000,
            "shift": 3.0,
        },
        "transformer/config.json": {
            "_class_name": "SD3Transformer2DModel",
            "_diffusers_version": "0.31.0.dev0",
            "_name_or_path": "/raid/sd3.5",
            "attention_head_dim": 8,
            "caption_projection_dim": 16,
            "dual_attention_layers": [0],
            "in_channels": 4,
            "joint_attention_dim": 48,
            "num_attention_heads": 2,
            "num_layers": 3,
            "out_channels": 4,
            "patch_size": 2,
            "pooled_projection_dim": 44,
            "pos_embed_max_size": 64,
            "qk_norm": "rms_norm",
            "sample_size": 128,
        },
    },
    "qwen_image": {
        "scheduler/scheduler_config.json": {
            "_class_name": FLOW,
            "_diffusers_version": "0.34.0.dev0",
            "base_image_seq_len": 256,
            "base_shift": 0.5,
            "invert_sigmas": False,
            "max_image_seq_len": 8192,
            "max_shift": 0.9,
            "num_train_timesteps": 1000,
            "shift": 1.0,
            "shift_terminal": 0.02,
            "stochastic_sampling": False,
            "time_shift_type": "exponential",
            "use_beta_sigmas": False,
            "use_dynamic_shifting": True,
            "use_exponential_sigmas": False,
            "use_karras_sigmas": False,
        },
        "text_encoder/config.json": QWEN_VL,
        "transformer/config.json": {
            "_class_name": "QwenImageTransformer2DModel",
            "_diffusers_version": "0.34.0.dev0",
            "attention_head_dim": 8,
            "axes_dims_rope": [4, 2, 2],
            "guidance_embeds": False,
            "in_channels": 16,
            "joint_attention_dim": 32,
            "num_attention_heads": 2,
            "num_layers": 1,
            "out_channels": 4,
            "patch_size": 2,
            "pooled_projection_dim": 768,
        },
        "vae/config.json": {
            "_class_name": "AutoencoderKLQwenImage",
            "_diffusers_version": "0.34.0.dev0",
            "attn_scales": [],
            "base_dim": 4,
            "dim_mult": [1, 1, 2, 2],
            "dropout": 0.0,
            "latents_mean": [-0.7571, -0.7089, -0.9113, 0.1075],
            "latents_std": [2.8184, 1.4541, 2.3275, 2.6558],
            "num_res_blocks": 1,
            "temperal_downsample": [False, True, True],
            "z_dim": 4,
        },
    },
    "z_image": {
        "text_encoder/config.json": {
            "architectures": ["Qwen3ForCausalLM"],
            "attention_bias": False,
            "attention_dropout": 0.0,
            "bos_token_id": 151643,
            "eos_token_id": 151645,
            "head_dim": 8,
            "hidden_act": "silu",
            "hidden_size": 16,
            "initializer_range": 0.02,
            "intermediate_size": 32,
            "max_position_embeddings": 40960,
            "max_window_layers": 36,
            "model_type": "qwen3",
            "num_attention_heads": 2,
            "num_hidden_layers": 3,
            "num_key_value_heads": 1,
            "rms_norm_eps": 1e-06,
            "rope_scaling": None,
            "rope_theta": 1000000,
            "sliding_window": None,
            "tie_word_embeddings": True,
            "torch_dtype": "bfloat16",
            "transformers_version": "4.51.0",
            "use_cache": True,
            "use_sliding_window": False,
            "vocab_size": 259,
        },
        "transformer/config.json": {
            "_class_name": "ZImageTransformer2DModel",
            "_diffusers_version": "0.36.0.dev0",
            "all_f_patch_size": [1],
            "all_patch_size": [2],
            "axes_dims": [4, 6, 6],
            "axes_lens": [1536, 64, 64],
            "cap_feat_dim": 16,
            "dim": 32,
            "in_channels": 4,
            "n_heads": 2,
            "n_kv_heads": 2,
            "n_layers": 1,
            "n_refiner_layers": 1,
            "norm_eps": 1e-05,
            "qk_norm": True,
            "rope_theta": 256.0,
            "t_scale": 1000.0,
        },
    },
}
"""Entries that were published, with the sizes of the twins."""

LOADERS = {
    "sd35": (sd35.load, sd35_twin.write),
    "qwen_image": (qwen_image.load, qwen_twin.write),
    "z_image": (z_image.load, z_image_twin.write),
}


@pytest.fixture(scope="module")
def twins(tmp_path_factory):
    root = tmp_path_factory.mktemp("published")
    for family, (_, write) in LOADERS.items():
        write(str(root / family))
    return root


@pytest.fixture
def changed(twins, tmp_path):
    """Copy a twin with other files, or entries of one of its files; None takes one out."""

    def change(family, files, entries=()):
        folder = shutil.copytree(twins / family, tmp_path / family, dirs_exist_ok=True)
        for name, content in files.items():
            (folder / name).write_text(json.dumps(content))
        for name, others in dict(entries).items():
            content = json.loads((folder / name).read_text()) | others
            (folder / name).write_text(json.dumps({key: value for key, value in content.items() if value is not None}))
        return str(folder)

    return change


@pytest.mark.parametrize("family", FILES)
def test_pipeline_of_published_configurations_is_read(changed, family):
    model = LOADERS[family][0](changed(family, FILES[family]), size=64)
    model.prepare(["a cat"])


def test_pipeline_reads_a_text_network_whose_entries_stand_beside_the_whole(changed):
    qwen_image.load(changed("qwen_image", {"text_encoder/config.json": FLAT_QWEN_VL}), size=64).prepare(["a cat"])


STEPS, NETWORK, VAE = "scheduler/scheduler_config.json", "transformer/config.json", "vae/config.json"
ENCODER = "text_encoder/config.json"
SCHEDULERS = (
    "UniPCMultistepScheduler",
    "DPMSolverMultistepScheduler",
    "FlowMatchHeunDiscreteScheduler",
    "LCMScheduler",
)


@pytest.mark.parametrize(
    ("family", "file", "entries", "message"),
    [
        *((family, STEPS, {"_class_name": name}, f'_class_name of .*"{name}"; here it is "{FLOW}"')
          for family in LOADERS for name in SCHEDULERS),
        ("sd35", STEPS, {"shift_terminal": 0.1}, r"shift_terminal of .* is 0\.1; here it is null"),
        ("sd35", STEPS, {"use_karras_sigmas": True}, "use_karras_sigmas of .* is true"),
        ("sd35", STEPS, {"shift": None}, "has no shift, and it is not guessed"),
        ("sd35", NETWORK, {"patch_size": 1}, "patch_size of .* is 1; here it is 2"),
        ("sd35", "model_index.json", {"text_encoder_3": [None, None]}, r"text_encoder_3 of .* is \[null, null\]"),
        ("qwen_image", STEPS, {"shift_terminal": 1.5}, r"shift_terminal of .* is 1\.5; it lies between 0"),
        ("qwen_image", STEPS, {"time_shift_type": "linear"}, "time_shift_type of .* here it is"),
        ("qwen_image", STEPS, {"use_dynamic_shifting": None}, "has no use_dynamic_shifting, and it is not guessed"),
        *(("qwen_image", NETWORK, {name: True}, f"{name} of .* is true; here it is false")
          for name in ("guidance_embeds", "use_additional_t_cond", "use_layer3d_rope", "zero_cond_t")),
        ("qwen_image", NETWORK, {"new_entry": 1}, "new_entry of .* this entry is not known here"),
        ("qwen_image", VAE, {"latents_std": [1.0]}, "latents_std of .* by z_dim and dim_mult it has 4 values"),
        ("qwen_image", VAE, {"latents_mean": None}, "has no latents_mean, and it is not guessed"),
        ("qwen_image", VAE, {"temperal_downsample": [True]}, "temperal_downsample of .* it has 3 values"),
        ("qwen_image", VAE, {"input_channels": 4}, "input_channels of .* is 4; here it is 3"),
        ("z_image", STEPS, {"stochastic_sampling": True}, "stochastic_sampling of .* is true"),
        ("z_image", NETWORK, {"all_patch_size": [2, 4]}, "all_patch_size of .* here it is"),
        ("z_image", NETWORK, {"siglip_feat_dim": 8}, "siglip_feat_dim of .* is 8; here it is null"),
        ("z_image", "model_index.json", {"_class_name": "ZImageOmniPipeline"}, "_class_name of .* here it is ZImage"),
    ],
)  # fmt: skip
def test_pipeline_refuses_what_was_not_published_by_name(changed, family, file, entries, message):
    index = {"scheduler": ["diffusers", entries["_class_name"]]} if file == STEPS and "_class_name" in entries else {}
    with pytest.raises(ValueError, match=message):
        LOADERS[family][0](changed(family, {}, {"model_index.json": index, file: entries}), size=64)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"hidden_act": "gelu"}, 'hidden_act of .* is "gelu"; the installed transformers does not read hidden_act'),
        (
            {"use_sliding_window": True, "text_config": {**NESTED, "use_sliding_window": True}},
            "does not read sliding_window",
        ),
        ({"vision_config": {**VISION, "in_chans": 4}}, "does not read vision_config.in_chans"),
    ],
)
def test_pipeline_refuses_a_text_network_of_two_minds(changed, entries, message):
    """The library leaves out what stands beside a nested entry."""
    model = qwen_image.load(changed("qwen_image", {ENCODER: QWEN_VL | entries}), size=64)
    with pytest.raises(ValueError, match=message):
        model.prepare(["a cat"])
