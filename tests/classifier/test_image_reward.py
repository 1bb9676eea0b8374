"""ImageReward against its parts in timm and transformers: names, epsilon, 35 tokens, the first token, the scale."""

import json
from pathlib import Path

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from transformers import BlipTextConfig, PreTrainedTokenizerFast
from transformers.models.blip.modeling_blip_text import BlipTextModel

from its.classifier.hps import MEAN, STD
from its.classifier.image_reward import load
from its.classifier.preparation import picture
from its.pixels import from_uint8
from its.twins.image_reward import write

SIDE = 32
PROMPTS = ("a cat", "", "the quick brown fox jumps over the lazy dog and runs", "Two dogs.")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A random network whose patches vary so little that norms with another epsilon would tell."""
    place = tmp_path_factory.mktemp("reward")
    names = {"weights": "ImageReward.pt", "med_config": "med_config.json", "tokenizer": "tokenizer.json"}
    paths = {key: str(place / name) for key, name in names.items()}
    write(size=SIDE, **paths)
    state = torch.load(paths["weights"])
    for name in ("cls_token", "pos_embed", "patch_embed.proj.weight", "patch_embed.proj.bias"):
        state[f"blip.visual_encoder.{name}"] *= 0.003
    torch.save(state, paths["weights"])
    return paths


def plain(files, images, prompts):
    """Rewards by timm's vision network, transformers' text network and five matrices."""
    # Look at the images.
    state, entries = torch.load(files["weights"]), json.loads(Path(files["med_config"]).read_text())

    def part(start):
        return {name.removeprefix(start): value for name, value in state.items() if name.startswith(start)}

    vision = VisionTransformer(SIDE, 16, num_classes=0, embed_dim=64, depth=2, num_heads=1, mlp_ratio=2).eval()
    vision.load_state_dict(part("blip.visual_encoder."))
    pixels = ((images + 1) / 2 - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    states = vision.forward_features(pixels)

    # Read the prompts.
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=files["tokenizer"], pad_token="[PAD]")
    tokens = tokenizer(list(prompts), padding="max_length", truncation=True, max_length=35, return_tensors="pt")
    sizes = {key: value for key, value in entries.items() if key not in ("model_type", "add_cross_attention")}
    config = BlipTextConfig(**sizes, encoder_hidden_size=64, is_decoder=True)
    text = BlipTextModel(config, add_pooling_layer=False).eval()
    text.load_state_dict(part("blip.text_encoder."))
    x = text(
        tokens.input_ids, attention_mask=tokens.attention_mask, encoder_hidden_states=states, is_decoder=False
    ).last_hidden_state[:, 0]
    for layer in (0, 2, 4, 6, 7):
        x = x @ state[f"mlp.layers.{layer}.weight"].T + state[f"mlp.layers.{layer}.bias"]
    return (x[:, 0] - 0.16717362830052426) / 1.0333394966054072


def images_of(count):
    return from_uint8(torch.from_numpy(picture(SIDE, SIDE, 3)[None])).repeat(count, 1, 1, 1)


def test_image_reward_equals_a_plain_computation_to_five_digits(files):
    images = images_of(len(PROMPTS)) * torch.tensor([1.0, -1, 0.5, 0.2])[:, None, None, None]
    with torch.inference_mode():
        torch.testing.assert_close(
            load(**files).scores(images, PROMPTS), plain(files, images, PROMPTS), rtol=1e-5, atol=1e-5
        )


def test_image_reward_reads_thirty_five_tokens(files):
    """Of one letter each; 33 are left between the first token and the last."""
    network, words = load(**files), "ab" * 16 + "c"
    assert len(network._tokens(words)) == len(network._tokens(words + "xyz")) == 35
    with torch.inference_mode():
        scores = network.scores(images_of(4), [words, words + "d", words + "xyz", words[:-1] + "d"])
    torch.testing.assert_close(scores[:3], scores[:1].repeat(3), rtol=1e-6, atol=1e-6)
    assert abs(scores[3] - scores[0]) > 1e-4


def test_image_reward_of_a_row_does_not_depend_on_its_company(files):
    network = load(**files)
    with torch.inference_mode():
        together = network.scores(images_of(4), PROMPTS)
        alone = torch.cat([network.scores(images_of(1), [prompt]) for prompt in PROMPTS])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)


def test_image_reward_guides(files):
    images = images_of(1).requires_grad_()
    assert torch.autograd.grad(load(**files).scores(images, ["a cat"]).sum(), images)[0].norm() > 0


def test_image_reward_passes_over_what_pretraining_left_and_refuses_the_rest(files, tmp_path):
    state = torch.load(files["weights"])
    own = {**files, "weights": str(tmp_path / "own.pt")}
    left = {"blip.vision_proj.weight": torch.zeros(2, 2), "blip.text_encoder.embeddings.position_ids": torch.arange(40)}
    torch.save({**state, **left}, own["weights"])
    load(**own)
    torch.save({**state, "blip.text_encoder.pooler.dense.bias": torch.zeros(2)}, own["weights"])
    with pytest.raises(ValueError, match=r"does not fit BlipTextModel: 1 unexpected \(pooler.dense.bias\)"):
        load(**own)
    torch.save({**state, "itm_head.weight": torch.zeros(2)}, own["weights"])
    with pytest.raises(ValueError, match=r"own.pt is no ImageReward \(itm_head.weight\); take ImageReward.pt"):
        load(**own)
    torch.save({name: value for name, value in state.items() if "blocks.0.attn.qkv.bias" not in name}, own["weights"])
    with pytest.raises(ValueError, match=r"1 missing \(encoder.layers.0.self_attn.qkv.bias\)"):
        load(**own)
    norm = "blip.text_encoder.encoder.layer.0.output.LayerNorm.bias"
    torch.save({**state, norm: state[norm] * torch.inf}, own["weights"])
    with pytest.raises(ValueError, match=r"LayerNorm.bias of .*own.pt holds NaN or infinity"):
        load(**own)
    entries = json.loads(Path(files["med_config"]).read_text())
    config = tmp_path / "med_config.json"
    config.write_text(json.dumps(entries | {"hidden_act": "relu"}))
    with pytest.raises(ValueError, match=r'hidden_act of .* is "relu"; here it is "gelu"'):
        load(**{**files, "med_config": str(config)})
