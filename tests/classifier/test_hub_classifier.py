"""Classifiers of timm and transformers: their own preparation, their labels by name, what does not fit."""

import json
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load_file
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD, create_transform, resolve_data_config

from its.classifier.classifier import ImageClassifier
from its.classifier.hub_classifier import load
from its.classifier.preparation import of_timm, of_transformers, picture, require_same_pixels
from its.model.config_file import ConfigFile
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
    with pytest.raises(ValueError, match=r"there is no .*config\.json"):
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


def setting(folder, entries, drop=()):
    """A tiny classifier of timm whose `pretrained_cfg` is changed."""
    weights = tiny(folder)
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config["pretrained_cfg"] = {k: v for k, v in (config["pretrained_cfg"] | entries).items() if k not in drop}
    path.write_text(json.dumps(config))
    return weights


def test_hub_classifier_takes_what_timm_files_lack_from_timm(tmp_path):
    every = ("crop_pct", "interpolation", "mean", "std")
    network = load(setting(tmp_path / "a", {}, drop=every))
    assert (network.size, network.crop, network.interpolation) == (int(32 / 0.875), 32, "bicubic")
    torch.testing.assert_close(network.mean.flatten(), torch.tensor(IMAGENET_DEFAULT_MEAN))
    torch.testing.assert_close(network.std.flatten(), torch.tensor(IMAGENET_DEFAULT_STD))
    assert load(setting(tmp_path / "b", {"crop_pct": None})).size == 36
    assert load(setting(tmp_path / "e", {"custom_load": True})).crop == 32, "of the file that timm itself downloads"
    assert load(setting(tmp_path / "c", {"crop_mode": "squash", "crop_pct": 0.9})).size == (35, 35)
    other = load(setting(tmp_path / "d", {"test_input_size": [3, 64, 64], "test_crop_pct": 1.0, "crop_pct": 0.5}))
    assert (other.size, other.crop) == (64, 32), "as timm.data.resolve_data_config, which reads them when asked to"


@pytest.mark.parametrize("side", [32, 75, 224])
@pytest.mark.parametrize("share", [1.0, 0.95, 0.9, 0.875])
@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("crop_mode", ["center", "squash"])
def test_of_timm_prepares_as_timm_does(side, share, mode, crop_mode):
    entries = {"input_size": [3, side, side], "crop_pct": share, "interpolation": mode, "crop_mode": crop_mode}
    file = ConfigFile(Path("config.json"), entries, "no remedy")
    classifier = ImageClassifier(torch.nn.Identity(), **of_timm(file))
    transform = create_transform(**resolve_data_config(pretrained_cfg=entries), is_training=False)
    require_same_pixels(classifier, transform, file, 3)
    classifier.size = (side + 2, side + 2)
    with pytest.raises(ValueError, match="images are prepared otherwise here than by its own library: by up to"):
        require_same_pixels(classifier, transform, file, 3)


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        (
            {"interpolation": "lanczos"},
            'interpolation of .*config.json is "lanczos"; here it is "nearest" or "bilinear"',
        ),
        ({"crop_mode": "border"}, 'crop_mode of .* is "border"; here it is "center" or "squash"'),
        ({"crop_pct": 1.1}, r"crop_pct of .* is 1\.1; it lies above 0 and is at most 1"),
        ({"input_size": [32, 32]}, r"input_size of .* is \[32, 32\]; here it is channels and the two sides"),
        ({"input_size": [3, 32, 48]}, r"input_size of .* is \[3, 32, 48\]; here it is channels and the two sides"),
        ({"mean": [0.5]}, r"mean of .* is \[0\.5\]; it is a number for each of 3 channels"),
        ({"std": [0.5, 0.5, 0.0]}, "std of .* a std is above 0"),
        ({"label_offset": 1}, "label_offset of .* is 1; here it is 0 or null"),
        ({"crop_border_pixels": 4}, "crop_border_pixels of .* is 4; this entry is not known here"),
    ],
)
def test_hub_classifier_refuses_unknown_settings_of_timm_by_name(tmp_path, entries, words):
    with pytest.raises(ValueError, match=words):
        load(setting(tmp_path / "a", entries))


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        (
            {"architecture": "hf-hub:someone/net"},
            'architecture of .* is "hf-hub:someone/net"; timm has no such network',
        ),
        ({"model_args": {"checkpoint_path": "x.pt"}}, "model_args of .*; checkpoint_path is not of the network"),
        ({"model_args": {"depht": 1}}, "model_args of .*; timm makes no such network .*depht"),
        (
            {"global_pool": "map"},
            "global_pool of .* is \"map\"; vit_tiny_patch16_224 pools by 'token': write it into model_args",
        ),
        ({"auto_map": {}}, "auto_map of .*; this entry is not known here"),
        ({"label_names": ["cat", "dog"]}, "tells 3 classes apart, and there are names of 2"),
    ],
)
def test_hub_classifier_refuses_other_networks_of_timm_by_name(tmp_path, entries, words):
    with pytest.raises(ValueError, match=words):
        load(tiny(tmp_path / "a", **entries), classes=NAMES)


def test_hub_classifier_reads_timm_files_of_all_forms(tmp_path):
    weights = tmp_path / "a"
    expected = load(tiny(weights))
    state = load_file(weights / "model.safetensors")
    config = json.loads((weights / "config.json").read_text())
    old = {"architecture": config["architecture"], "num_classes": 3, "labels": NAMES, **config["pretrained_cfg"]}
    images = torch.rand(2, 3, 32, 32)

    # torch's format with an average beside the weights.
    (weights / "model.safetensors").unlink()
    other = {name: value + 1 for name, value in state.items()}
    torch.save({"state_dict": other, "state_dict_ema": state}, weights / "pytorch_model.bin")
    torch.testing.assert_close(load(str(weights))(images), expected(images))
    assert not torch.allclose(load(str(weights), weights_key="state_dict")(images), expected(images))

    # The form before `pretrained_cfg`, of a network that its name alone says.
    network = timm.create_model("resnet10t", num_classes=3)
    torch.save(network.state_dict(), weights / "pytorch_model.bin")
    (weights / "config.json").write_text(json.dumps(old | {"architecture": "resnet10t"}))
    assert load(str(weights), classes=NAMES)(images).shape == (2, 3)


PROCESSOR = {  # preprocessor_config.json of ViT, as transformers saves it
    "do_convert_rgb": None,
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": [0.5, 0.4, 0.3],
    "image_processor_type": "ViTImageProcessor",
    "image_std": [0.2, 0.3, 0.4],
    "resample": 2,
    "rescale_factor": 1 / 255,
    "size": {"height": 48, "width": 48},
}


def of(entries, drop=()):
    kept = {key: value for key, value in (PROCESSOR | entries).items() if key not in drop}
    return of_transformers(ConfigFile(Path("preprocessor_config.json"), kept, "no remedy"))


def shorter(picture, side, mode):
    short = min(picture.size)
    return picture.resize(tuple(side * length // short for length in picture.size), mode)


def centre(picture, side):
    left, top = ((length - side) // 2 for length in picture.size)
    return picture.crop((left, top, left + side, top + side))


BILINEAR, BICUBIC, NEAREST = Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.NEAREST
CONVNEXT = {"image_processor_type": "ConvNextImageProcessor", "resample": 3}
BIT = {"image_processor_type": "BitImageProcessor", "do_center_crop": True, "crop_size": {"height": 40, "width": 40}}


@pytest.mark.parametrize(
    ("entries", "drop", "prepare", "scale"),
    [
        ({}, (), lambda p: p.resize((48, 48), BILINEAR), 1),
        ({"size": 48, "image_processor_type": "ViTImageProcessorFast"}, (), lambda p: p.resize((48, 48), BILINEAR), 1),
        ({"resample": 0}, (), lambda p: p.resize((48, 48), NEAREST), 1),
        ({"resample": 3, "size": [48, 48]}, (), lambda p: p.resize((48, 48), BICUBIC), 1),
        ({"do_rescale": False}, (), lambda p: p.resize((48, 48), BILINEAR), 255),
        ({"rescale_factor": 1 / 127.5}, (), lambda p: p.resize((48, 48), BILINEAR), 2),
        ({"feature_extractor_type": "ViTFeatureExtractor", "size": 48},
         ("image_processor_type", "do_rescale", "rescale_factor"), lambda p: p.resize((48, 48), BILINEAR), 1),
        ({"do_resize": False}, (), lambda p: p, 1),
        ({**CONVNEXT, "size": {"shortest_edge": 48}, "crop_pct": 0.8}, (),
         lambda p: centre(shorter(p, 60, BICUBIC), 48), 1),
        ({**CONVNEXT, "size": {"shortest_edge": 56}}, (), lambda p: centre(shorter(p, 64, BICUBIC), 56), 1),
        ({**CONVNEXT, "size": 384}, (), lambda p: p.resize((384, 384), BICUBIC), 1),
        ({**BIT, "size": {"shortest_edge": 47}}, (), lambda p: centre(shorter(p, 47, BILINEAR), 40), 1),
        ({**BIT, "size": 47, "crop_size": 40}, (), lambda p: centre(shorter(p, 47, BILINEAR), 40), 1),
    ],
)  # fmt: skip
def test_of_transformers_prepares_as_the_file_says(entries, drop, prepare, scale):
    classifier = ImageClassifier(torch.nn.Identity(), **of(entries, drop))
    mean, std = torch.tensor([0.5, 0.4, 0.3])[:, None, None], torch.tensor([0.2, 0.3, 0.4])[:, None, None]

    def own(pixels):
        array = torch.from_numpy(np.array(prepare(pixels))).permute(2, 0, 1).float() / 255
        return (scale * array - mean) / std

    require_same_pixels(classifier, own, ConfigFile(Path("preprocessor_config.json"), {}, "no remedy"), 3)


def test_of_transformers_without_normalisation_rescales_alone():
    classifier = ImageClassifier(
        torch.nn.Identity(), **of({"do_normalize": False, "do_rescale": False}, ("image_mean",))
    )
    images = torch.rand(1, 3, 48, 48) * 2 - 1
    torch.testing.assert_close(classifier(images), 127.5 * (images + 1))


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        (
            {"image_processor_type": "LevitImageProcessor"},
            'image_processor_type of .* is "LevitImageProcessor"; its prep',
        ),
        ({"resample": 1}, "resample of preprocessor_config.json is 1; here it is 0 or 2 or 3"),
        ({"rescale_factor": 0}, "rescale_factor of .* is 0; it is above 0"),
        ({"image_mean": None}, "image_mean of .* is null; here it is a number or a list"),
        ({"image_std": [0.5, 0.0, 0.5]}, "image_std of .* it is above 0"),
        ({"size": {"height": 48}}, r"size of .* is \{.height.: 48\}; here it is a number, height and width"),
        ({"size": {"shortest_edge": 48, "longest_edge": 64}}, "size of .* here it is a number, height and width"),
        ({"do_center_crop": True}, "do_center_crop of .* is true; ViTImageProcessor crops nothing"),
        ({**BIT, "size": 32}, "crop_size of .* here it is a square no larger than size"),
        ({**BIT, "size": 48, "crop_size": {"height": 40, "width": 32}}, "crop_size of .* here it is a square"),
        ({**BIT, "do_resize": False}, "do_center_crop of .* is true; do_resize is false, and images may be smaller"),
        ({"do_pad": True}, "do_pad of .* is true; here it is false or null"),
        ({"do_flip_channel_order": True}, "do_flip_channel_order of .* is true; this entry is not known here"),
        ({"auto_map": {"AutoImageProcessor": "x"}}, "auto_map of .*; this entry is not known here"),
    ],
)
def test_of_transformers_refuses_unknown_entries_and_values_by_name(entries, words):
    with pytest.raises(ValueError, match=words):
        of(entries)


def test_hub_classifier_refuses_settings_of_transformers_before_it_is_loaded(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "vit"}))
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(PROCESSOR | {"resample": 5}))
    with pytest.raises(ValueError, match=r"resample of .*preprocessor_config\.json is 5; here it is 0 or 2 or 3"):
        load(str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"problem_type": "multi_label_classification"}))
    with pytest.raises(ValueError, match=r"problem_type of .*config\.json .* here it is single_label_classification"):
        load(str(tmp_path))


@pytest.mark.parametrize("key", ["image_mean", "image_std", "size", "resample", "image_processor_type"])
def test_of_transformers_guesses_no_missing_entry(key):
    with pytest.raises(ValueError, match=rf"preprocessor_config\.json has no {key}, and it is not guessed"):
        of({}, drop=(key,))


def test_require_same_pixels_refuses_what_it_cannot_compare():
    file = ConfigFile(Path("preprocessor_config.json"), {}, "take another")
    classifier = ImageClassifier(torch.nn.Identity(), [0.5], [0.5], size=(32, 32))

    def broken(picture):
        raise KeyError("shortest_edge")

    with pytest.raises(ValueError, match=r"is not read by its own library \('shortest_edge'\); take another"):
        require_same_pixels(classifier, broken, file, 3)
    with pytest.raises(ValueError, match=r"becomes \(3, 32, 32\) here, and \(3, 48, 64\) by its own library"):
        require_same_pixels(classifier, lambda p: torch.zeros(3, *p.size[::-1]), file, 3)
    with pytest.raises(ValueError, match="images are prepared otherwise"):
        require_same_pixels(classifier, lambda p: torch.full((3, 32, 32), torch.nan), file, 3)


@pytest.mark.parametrize("channels", [1, 3])
def test_picture_is_cut_by_no_bicubic(channels):
    pixels = picture(48, 64, channels)
    assert pixels.shape == (48, 64, channels)
    for size in ((32, 32), (224, 224)):
        wide = np.asarray(Image.fromarray(pixels[..., 0].astype(np.float32)).resize(size, BICUBIC))
        assert wide.min() > 0
        assert wide.max() < 255
