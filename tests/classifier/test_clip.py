"""CLIP as a zero-shot classifier, against transformers' own model, processor and tokenizer."""

import json

import pytest
import torch
import transformers
from PIL import Image

from its.classifier.clip import TEMPLATES, load, prompts
from its.classifier.preparation import picture
from its.pixels import from_uint8
from its.twins.clip import END, write
from its.verifier.classifier import Classifier

NAMES = ["airplane", "sea_bird", "cat"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip")
    write(str(folder))
    return folder


@pytest.fixture(scope="module")
def own(weights):
    model = transformers.CLIPModel.from_pretrained(weights).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(weights, backend="pil")
    return model, transformers.CLIPTokenizer.from_pretrained(weights), processor


def changed(weights, folder, **entries):
    """The same folder with other entries in its configuration."""
    folder.mkdir()
    for file in weights.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))
    return folder


def test_clip_logits_are_the_library_s_for_one_prompt(weights, own):
    model, tokenizer, processor = own
    pixels = picture(50, 40, 3)
    said = ["a photo of a airplane.", "a photo of a sea bird.", "a photo of a cat."]
    inputs = processor(images=Image.fromarray(pixels), return_tensors="pt")
    with torch.inference_mode():
        expected = model(**inputs, **tokenizer(said, padding=True, return_tensors="pt")).logits_per_image
        network = load(str(weights), classes=NAMES, templates=["a photo of a {}."])
        logits = network(from_uint8(torch.from_numpy(pixels[None])))
    torch.testing.assert_close(logits, expected, rtol=0.01, atol=0.05)
    assert expected.std() > 1, "the pictures and words are told apart"


def test_clip_direction_of_a_class_is_the_mean_over_prompts(weights, own):
    model, tokenizer, _ = own
    directions = []
    with torch.inference_mode():
        for name in ("airplane", "sea bird", "cat"):
            each = []
            for template in TEMPLATES:  # one prompt at a time: nothing is filled up
                tokens = tokenizer([template.format(name)], return_tensors="pt")
                text = model.text_projection(model.text_model(**tokens).pooler_output)
                each.append(text / text.norm())
            mean = torch.cat(each).mean(dim=0)
            directions.append(mean / mean.norm())
    network = load(str(weights), classes=NAMES).network
    torch.testing.assert_close(network.directions, torch.stack(directions), rtol=0, atol=1e-5)
    assert network.scale == pytest.approx(model.logit_scale.exp().item())


def test_clip_verifier_guides_and_judges_rows_by_themselves(weights):
    verifier = Classifier(load(str(weights), classes=NAMES), output="probability")
    images = torch.rand(3, 3, 40, 40) * 2 - 1
    rewards = verifier.reward(images.requires_grad_(), [0, 1, 2])
    (gradient,) = torch.autograd.grad(rewards.sum(), images)
    assert (gradient.flatten(1).norm(dim=1) > 0).all()
    torch.testing.assert_close(verifier.reward(images[1:2], [1]), rewards[1:2], rtol=1e-4, atol=1e-6)


def test_prompts_say_each_class_by_its_first_word_or_by_another():
    assert prompts(["cat", "sea_bird"], None, ["a {}.", "the {}."]) == [
        "a cat.",
        "the cat.",
        "a sea bird.",
        "the sea bird.",
    ]
    assert prompts(["cat", "dog"], ["tom", "pup"], ["{}"]) == ["tom", "pup"]
    said = prompts("imagenet", None, ["{}"])
    assert (len(said), len(set(map(str.lower, said))), said[134], said[517]) == (1000, 999, "crane bird", "crane")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"templates": ["a photo"]}, r"templates is \['a photo'\]; each has one \{\}"),
        ({"templates": ["{} {}"]}, "each has one"),
        ({"templates": []}, "each has one"),
        ({"names": ["a"]}, "names has 1 words to say in prompts, or an empty one; give 3, one a class"),
        ({"names": ["a", " ", "b"]}, "or an empty one"),
        ({"names": ["a", "b", "x" * 99]}, "has 1.. tokens, and .* takes 96; shorten the name or template"),
        ({"names": ["a", "b", END]}, "the tokenizer of .* does not know the words of"),
    ],
)
def test_clip_refuses_prompts_by_name(weights, options, words):
    with pytest.raises(ValueError, match=words):
        load(str(weights), classes=NAMES, **options)


def test_clip_refuses_another_network_and_a_tokenizer_in_part(weights, tmp_path):
    with pytest.raises(ValueError, match=r'model_type of .* is "siglip"; here it is "clip"'):
        load(str(changed(weights, tmp_path / "a", model_type="siglip")), classes=NAMES)
    folder = changed(weights, tmp_path / "b")
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.json").write_text("{}")
    with pytest.raises(
        ValueError, match=r"has neither tokenizer\.json nor vocab\.json and merges\.txt; fetch the whole"
    ):
        load(str(folder), classes=NAMES)


@pytest.mark.parametrize(
    ("entries", "refusal"),
    [
        ({"registers": 4}, r"registers of .* is 4; the installed transformers does not read registers"),
        ({"text_config": {"registers": 4}}, r"is 4; the installed transformers does not read text_config\.registers"),
        ({"vision_config": {"registers": 4}}, r"transformers does not read vision_config\.registers"),
        ({"text_config": {"eos_token_id": 7}}, r"text_config\.eos_token_id of .* is 7, and its tokenizer ends .* with"),
    ],
    ids=str,
)
def test_clip_refuses_entries_that_nobody_reads_and_another_end(weights, tmp_path, entries, refusal):
    there = json.loads((weights / "config.json").read_text())
    nested = {key: there[key] | value if isinstance(value, dict) else value for key, value in entries.items()}
    with pytest.raises(ValueError, match=refusal):
        load(str(changed(weights, tmp_path / "changed", **nested)), classes=NAMES)


def test_clip_looks_at_the_highest_token_under_an_early_configuration(weights, tmp_path):
    text = json.loads((weights / "config.json").read_text())["text_config"] | {"eos_token_id": 2}
    early = load(str(changed(weights, tmp_path / "early", text_config=text)), classes=NAMES)
    assert torch.equal(early.network.directions, load(str(weights), classes=NAMES).network.directions)
