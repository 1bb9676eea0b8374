"""What is fetched of a pipeline's repository."""

import pytest
from huggingface_hub.utils import filter_repo_objects

from its.weights.hub import pipeline_files, snapshot

SD15 = {
    "_class_name": "StableDiffusionPipeline",
    "_diffusers_version": "0.6.0",
    "feature_extractor": ["transformers", "CLIPImageProcessor"],
    "image_encoder": [None, None],
    "requires_safety_checker": True,
    "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
    **{part: ["a", "B"] for part in ("scheduler", "text_encoder", "tokenizer", "unet", "vae")},
}
FILES = (
    *(".gitattributes", "README.md", "model_index.json", "v1-5-pruned.safetensors"),
    *("feature_extractor/preprocessor_config.json", "safety_checker/config.json", "safety_checker/model.safetensors"),
    *("scheduler/scheduler_config.json", "text_encoder/config.json", "text_encoder/model.fp16.safetensors"),
    *("text_encoder/model.safetensors", "text_encoder/pytorch_model.bin", "tokenizer/merges.txt"),
    *("tokenizer/special_tokens_map.json", "tokenizer/tokenizer_config.json", "tokenizer/vocab.json"),
    *("unet/config.json", "unet/diffusion_pytorch_model.bin", "unet/diffusion_pytorch_model.fp16.safetensors"),
    *("unet/diffusion_pytorch_model.non_ema.safetensors", "unet/diffusion_pytorch_model.safetensors"),
    *("unet/flax_model.msgpack", "unet/onnx/model.onnx", "vae/config.json", "vae/diffusion_pytorch_model.safetensors"),
)
"""As stable-diffusion-v1-5 lies on the hub."""

CONFIGS = (
    *("model_index.json", "scheduler/scheduler_config.json", "text_encoder/config.json", "tokenizer/merges.txt"),
    *("tokenizer/special_tokens_map.json", "tokenizer/tokenizer_config.json", "tokenizer/vocab.json"),
    *("unet/config.json", "vae/config.json", "vae/diffusion_pytorch_model.safetensors"),
)


@pytest.mark.parametrize(("variant", "middle"), [(None, ""), ("fp16", ".fp16"), ("absent", "")])
def test_pipeline_files_are_one_variant_of_the_parts_that_are_loaded(variant, middle):
    weights = [f"text_encoder/model{middle}.safetensors", f"unet/diffusion_pytorch_model{middle}.safetensors"]
    assert sorted(pipeline_files(FILES, SD15, variant)) == sorted([*CONFIGS, *weights])


@pytest.mark.parametrize(
    ("variant", "taken", "left"),
    [
        (None, "model-00001-of-00002.safetensors model-00002-of-00002.safetensors model.safetensors.index.json", ""),
        (None, "pytorch_model.bin", "flax_model.msgpack"),
        (None, "model.fp16.safetensors", ""),
        ("fp16", "model.fp16-00001-of-00001.safetensors model.safetensors.index.fp16.json", "model.safetensors"),
        (None, "tokenizer.json spiece.model chat_template.jinja vocab.txt", "weights.msgpack"),
    ],
)
def test_pipeline_files_keep_shards_with_their_table(variant, taken, left):
    index = {"text_encoder_2": ["transformers", "T5EncoderModel"]}
    names = [f"text_encoder_2/{name}" for name in f"{taken} {left}".split()]
    assert sorted(pipeline_files(names, index, variant)) == sorted(names[: len(taken.split())])


JUDGE = (
    *("config.json", "preprocessor_config.json", "tokenizer.json", "merges.txt", "vocab.json", "chat_template.jinja"),
    *("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"),
    *("README.md", "figures/teaser.png", "pytorch_model.bin", "model.onnx", "spiece.model", "vocab.txt"),
)
"""As a repository of a judge lies on the hub, with files that nothing reads."""


def test_snapshot_takes_tokenizers_and_chat_templates_in_one_form_of_weights(tmp_path, monkeypatch):
    """Without its template a judge would not know how it is spoken to."""

    def download(name, revision, allow_patterns):
        for file in filter_repo_objects(JUDGE, allow_patterns=allow_patterns):
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / file).write_text("{}")
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    folder = snapshot("owner/judge", None)
    here = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert here == {*JUDGE} - {"README.md", "figures/teaser.png", "pytorch_model.bin", "model.onnx"}
