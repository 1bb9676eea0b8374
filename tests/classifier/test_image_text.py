"""CLIPScore, PickScore's logit and the cosine against a plain computation by transformers, trap by trap."""

import json

import pytest
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file

from its.classifier.image_text import load
from its.classifier.preparation import picture
from its.pixels import from_uint8
from its.twins.clip import write

LONG = (
    "an old man walks his seven dogs along the river on a cold and windy morning "
    "in the winter of the year 1909, painted in oil by a child"
)
PROMPTS = ("a cat", "", f"{LONG} on canvas", f"{LONG} on wood", "zwei Köche")
SIDE = 32


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("clip")
    write(str(place), size=SIDE)
    return place


def plain(folder, pictures, prompts):
    """Cosines `[n]` by the library's own model, processor and tokenizer, and exp(logit_scale)."""
    model = transformers.CLIPModel.from_pretrained(folder).eval()
    pixels = transformers.CLIPImageProcessorPil.from_pretrained(folder)(images=pictures, return_tensors="pt")
    most = model.config.text_config.max_position_embeddings
    tokenizer = transformers.CLIPTokenizer.from_pretrained(folder)
    texts = tokenizer(list(prompts), padding=True, truncation=True, max_length=most, return_tensors="pt")
    with torch.inference_mode():
        seen = model.get_image_features(**pixels).pooler_output.double()
        read = model.get_text_features(**texts).pooler_output.double()
    cosines = (seen * read).sum(1) / (seen.norm(dim=1) * read.norm(dim=1))
    return cosines, model.logit_scale.exp().item()


def images_of(pictures):
    return from_uint8(torch.stack([torch.from_numpy(each) for each in pictures]))


def test_image_text_equals_the_library_to_five_digits(folder):
    pictures = [picture(SIDE, SIDE, 3)[::step, ::turn].copy() for step, turn in ((1, 1), (-1, 1), (1, -1), (-1, -1))]
    pictures.append(255 - pictures[0])
    cosines, scale = plain(folder, [Image.fromarray(each) for each in pictures], PROMPTS)
    assert min(cosines) < 0 < max(cosines), "a case on each side of the cut"
    expected = {"cosine": cosines, "logit": scale * cosines, "clip_score": 2.5 * cosines.clamp(min=0)}
    for output, scores in expected.items():
        network = load(str(folder), output=output)
        torch.testing.assert_close(network.scores(images_of(pictures), PROMPTS), scores, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(90, 60, 3), (20, 30, 3)], ids=str)
def test_image_text_crops_other_shapes_as_the_library_but_for_its_rounding(folder, shape):
    pixels = picture(*shape)
    cosines, _ = plain(folder, [Image.fromarray(pixels)], ["a cat"])
    scores = load(str(folder), output="cosine").scores(images_of([pixels]), ["a cat"])
    torch.testing.assert_close(scores, cosines, rtol=0, atol=2e-3)


def test_image_text_cuts_words_and_never_the_end(folder):
    network = load(str(folder), output="cosine")
    tokens = [network._tokens(prompt) for prompt in PROMPTS]
    assert [len(each) for each in tokens[2:4]] == [96, 96]
    assert len({each[-1] for each in tokens}) == 1, "the end"
    early = f"{LONG.replace('an old', 'no old')} on canvas"
    image = images_of([picture(SIDE, SIDE, 3)])
    scores = [network.scores(image, [prompt]) for prompt in (PROMPTS[2], PROMPTS[3], early)]
    torch.testing.assert_close(scores[0], scores[1], rtol=1e-6, atol=1e-6)
    assert abs(scores[2] - scores[0]) > 1e-4


def test_image_text_reads_a_prompt_once_and_alone(folder):
    network, lengths = load(str(folder)), []
    network.text.register_forward_pre_hook(
        lambda module, given, named: lengths.append(named["input_ids"].shape), with_kwargs=True
    )
    images = images_of([picture(SIDE, SIDE, 3)] * 4)
    together = network.scores(images, ["a cat", "a dog", "a cat", "a dog"])
    again = torch.cat([network.scores(images[:1], [prompt]) for prompt in ("a cat", "a dog")])
    assert lengths == [(1, 96)] * 2
    torch.testing.assert_close(together, again.repeat(2), rtol=1e-5, atol=1e-6)


def test_image_text_guides_after_it_has_scored_without_gradients(folder):
    network = load(str(folder), output="logit")
    images = images_of([picture(48, 40, 3)])
    with torch.inference_mode():
        network.scores(images, ["a cat"])
    images.requires_grad_()
    [gradient] = torch.autograd.grad(network.scores(images, ["a cat"]).sum(), images)
    step = 1e-2 * gradient / gradient.norm()
    with torch.no_grad():
        rise = network.scores(images + step, ["a cat"]) - network.scores(images - step, ["a cat"])
    torch.testing.assert_close(rise.item() / 2e-2, gradient.norm().item(), rtol=0.05, atol=0)


def test_image_text_takes_tokens_and_pixels_of_another_folder(folder, tmp_path):
    write(str(tmp_path / "bare"), size=SIDE)
    for name in ("preprocessor_config.json", "tokenizer.json"):
        (tmp_path / "bare" / name).rename(tmp_path / name)
    files = {"tokenizer": tmp_path / "tokenizer.json", "preprocessor": tmp_path / "preprocessor_config.json"}
    images = images_of([picture(40, 40, 3)])
    apart = load(str(tmp_path / "bare"), **{key: str(path) for key, path in files.items()})
    assert apart.scores(images, ["a cat"]) == load(str(folder)).scores(images, ["a cat"])


def test_image_text_refuses_what_does_not_fit(folder, tmp_path):
    with pytest.raises(ValueError, match="output is 'score'; choose one of clip_score, cosine, logit"):
        load(str(folder), output="score")
    write(str(tmp_path), size=SIDE)
    config, tokenizer = tmp_path / "config.json", tmp_path / "tokenizer.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"model_type": "siglip"}))
    with pytest.raises(ValueError, match=r'model_type of .* is "siglip"; here it is "clip"'):
        load(str(tmp_path))
    tokenizer.write_text("{}")
    with pytest.raises(ValueError, match=r"tokenizer.json is no tokenizer.json \(.*\); fetch it again"):
        load(str(folder), tokenizer=str(tokenizer))


def test_image_text_refuses_the_tokenizer_of_another_network(folder, tmp_path):
    ends = json.loads((folder / "tokenizer.json").read_text())
    (tmp_path / "tokenizer.json").write_text(json.dumps(ends | {"post_processor": None}))
    with pytest.raises(ValueError, match=r"makes \[\] of no words .*; a start, words and an end are expected"):
        load(str(folder), tokenizer=str(tmp_path / "tokenizer.json"))
    network = load(str(folder))
    network._tokens.vocabulary = 60
    with pytest.raises(ValueError, match=r"makes token \d+ of 'cats', and the network knows 60; take the tokenizer"):
        network.scores(images_of([picture(SIDE, SIDE, 3)]), ["cats"])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"model": {"dropout": 0.1}}, r"has dropout=0.1 and cuts a prompt by chance; set it to null"),
        (
            {"model": {"vocab": {"<|startoftext|>": 512, "<|endoftext|>": 513}, "merges": []}},
            "a start, words and an end",
        ),
    ],
    ids=["dropout", "no words"],
)
def test_image_text_refuses_a_tokenizer_that_loses_words(folder, tmp_path, change, sentence):
    """Without its words, whose place the end takes, all prompts would be one."""
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    for key, value in change.items():
        tokenizer[key] |= value
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(ValueError, match=sentence):
        load(str(folder), tokenizer=str(tmp_path / "tokenizer.json"))


def test_image_text_refuses_to_read_prompts_at_another_token(folder, tmp_path):
    write(str(tmp_path), size=SIDE)
    config = json.loads((tmp_path / "config.json").read_text())
    config["text_config"]["eos_token_id"] = 40
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"reads a prompt at token 40 \(eos_token_id\), and the tokenizer .* with 513"):
        load(str(tmp_path))


def test_image_text_computes_in_float32_whatever_its_configuration_says(folder, tmp_path):
    write(str(tmp_path), size=SIDE)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"dtype": "bfloat16", "torch_dtype": "bfloat16"}))
    images = images_of([picture(SIDE, SIDE, 3)])
    assert load(str(tmp_path)).scores(images, ["a cat"]) == load(str(folder)).scores(images, ["a cat"])


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_image_text_refuses_weights_that_are_no_numbers(tmp_path, value):
    write(str(tmp_path), size=SIDE)
    state = load_file(tmp_path / "model.safetensors")
    state["visual_projection.weight"][0, 0] = value
    save_file(state, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match=r"projection.weight of .* holds NaN or infinity; fetch it again"):
        load(str(tmp_path))
