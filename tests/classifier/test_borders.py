"""Files of others, entry by entry: a change is refused, or the score is what the library makes of the same files."""

import re
from pathlib import Path

import pytest
import torch
import transformers
from PIL import Image

from its.classifier import aesthetic, hps, hps3, image_reward, image_text, qwen_vl
from its.classifier.preparation import picture
from its.pixels import from_uint8
from its.twins.aesthetic import write as write_aesthetic
from its.twins.clip import write as write_clip
from its.twins.hps import write as write_hps
from its.twins.hps3 import write as write_hps3
from its.twins.image_reward import write as write_image_reward
from its.twins.qwen_vl import write as write_qwen_vl
from its.verifier.rubric import Rubric
from tests.classifier.changes import files_with
from tests.classifier.test_hps import plain as plain_hps
from tests.classifier.test_hps import prepared
from tests.classifier.test_hps3 import paths
from tests.classifier.test_hps3 import plain as plain_hps3
from tests.classifier.test_image_reward import plain as plain_image_reward
from tests.classifier.test_image_text import plain as plain_clip
from tests.classifier.test_qwen_vl import plain as plain_qwen_vl

PROMPTS = ("a cat", "an old man walks his seven dogs along the river on a cold and windy morning in the winter of " * 2)
PIXELS = picture(32, 32, 3)
pytestmark = pytest.mark.long


def images():
    return from_uint8(torch.from_numpy(PIXELS[None])).repeat(2, 1, 1, 1)


class Clip:
    files = ("config.json", "preprocessor_config.json", "tokenizer.json", "tokenizer_config.json")

    def __init__(self, folder: Path):
        self.folder = folder
        write_clip(str(folder))

    def ours(self):
        return image_text.load(str(self.folder), output="cosine").scores(images(), PROMPTS)

    def theirs(self):
        return plain_clip(self.folder, [Image.fromarray(PIXELS)] * 2, PROMPTS)[0]


class Aesthetic:
    files = ("config.json", "preprocessor_config.json")

    def __init__(self, folder: Path):
        self.folder, self.head = folder, folder / "head.pth"
        write_aesthetic(str(folder), head=str(self.head))

    def ours(self):
        return aesthetic.load(str(self.folder), str(self.head))(images()[:1]).detach()

    def theirs(self):
        model = transformers.CLIPModel.from_pretrained(self.folder).eval()
        seen = transformers.CLIPImageProcessorPil.from_pretrained(self.folder)(
            images=Image.fromarray(PIXELS), return_tensors="pt"
        )
        with torch.inference_mode():
            features = model.get_image_features(**seen).pooler_output
        scores, state = features / features.norm(), torch.load(self.head)
        for layer in (0, 2, 4, 6, 7):
            scores = scores @ state[f"layers.{layer}.weight"].T + state[f"layers.{layer}.bias"]
        return scores[:, 0]


class Hps:
    files = ("tokenizer/tokenizer.json", "tokenizer/tokenizer_config.json")

    def __init__(self, folder: Path):
        self.folder = folder
        write_hps(str(folder / "own.pt"), tokenizer=str(folder / "tokenizer"))

    def ours(self):
        network = hps.load(str(self.folder / "own.pt"), "2.1", str(self.folder / "tokenizer"), heads=2)
        return network.scores(images(), PROMPTS)

    def theirs(self):
        tokenizer = transformers.CLIPTokenizer.from_pretrained(self.folder / "tokenizer")
        scores = []
        for prompt in PROMPTS:
            tokens = tokenizer(" ".join(prompt.split()).lower(), split_special_tokens=True)["input_ids"]
            tokens = tokens if len(tokens) <= 77 else [*tokens[:76], tokens[-1]]
            padded = tokens + [0] * (77 - len(tokens))
            with torch.inference_mode():
                scores.append(plain_hps(torch.load(self.folder / "own.pt")["state_dict"], prepared(PIXELS), padded))
        return torch.stack(scores)


class ImageReward:
    files = ("med_config.json", "tokenizer.json")

    def __init__(self, folder: Path):
        names = {"weights": "ImageReward.pt", "med_config": "med_config.json", "tokenizer": "tokenizer.json"}
        self.files_of = {key: str(folder / name) for key, name in names.items()}
        write_image_reward(**self.files_of)

    def ours(self):
        with torch.inference_mode():
            return image_reward.load(**self.files_of).scores(images(), PROMPTS)

    def theirs(self):
        with torch.inference_mode():
            return plain_image_reward(self.files_of, images(), PROMPTS)


class QwenVL:
    files = (
        *("config.json", "processor_config.json", "preprocessor_config.json", "video_preprocessor_config.json"),
        *("tokenizer.json", "tokenizer_config.json", "generation_config.json"),
    )

    def __init__(self, folder: Path):
        self.folder = folder
        write_qwen_vl(str(folder))

    def ours(self):
        judge = qwen_vl.load(str(self.folder), dtype="float32")
        return torch.tensor(judge.scores([PIXELS], ["a cat"], Rubric(), "overall"))

    def theirs(self):
        return torch.tensor([plain_qwen_vl(self.folder, PIXELS, "a cat", "overall")])


class Hps3:
    files = tuple(f"base/{name}" for name in QwenVL.files)

    def __init__(self, folder: Path):
        self.files_of = paths(folder)
        write_hps3(**self.files_of)

    def ours(self):
        return hps3.load(**self.files_of, dtype="float32").judgements([PIXELS], ["a cat"])[0]

    def theirs(self):
        mean, log_deviation = plain_hps3(self.files_of, PIXELS, "a cat", (448, 448))
        return torch.stack([mean, log_deviation.exp()])


HUGE = re.compile(r"(size|layers|depth|heads|config|dim|embeddings|ratio)( is null| gone)$")
"""Changes after which the library would make a judge of the size that it has in mind, of some 20 GB."""

TOLERANCE = {"preprocessor_config.json": 2e-3}
"""Of pixels that are resized, which the library rounds."""


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, name) for kind in (Clip, Aesthetic, Hps, ImageReward, QwenVL, Hps3) for name in kind.files],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_every_entry_is_followed_or_refused(tmp_path, kind, name):
    """Where the library cannot read what its own padding or cropping needs, a score is as without the change."""
    twin, path = kind(tmp_path), tmp_path / name
    if not path.is_file():
        pytest.skip("this version of the library writes no such file")
    before, tolerance = twin.ours(), TOLERANCE.get(path.name, 1e-5)
    torch.testing.assert_close(before.double(), twin.theirs().double(), rtol=1e-5, atol=1e-5)
    faults, refused, equal = [], [], []
    for what in files_with(path):
        if kind in (QwenVL, Hps3) and HUGE.search(what):
            continue
        try:
            scores = twin.ours()
        except ValueError as error:
            refused.append(f"{what}: {error}")
            continue
        except Exception as error:
            faults.append(f"{what}: {type(error).__name__}: {error}")
            continue
        try:
            expected = twin.theirs()
        except Exception:
            expected = before
        equal.append(what)
        if not torch.allclose(scores.double(), expected.double(), rtol=0, atol=tolerance):
            faults.append(f"{what}: {scores.tolist()}, and by the library {expected.tolist()}")

    assert refused or equal
    assert not faults, "\n".join(faults)
