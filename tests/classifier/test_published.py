"""Files as they lie on the hub are read, none of their entries is refused, and the scores are the library's."""

import json

import pytest
import torch
import transformers
from PIL import Image
from safetensors.torch import save_file

from its.classifier import hps3, image_reward, image_text, qwen_vl
from its.classifier.preparation import picture
from its.pixels import from_uint8
from its.twins.clip import letters_tokenizer
from its.twins.hps3 import write as write_hps3
from its.twins.image_reward import write as write_image_reward
from its.twins.qwen_vl import SPECIAL
from its.twins.qwen_vl import write as write_qwen_vl
from its.twins.random_state import random_state
from its.verifier.rubric import Rubric
from tests.classifier.published import CLIP_PREPROCESSOR, CLIPS, MED_CONFIG, QWEN_PREPROCESSOR, QWEN_TOKENS, QWENS
from tests.classifier.test_hps3 import paths
from tests.classifier.test_hps3 import plain as plain_hps3
from tests.classifier.test_image_text import plain

PROMPTS = (
    "a cat",
    "the quick brown fox jumps over the lazy dog, again and again, in a wood full of old and tall trees",
)


@pytest.mark.parametrize(
    "name", ["openai/clip-vit-large-patch14", *(pytest.param(n, marks=pytest.mark.long) for n in [*CLIPS][1:])]
)
def test_published_clips_are_read(tmp_path, name):
    (tmp_path / "config.json").write_text(json.dumps(CLIPS[name]))
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(CLIP_PREPROCESSOR))
    letters_tokenizer().save_pretrained(tmp_path)
    model = transformers.CLIPModel(transformers.CLIPConfig.from_pretrained(tmp_path))
    state = random_state(model)
    save_file({**state, "logit_scale": torch.tensor(4.6)}, tmp_path / "model.safetensors")
    pixels = picture(32, 32, 3)
    images = from_uint8(torch.from_numpy(pixels[None])).repeat(2, 1, 1, 1)
    cosines, _ = plain(tmp_path, [Image.fromarray(pixels)] * 2, PROMPTS)
    scores = image_text.load(str(tmp_path), output="cosine").scores(images, PROMPTS)
    torch.testing.assert_close(scores, cosines, rtol=1e-5, atol=1e-5)
    assert abs(scores[0] - scores[1]) > 1e-3

    # What nobody reads is refused, and what transformers takes from another place is followed.
    for change, sentence in (
        ({"text_config": {**CLIPS[name]["text_config"], "rotary": True}}, "does not read text_config.rotary"),
        ({"pooling": "mean"}, "does not read pooling, which may decide pixels"),
    ):
        (tmp_path / "config.json").write_text(json.dumps(CLIPS[name] | change))
        with pytest.raises(ValueError, match=sentence):
            image_text.load(str(tmp_path))
    other = {**CLIPS[name], "vision_config_dict": {**CLIPS[name]["vision_config_dict"], "hidden_act": "relu"}}
    (tmp_path / "config.json").write_text(json.dumps(other))
    cosines, _ = plain(tmp_path, [Image.fromarray(pixels)] * 2, PROMPTS)
    followed = image_text.load(str(tmp_path), output="cosine").scores(images, PROMPTS)
    torch.testing.assert_close(followed, cosines, rtol=1e-5, atol=1e-5)
    assert (followed - scores).abs().max() > 1e-4


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.long) for name in QWENS])
def test_published_judges_are_read(tmp_path, name):
    """With their flat texts, `in_chans` and rotary sections of before."""
    write_qwen_vl(str(tmp_path))
    for file in (*tmp_path.glob("*.safetensors"), *tmp_path.glob("*processor_config.json")):
        file.unlink()
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    marks = {SPECIAL[2]: "vision_start_token_id", SPECIAL[3]: "vision_end_token_id"}
    marks |= {SPECIAL[4]: "image_token_id", SPECIAL[5]: "video_token_id"}
    ids = {key: tokenizer.convert_tokens_to_ids(token) for token, key in marks.items()}
    assert ids.keys() == {*QWEN_TOKENS}
    ends = {"bos_token_id": ids["image_token_id"] - 4, "eos_token_id": ids["image_token_id"] - 3}
    config = {**QWENS[name], **ids, "vocab_size": len(tokenizer)}
    if "text_config" in config:
        config["text_config"] = {**config["text_config"], **ends, "vocab_size": len(tokenizer)}
    else:
        config |= ends
    patch = config["vision_config"]["patch_size"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    pixels = {**QWEN_PREPROCESSOR, "patch_size": patch, "max_pixels": 8 * 28 * 28}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(pixels))
    kind = getattr(transformers, config["architectures"][0])
    save_file(random_state(kind(transformers.AutoConfig.from_pretrained(tmp_path))), tmp_path / "model.safetensors")

    # The library's own logits.
    judge = qwen_vl.load(str(tmp_path), dtype="float32")
    shown = picture(56, 70, 3)
    [score] = judge.scores([shown], ["a cat"], Rubric(), "overall")
    processor = transformers.AutoProcessor.from_pretrained(tmp_path)
    network = kind.from_pretrained(tmp_path, dtype=torch.float32).eval()
    text = (
        "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>"
        f'{Rubric().question("a cat", 1)}<|im_end|>\n<|im_start|>assistant\n{{"picture":1,"overall":'
    )
    inputs = processor(text=[text], images=[Image.fromarray(shown)], return_tensors="pt")
    with torch.inference_mode():
        logits = network(**inputs).logits[0, -1]
    each = logits[torch.tensor([tokenizer.convert_tokens_to_ids(str(digit)) for digit in range(10)])].double()
    assert score == pytest.approx((each.softmax(0) @ torch.arange(10.0).double()).item(), abs=1e-5)

    for place, sentence in (
        ("vision_config", "does not read vision_config.pruned"),
        (None, "does not read skip_layer"),
    ):
        change = {place: {**config[place], "pruned": [1]}} if place else {"skip_layer_mlp": [1]}
        (tmp_path / "config.json").write_text(json.dumps(config | change))
        with pytest.raises(ValueError, match=sentence):
            qwen_vl.load(str(tmp_path), dtype="float32")


@pytest.mark.long
def test_published_base_of_hps3_is_read(tmp_path):
    """Qwen2-VL-7B's flat configuration, whose rotary base is another than the twin's, and its old preprocessor."""
    write_hps3(**paths(tmp_path))
    base = tmp_path / "base"
    own = json.loads((base / "config.json").read_text())
    kept = {key: own[key] for key in QWEN_TOKENS} | {"vocab_size": own["text_config"]["vocab_size"]}
    kept |= {key: own["text_config"][key] for key in ("bos_token_id", "eos_token_id")}
    shown = picture(32, 32, 3)
    before = hps3.load(**paths(tmp_path), dtype="float32").judgements([shown], ["a cat"])
    (base / "config.json").write_text(json.dumps(QWENS["Qwen/Qwen2-VL-7B-Instruct"] | kept))
    for file in base.glob("*processor_config.json"):
        file.unlink()
    pixels = {**QWEN_PREPROCESSOR, "processor_class": "Qwen2VLProcessor", "max_pixels": 8 * 28 * 28}
    (base / "preprocessor_config.json").write_text(json.dumps(pixels))
    found = hps3.load(**paths(tmp_path), dtype="float32").judgements([shown], ["a cat"])[0]
    mean, log_deviation = plain_hps3(paths(tmp_path), shown, "a cat", (448, 448))
    torch.testing.assert_close(found, torch.stack([mean, log_deviation.exp()]), rtol=1e-5, atol=1e-5)
    assert (found - before[0]).abs().max() > 1e-4


def test_published_image_reward_is_read(tmp_path):
    """Its `med_config.json`; a text network of BERT's own 30,522 words is not ImageReward's, which knows two more."""
    names = {"weights": "ImageReward.pt", "med_config": "med_config.json", "tokenizer": "tokenizer.json"}
    paths = {key: str(tmp_path / name) for key, name in names.items()}
    write_image_reward(**paths)
    own = json.loads((tmp_path / "med_config.json").read_text())
    image = from_uint8(torch.from_numpy(picture(32, 32, 3)[None]))
    with torch.inference_mode():
        before = image_reward.load(**paths).scores(image, ["a cat"])
        (tmp_path / "med_config.json").write_text(json.dumps(own | MED_CONFIG))
        assert image_reward.load(**paths).scores(image, ["a cat"]) == before
    state = torch.load(paths["weights"])
    words = "blip.text_encoder.embeddings.word_embeddings.weight"
    torch.save({**state, words: state[words][:-2]}, paths["weights"])
    with pytest.raises(
        ValueError, match=r"does not fit BlipTextModel: 1 mis-shaped \(embeddings.word_embeddings.weigh"
    ):
        image_reward.load(**paths)
