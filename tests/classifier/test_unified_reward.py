"""UnifiedReward against the library's own logits, its question and the beginning of its answer written out."""

import pytest
import torch
import transformers
from PIL import Image

from its.classifier.preparation import picture
from its.classifier.published_text import around, strings
from its.classifier.unified_reward import load
from its.pixels import from_uint8
from its.twins.unified_reward import TEXTS, write
from its.verifier.picture_score import PictureScore

ASKED = (
    "Rate this picture.\nAlignment Score (1-5): X\nCoherence Score (1-5): Y\nStyle Score (1-5): Z\n\nText Caption: [{}]"
)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unified")
    files = {"weights": str(folder / "judge"), "texts": str(folder / "texts.py")}
    write(**files)
    return files


def plain(files, pixels, prompt, axis):
    """The mean of the five digits by the library's model and processor, the conversation written out."""
    processor = transformers.AutoProcessor.from_pretrained(files["weights"])
    network = transformers.Qwen2_5_VLForConditionalGeneration.from_pretrained(files["weights"]).float().eval()
    text = (
        f"<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>{ASKED.format(prompt)}<|im_end|>\n"
        f"<|im_start|>assistant\n{axis} Score (1-5): "
    )
    inputs = processor(text=[text], images=[Image.fromarray(pixels)], return_tensors="pt")
    with torch.inference_mode():
        chances = network(**inputs).logits[0, -1].softmax(0)
    each = chances[processor.tokenizer.convert_tokens_to_ids(list("12345"))]
    return ((each / each.sum()) @ torch.arange(1.0, 6.0)).item()


@pytest.mark.parametrize("axis", ["alignment", pytest.param("style", marks=pytest.mark.long)])
def test_unified_reward_equals_the_library_written_out(files, axis):
    pictures, prompts = [picture(56, 70, 3), 255 - picture(56, 70, 3)], ["a {cat}", "[a] dog"]
    verifier = PictureScore(load(**files, axis=axis, dtype="float32"))
    images = torch.cat([from_uint8(torch.from_numpy(each[None])) for each in pictures])
    rewards = verifier.reward(images, prompts)
    expected = [plain(files, *pair, axis.capitalize()) for pair in zip(pictures, prompts, strict=True)]
    torch.testing.assert_close(rewards, torch.tensor(expected).double(), rtol=1e-5, atol=1e-5)
    assert verifier.reward(images[1:], prompts[1:]) == rewards[1:], "whatever its company"


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        (TEXTS.replace("(1-5): X", "of both"), r"asks for no 'Alignment Score \(1-5\): '; .*ratings of pairs depend"),
        (TEXTS.replace('f"', '"'), r"has 0 f-strings of prompt alone"),
        (TEXTS.replace("{prompt}", "{prompt} {other}"), r"has 0 f-strings of prompt alone"),
        (TEXTS.replace("{prompt}", "{prompt!r}"), r"has 0 f-strings of prompt alone"),
        (TEXTS + TEXTS, r"has 2 f-strings of prompt alone"),
        ("a prompt: {", r"is no file of Python"),
    ],
    ids=["pairs", "plain", "two fields", "converted", "twice", "no Python"],
)
def test_unified_reward_refuses_other_questions(files, tmp_path, texts, sentence):
    (tmp_path / "texts.py").write_text(texts)
    with pytest.raises(ValueError, match=sentence):
        load(files["weights"], str(tmp_path / "texts.py"), dtype="float32")


def test_unified_reward_refuses_other_axes_and_marks(files):
    with pytest.raises(ValueError, match="axis is 'beauty'; choose one of alignment, coherence, style"):
        load(**files, axis="beauty", dtype="float32")
    with pytest.raises(ValueError, match=r"holds <\|image_pad\|>, which a judge reads as no text"):
        PictureScore(load(**files, dtype="float32")).check_conditions(["a cat", "<|image_pad|>"])


def test_published_texts_are_those_that_python_makes_of_them(tmp_path):
    (tmp_path / "a.py").write_text(
        "raise SystemExit\nA = 'x' \"\\n\" 'y'\ndef f(p):\n    return 'a' f'b{{{p}}}' \"\\tc\"\n"
    )
    assert strings(str(tmp_path / "a.py"), "A") == ["x\ny"]
    assert around(str(tmp_path / "a.py"), "p") == ("ab{", "}\tc")
