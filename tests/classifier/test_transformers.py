"""Classifiers of transformers: logits and preparation against the library's own, and remedies that are printed."""

import json
import shlex
import subprocess
import sys

import pytest
import torch
import transformers
from PIL import Image

from its.classifier.hub_classifier import load
from its.classifier.preparation import picture
from its.pixels import from_uint8

NAMES = ["cat", "dog", "sea bird"]


def saved(folder, processor=None, **entries):
    """A tiny ViT and its processor, as transformers saves them; then entries of the processor's file are changed."""
    config = transformers.ViTConfig(
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        image_size=48,
        patch_size=16,
        id2label={0: "dog", 1: "cat", 2: "sea bird"},
        label2id={"dog": 0, "cat": 1, "sea bird": 2},
    )
    transformers.ViTForImageClassification(config).eval().save_pretrained(folder)
    (processor or transformers.ViTImageProcessor(size={"height": 48, "width": 48})).save_pretrained(folder)
    path = folder / "preprocessor_config.json"
    kept = json.loads(path.read_text()) | entries
    path.write_text(json.dumps({key: value for key, value in kept.items() if value != "absent"}))
    return str(folder)


def expected(folder, pixels):
    """Logits by transformers' own processor and network."""
    own = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
    network = transformers.AutoModelForImageClassification.from_pretrained(folder).eval()
    with torch.inference_mode():
        return network(**own(images=Image.fromarray(pixels), return_tensors="pt")).logits


PROCESSORS = [
    lambda: transformers.ViTImageProcessor(size={"height": 48, "width": 48}, resample=3),
    lambda: transformers.ViTImageProcessor(size={"height": 48, "width": 48}, resample=0),
    lambda: transformers.ViTImageProcessor(size={"height": 48, "width": 48}, do_rescale=False),
    lambda: transformers.ViTImageProcessor(size={"height": 48, "width": 48}, rescale_factor=1 / 127.5),
    lambda: transformers.ViTImageProcessor(size={"height": 48, "width": 48}, do_normalize=False),
    lambda: transformers.ConvNextImageProcessor(size={"shortest_edge": 48}, crop_pct=0.8),
    lambda: transformers.BitImageProcessor(size={"shortest_edge": 55}, crop_size={"height": 48, "width": 48}),
    lambda: transformers.DeiTImageProcessor(size={"height": 55, "width": 55}, crop_size={"height": 48, "width": 48}),
    lambda: transformers.CLIPImageProcessor(size={"shortest_edge": 48}, crop_size={"height": 48, "width": 48}),
    lambda: transformers.SiglipImageProcessor(size={"height": 48, "width": 48}),
    lambda: transformers.EfficientNetImageProcessor(size={"height": 48, "width": 48}, resample=0),
    lambda: transformers.EfficientNetImageProcessor(
        size={"height": 48, "width": 48}, rescale_factor=1 / 127.5, rescale_offset=True, image_std=[0.4, 0.5, 0.6]
    ),
    lambda: transformers.EfficientNetImageProcessor(size={"height": 48, "width": 48}, do_normalize=False),
    lambda: transformers.EfficientNetImageProcessor(
        size={"height": 60, "width": 60}, do_center_crop=True, crop_size={"height": 48, "width": 48}, include_top=False
    ),
]


@pytest.mark.parametrize("make", PROCESSORS)
def test_hub_classifier_equals_the_transformers_model_and_processor(tmp_path, make):
    folder = saved(tmp_path, make())
    pixels = picture(32, 32, 3)
    with torch.inference_mode():
        logits = load(folder, classes=NAMES)(from_uint8(torch.from_numpy(pixels[None])))
    torch.testing.assert_close(logits, expected(folder, pixels)[:, [1, 0, 2]], rtol=0.02, atol=0.02)


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"resample": 1}, "resample of .* is 1; here it is 0 or 2 or 3: choose another classifier"),
        ({"include_top": True}, "include_top of .* is true; this entry is not known here"),
        ({"image_processor_type": "LevitImageProcessor"}, '"LevitImageProcessor"; its preparation is not known'),
        ({"size": {"height": 48, "width": 32}}, "is not read by its own library|becomes|prepared otherwise|mis-shaped"),
        ({"do_pad": True}, "do_pad of .* is true"),
    ],
)
def test_hub_classifier_refuses_unknown_processors_by_name(tmp_path, entries, words):
    folder = saved(tmp_path, **entries)
    if "size" in entries:
        assert load(folder).size == (48, 32), "height and width, as the library resizes"
        return
    with pytest.raises(ValueError, match=words):
        load(folder)


def test_hub_classifier_refuses_another_preparation_than_the_library_s(tmp_path, monkeypatch):
    folder = saved(tmp_path)
    monkeypatch.setattr("its.classifier.preparation.RESAMPLE", {2: "nearest"})
    with pytest.raises(ValueError, match="images are prepared otherwise here than by its own library"):
        load(folder)


def test_hub_classifier_remedy_for_a_missing_entry_works(tmp_path):
    folder = saved(tmp_path / "it's $a `b`", image_mean="absent")
    with pytest.raises(ValueError, match=r"has no image_mean, and it is not guessed; save the processor") as refusal:
        load(folder)
    command = shlex.split(str(refusal.value).split("every entry: ")[1].split(", if its class")[0])
    subprocess.run([sys.executable, *command[1:]], check=True, cwd=tmp_path)
    torch.testing.assert_close(load(folder).mean.flatten(), torch.tensor([0.5, 0.5, 0.5]))


def test_hub_classifier_reads_an_image_processor_within_one_of_texts_and_images(tmp_path):
    folder = saved(tmp_path, image_mean=[0.1, 0.2, 0.3])
    plain = tmp_path / "preprocessor_config.json"
    entries = json.loads(plain.read_text())
    both = tmp_path / "processor_config.json"
    both.write_text(json.dumps({"processor_class": "SiglipProcessor"}))
    assert load(folder).mean[0].item() == pytest.approx(0.1)
    both.write_text(json.dumps({"processor_class": "SiglipProcessor", "image_processor": entries | {"resample": 0}}))
    assert load(folder).interpolation == "nearest", "as the library, whichever else there is"
    plain.unlink()
    assert load(folder).mean[0].item() == pytest.approx(0.1)
    both.write_text(json.dumps({"image_processor": {k: v for k, v in entries.items() if k != "image_mean"}}))
    with pytest.raises(ValueError, match=r"processor_config.json has no image_mean, .*; write there what the network"):
        load(folder)
    both.write_text(json.dumps({"image_processor": [1]}))
    with pytest.raises(ValueError, match=r"image_processor of .*processor_config.json is \[1\]; it is an object"):
        load(folder)


def test_hub_classifier_reads_sharded_and_variant_weights_of_transformers(tmp_path):
    folder = saved(tmp_path)
    images = torch.rand(2, 3, 48, 48) * 2 - 1
    plain = load(folder)(images)
    network = transformers.AutoModelForImageClassification.from_pretrained(folder)
    (tmp_path / "model.safetensors").unlink()
    network.save_pretrained(folder, max_shard_size="20KB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 1
    torch.testing.assert_close(load(folder)(images), plain)
    for path in tmp_path.glob("model*"):
        path.unlink()
    network.half().save_pretrained(folder, variant="fp16")
    torch.testing.assert_close(load(folder)(images), plain, rtol=0, atol=0.01)
