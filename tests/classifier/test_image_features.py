"""Image features of transformers' networks against the library's own, and what is refused."""

import json

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file

from its.classifier.image_features import load
from its.classifier.preparation import picture
from its.model.dinov2 import positions_at
from its.pixels import from_uint8
from its.twins.image_features import write

KINDS = {"clip": "CLIPModel", "dinov2": "Dinov2Model", "siglip": "SiglipModel"}


@pytest.fixture(params=KINDS)
def folder(request, tmp_path):
    write(str(tmp_path), architecture=request.param)
    return request.param, tmp_path


def changed(path, **entries):
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


@pytest.mark.parametrize("shape", [(40, 60, 3), (16, 16, 3), (32, 32, 1)], ids=str)
def test_image_features_equal_the_library_s(folder, shape):
    """Its processor rounds what it resizes to bytes; a grey picture is given to it in three channels."""
    kind, path = folder
    own = transformers.AutoImageProcessor.from_pretrained(path, backend="pil")
    network = getattr(transformers, KINDS[kind]).from_pretrained(path).eval()
    if kind == "dinov2":
        parts = network.embeddings
        parts.position_embeddings = torch.nn.Parameter(positions_at(parts.position_embeddings, 2))
    pixels = picture(*shape)
    colour = Image.fromarray(np.repeat(pixels, 3 // shape[2], axis=2))
    with torch.inference_mode():
        made = getattr(network, "get_image_features", network)(**own(images=colour, return_tensors="pt"))
        features = load(str(path)).features(from_uint8(torch.from_numpy(pixels[None])))
    torch.testing.assert_close(features, getattr(made, "pooler_output", made), rtol=0.02, atol=0.02)


def test_image_features_refuse_what_they_do_not_know(folder):
    kind, path = folder
    changed(path / "config.json", model_type="vit")
    with pytest.raises(ValueError, match=r'model_type of .* is "vit"; features are known here of clip, dinov2, siglip'):
        load(str(path))
    changed(path / "config.json", model_type=kind)
    changed(path / "preprocessor_config.json", resample=1)
    with pytest.raises(ValueError, match=r"resample of .* is 1"):
        load(str(path))


def test_image_features_refuse_entries_that_nobody_reads(folder):
    _, path = folder
    changed(path / "config.json", registers=4)
    with pytest.raises(ValueError, match=r"registers of .* is 4; .*(does not read|is not known)"):
        load(str(path))


def test_image_features_refuse_siglip_without_its_head(tmp_path):
    write(str(tmp_path), architecture="siglip")
    there = json.loads((tmp_path / "config.json").read_text())["vision_config"]
    changed(tmp_path / "config.json", vision_config=there | {"vision_use_head": False})
    with pytest.raises(ValueError, match=r"vision_use_head is false|vision_model.head"):
        load(str(tmp_path))


def test_image_features_refuse_weights_that_are_not_whole(folder):
    _, path = folder
    tensors = load_file(path / "model.safetensors")
    tensors.pop(sorted(name for name in tensors if "layernorm" in name or "layer_norm" in name)[-1])
    save_file(tensors, path / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match=r"does not fit .*: 1 missing \(.*norm.*\); fetch the whole repository"):
        load(str(path))


def test_image_features_refuse_dinov2_patches_that_do_not_fill_the_crop(tmp_path):
    write(str(tmp_path), architecture="dinov2")
    changed(tmp_path / "preprocessor_config.json", crop_size={"height": 30, "width": 30})
    with pytest.raises(ValueError, match=r"patch_size of .* is 14; here it divides the side .* 30"):
        load(str(tmp_path))
