"""HPSv3 as its authors run Qwen2-VL: pixels by Pillow, embeddings by hand, and the head's six tensors written out."""

import json

import pytest
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file

from its.classifier.hps3 import load
from its.classifier.preparation import picture
from its.pixels import from_uint8
from its.twins.hps3 import write
from its.verifier.picture_score import PictureScore
from its.verifier.verifier import require_verifier

QUESTION = "\nRate this picture.\nTextual prompt - {}\n\n\nIts rating: <|Reward|>\nEND\n"


def paths(folder):
    return {
        "weights": str(folder / "HPSv3.safetensors"),
        "base": str(folder / "base"),
        "texts": str(folder / "texts.py"),
    }


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    files = paths(tmp_path_factory.mktemp("hps3"))
    write(**files)
    return files


def plain(files, pixels, prompt, size):
    """The head's two numbers, by the library's model and its processor."""
    # Make the network with the names that transformers has today.
    state = load_file(files["weights"])
    config = transformers.AutoConfig.from_pretrained(files["base"])
    config.text_config.vocab_size += 1
    network = transformers.Qwen2VLForConditionalGeneration(config).float().eval()
    old = {key: value for key, value in state.items() if not key.startswith("rm_head")}
    new = {
        f"model.{key}" if key.startswith("visual") else key.replace("model.", "model.language_model."): value
        for key, value in old.items()
    }
    network.load_state_dict(new)

    # Look the tokens up, put the picture in, and count positions as a text's.
    processor = transformers.AutoProcessor.from_pretrained(files["base"])
    processor.tokenizer.add_special_tokens({"additional_special_tokens": ["<|Reward|>"]})
    text = (
        "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>"
        f"{QUESTION.format(prompt)}<|im_end|>\n<|im_start|>assistant\n"
    )
    given = processor(text=[text], images=[Image.fromarray(pixels).resize(size)], return_tensors="pt")
    with torch.inference_mode():
        embedded = network.model.language_model.embed_tokens(given["input_ids"])
        seen = network.model.visual(given["pixel_values"], grid_thw=given["image_grid_thw"]).pooler_output
        embedded[given["input_ids"] == config.image_token_id] = seen
        states = network.model.language_model(
            input_ids=None, inputs_embeds=embedded, attention_mask=given["attention_mask"]
        ).last_hidden_state
    [place] = (given["input_ids"][0] == processor.tokenizer.convert_tokens_to_ids("<|Reward|>")).nonzero()[0].tolist()
    numbers = states[0, place]
    for layer in (0, 3, 5):
        numbers = state[f"rm_head.{layer}.weight"] @ numbers + state[f"rm_head.{layer}.bias"]
        numbers = numbers.relu() if layer < 5 else numbers
    return numbers.double()


def test_hps3_equals_the_library_written_out(files):
    pictures, prompts = [picture(56, 70, 3), 255 - picture(56, 70, 3), picture(28, 28, 3)], ["a cat", "{a} dog", "no"]
    judge = load(**files, dtype="float32")
    sizes = [(504, 420), (504, 420), (448, 448)]
    expected = torch.stack([plain(files, *each) for each in zip(pictures, prompts, sizes, strict=True)])
    found = judge.judgements(pictures, prompts)
    torch.testing.assert_close(found, torch.stack([expected[:, 0], expected[:, 1].exp()], dim=1), rtol=1e-5, atol=1e-5)
    assert (expected[0] - expected[1]).abs().min() > 1e-3

    # As a verifier it says the mean, whatever the company.
    verifier = PictureScore(judge)
    require_verifier(verifier)
    images = torch.cat([from_uint8(torch.from_numpy(each[None])) for each in pictures[:2]])
    rewards = verifier.reward(images, prompts[:2])
    torch.testing.assert_close(rewards, expected[:2, 0], rtol=1e-5, atol=1e-5)
    assert verifier.reward(images[1:], prompts[1:2]) == rewards[1:]
    with pytest.raises(ValueError, match="a judge of rounded pictures has no gradient"):
        verifier.reward(images.requires_grad_(), prompts[:2])


def test_hps3_reads_todays_names_and_refuses_other_files(files, tmp_path):
    state = load_file(files["weights"])
    names = {name: f"model.{name}" if name.startswith("visual") else name for name in state}
    today = {names[name].replace("model.layers", "model.language_model.layers"): value for name, value in state.items()}
    today = {name.replace("model.norm", "model.language_model.norm"): value for name, value in today.items()}
    other = {**files, "weights": str(tmp_path / "HPSv3.safetensors")}
    shown = [picture(28, 28, 3)], ["a cat"]
    save_file(today, other["weights"])
    assert load(**other, dtype="float32").scores(*shown) == load(**files, dtype="float32").scores(*shown)

    embedding = "model.embed_tokens.weight"
    for changed, sentence in (
        ({**state, "model.extra.weight": torch.ones(2, 2)}, r"does not fit Qwen2VLModel: 1 unexpected"),
        ({k: v for k, v in state.items() if "layers.1.mlp.up" not in k}, r"does not fit Qwen2VLModel: 1 missing"),
        ({**state, "model.norm.weight": torch.ones(33)}, r"does not fit Qwen2VLModel: 1 mis-shaped"),
        ({**state, embedding: state[embedding][:-1].clone()}, r"has \d+ tokens with <\|Reward\|>, and .* knows \d+"),
        ({k: v for k, v in state.items() if not k.startswith("rm_head.5")}, r"has no head of three layers"),
        ({**state, "rm_head.7.weight": torch.ones(2, 2)}, r"does not fit Sequential: 1 unexpected"),
    ):
        save_file(changed, other["weights"])
        with pytest.raises(ValueError, match=sentence):
            load(**other, dtype="float32")


def test_hps3_refuses_another_base_and_other_questions(files, tmp_path):
    write(**paths(tmp_path))
    config, texts = tmp_path / "base" / "config.json", tmp_path / "texts.py"
    entries, lines = json.loads(config.read_text()), texts.read_text()
    for change, sentence in (
        ({"model_type": "qwen2_5_vl"}, r'HPSv3 is a "qwen2_vl"'),
        ({"skip_layers": [1]}, r"does not read skip_layers"),
    ):
        config.write_text(json.dumps(entries | change))
        with pytest.raises(ValueError, match=sentence):
            load(**paths(tmp_path))
    config.write_text(json.dumps(entries))
    for text, sentence in (
        (lines.replace("{text_prompt}", ""), r"asked with one \{text_prompt\} and one <\|Reward\|>"),
        (lines.replace("<|Reward|>", ""), r"asked with one \{text_prompt\} and one <\|Reward\|>"),
        (lines.replace("INSTRUCTION", "OTHER"), r"assigns 0 strings to INSTRUCTION"),
        (lines + lines, r"assigns 2 strings to INSTRUCTION"),
        (lines.replace("Rate", "{rate}"), r"judges no picture \(KeyError"),
        ("a prompt: ", r"is no file of Python"),
    ):
        texts.write_text(text)
        with pytest.raises(ValueError, match=sentence):
            load(**paths(tmp_path))
    with pytest.raises(ValueError, match=r"holds <\|Reward\|>, which a judge reads as no text"):
        load(**files, dtype="float32").check_prompts(["a cat", "<|Reward|> a cat"])
