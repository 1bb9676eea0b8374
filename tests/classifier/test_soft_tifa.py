"""Soft-TIFA against the protocol of GenEval 2 written out: one generated token, and the chances it was drawn from."""

import json

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from scipy.stats import gmean

from its.classifier.preparation import picture
from its.classifier.soft_tifa import load
from its.pixels import from_uint8
from its.twins.soft_tifa import write
from its.verifier.picture_score import PictureScore

CATS = [["How many cats are in the image?", "three"], ["Are the cats red?", "Yes"], ["Is it a pig?", "Yes"]]
LINES = [
    {"prompt": "three red cats", "atom_count": 3, "vqa_list": CATS, "skills": ["count", "attribute", "object"]},
    {"prompt": "ten dogs", "vqa_list": [["How many dogs are in the image?", "ten"]]},
]
FORMS = {
    "three": ["three", "Three", " three", " Three", "3", " 3"],
    "ten": ["ten", "Ten", " ten", " Ten", "10", " 10"],
    "Yes": ["Yes", "yes", " yes", " Yes"],
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("soft_tifa")
    files = {"weights": str(folder / "judge"), "questions": str(folder / "questions.jsonl")}
    write(**files)
    (folder / "questions.jsonl").write_text("\n".join(map(json.dumps, LINES)) + "\n")
    return files


def plain(files, pixels, questions):
    """Each question's chance, by the library's own generation of one token."""
    processor = transformers.AutoProcessor.from_pretrained(files["weights"])
    network = transformers.Qwen2_5_VLForConditionalGeneration.from_pretrained(files["weights"]).float().eval()
    scores = []
    for question, answer in questions:
        content = [{"type": "image", "image": Image.fromarray(pixels)}]
        content.append({"type": "text", "text": f"{question} Answer in one word."})
        inputs = processor.apply_chat_template(
            [{"role": "user", "content": content}],
            tokenize=True,
            add_generation_prompt=True,
            return_dict=True,
            return_tensors="pt",
        )
        written = network.generate(
            **inputs, max_new_tokens=1, do_sample=False, output_scores=True, return_dict_in_generate=True
        )
        chances = torch.softmax(written.scores[0][0], dim=-1)
        scores.append(sum(chances[processor.tokenizer.encode(form)[0]].item() for form in FORMS[answer]))
    return scores


@pytest.mark.parametrize(
    ("mean", "over"), [("geometric", gmean), pytest.param("arithmetic", np.mean, marks=pytest.mark.long)]
)
def test_soft_tifa_equals_its_protocol_written_out(files, mean, over):
    pictures, prompts = [picture(56, 70, 3), 255 - picture(56, 70, 3)], [line["prompt"] for line in LINES]
    verifier = PictureScore(load(**files, mean=mean, dtype="float32"))
    images = torch.cat([from_uint8(torch.from_numpy(each[None])) for each in pictures])
    rewards = verifier.reward(images, prompts)
    expected = [over(plain(files, each, line["vqa_list"])) for each, line in zip(pictures, LINES, strict=True)]
    torch.testing.assert_close(rewards, torch.tensor(expected).double(), rtol=1e-5, atol=1e-5)
    assert verifier.reward(images[1:], prompts[1:]) == rewards[1:], "whatever its company"


def test_soft_tifa_refuses_prompts_without_questions_before_they_are_images(files):
    verifier = PictureScore(load(**files, dtype="float32"))
    verifier.check_conditions(["ten dogs", "three red cats"])
    with pytest.raises(ValueError, match=r"has none about the prompt 'a dog'; soft_tifa is for dataset=geneval2"):
        verifier.check_conditions(["ten dogs", "a dog"])
    with pytest.raises(ValueError, match=r"mean is 'harmonic'; choose one of geometric, arithmetic"):
        load(**files, mean="harmonic", dtype="float32")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('{"prompt": "a"}', r"line 1: 'vqa_list'; a line is an object"),
        ("[1", r"line 1: Expecting"),
        ('["a"]', r"line 1: list indices"),
        ('{"prompt": "a", "vqa_list": []}', r"line 1: a prompt, a question or an answer is no text"),
        ('{"prompt": "a", "vqa_list": [["Is it?", "No"]]}', r"the answer to 'Is it\?' is 'No', and How many asks"),
        ('{"prompt": "a", "vqa_list": [["How many?", "eleven"]]}', r"is 'eleven', and How many asks for one to ten"),
        ('{"prompt": "a", "vqa_list": [["How many?", 3]]}', r"is no text"),
        ('{"prompt": "a", "vqa_list": [["How many?"]]}', r"not enough values"),
        ("", r"holds no questions; take geneval2_data.jsonl"),
        (
            '{"prompt": "a", "vqa_list": [["Is it?", "Yes"]]}\n{"prompt": "a", "vqa_list": [["Are they?", "Yes"]]}',
            r"line 2: the prompt 'a' has other questions before",
        ),
    ],
)
def test_soft_tifa_refuses_lists_that_are_none(files, tmp_path, line, sentence):
    (tmp_path / "list.jsonl").write_text(line)
    with pytest.raises(ValueError, match=sentence):
        load(files["weights"], str(tmp_path / "list.jsonl"), dtype="float32")
