"""Classifiers of timm and transformers: their own preparation, their labels by name, what does not fit."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from its.classifier.classifier import ImageClassifier
from its.classifier.hub_classifier import load
from its.pixels import from_uint8
from its.twins.hub_classifier import write

NAMES = ["cat", "dog", "sea bird"]


def tiny(folder, **config):
    write(
        str(folder),
        architecture="vit_tiny_patch16_224",
        classes=NAMES,
        size=32,
        model_args={"img_size": 32, "embed_dim": 32, "depth": 1, "num_heads": 2},
    )
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | config))
    return str(folder)


def test_hub_classifier_matches_labels_by_name(tmp_path):
    weights = tiny(tmp_path / "a", label_names=["Sea_Bird", "cat", "DOG"])
    images = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(load(weights, classes=NAMES)(images), load(weights)(images)[:, [1, 2, 0]])
    with pytest.raises(ValueError, match="tells the classes Sea_Bird, cat, DOG apart, and the dataset has cat, dog"):
        load(weights, classes=["cat", "dog", "fox"])
    torch.testing.assert_close(
        load(weights, classes=["cat", "dog", "fox"], labels=["fox", "dog", "cat"])(images),
        load(weights)(images)[:, [2, 1, 0]],
    )


def test_hub_classifier_refuses_a_checkpoint_of_another_size(tmp_path):
    weights = tiny(tmp_path / "a", num_classes=4)
    with pytest.raises(ValueError, match=r"mis-shaped \(head\.weight is \[3, 32\] and should be \[4, 32\]\)"):
        load(weights)
    with pytest.raises(ValueError, match=r"has no config\.json"):
        load(str(tmp_path))


@pytest.mark.parametrize(
    ("mode", "resample"), [("bilinear", Image.Resampling.BILINEAR), ("bicubic", Image.Resampling.BICUBIC)]
)
def test_image_classifier_prepares_images_as_pillow_does(mode, resample):
    pixels = np.random.Generator(np.random.Philox(key=3)).integers(90, 166, (32, 32, 3), dtype=np.uint8)
    prepared = ImageClassifier(
        torch.nn.Identity(), [0.5, 0.4, 0.3], [0.2, 0.3, 0.4], size=96, crop=80, interpolation=mode
    ).prepared(from_uint8(torch.from_numpy(pixels[None])))[0]
    resized = np.asarray(Image.fromarray(pixels).resize((96, 96), resample), dtype=np.float64)[8:88, 8:88] / 255
    expected = torch.from_numpy((resized - [0.5, 0.4, 0.3]) / [0.2, 0.3, 0.4]).permute(2, 0, 1).float()
    # Pillow rounds after each of its two passes; bicubic weights are up to 1.3 in all.
    torch.testing.assert_close(prepared, expected, rtol=0, atol=1.25 / 255 / 0.2)


def test_hub_classifier_equals_the_transformers_model_it_loads(tmp_path):
    transformers = pytest.importorskip("transformers")
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
    network = transformers.ViTForImageClassification(config).eval()
    network.save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(
        json.dumps(
            {
                "do_resize": True,
                "size": {"height": 48, "width": 48},
                "resample": 2,
                "do_normalize": True,
                "image_mean": [0.5] * 3,
                "image_std": [0.5] * 3,
            }
        )
    )
    images = torch.rand(2, 3, 48, 48) * 2 - 1
    with torch.inference_mode():
        expected = network(images).logits[:, [1, 0, 2]]
        torch.testing.assert_close(load(str(tmp_path), classes=NAMES)(images), expected)
