"""DINOv2 with a linear head, against transformers' own, and against what facebookresearch/dinov2 computes."""

import json

import pytest
import torch
import transformers

from its.classifier.dino import load
from its.twins.transformers_classifier import write

NAMES = ["cat", "dog", "sea bird"]


def made(folder, **sizes):
    write(str(folder), classes=NAMES, architecture="dinov2", size=56, patch=14, width=32, layers=5, **sizes)
    return transformers.Dinov2ForImageClassification.from_pretrained(folder).eval()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("dino")


@pytest.fixture(scope="module")
def whole(folder):
    return made(folder / "whole")


@pytest.fixture(scope="module")
def backbone(folder, whole):
    network = transformers.Dinov2ForImageClassification.from_pretrained(folder / "whole")
    network.dinov2.save_pretrained(folder / "backbone")
    (folder / "backbone" / "preprocessor_config.json").write_bytes(
        (folder / "whole" / "preprocessor_config.json").read_bytes()
    )
    return str(folder / "backbone")


@pytest.fixture
def images():
    return torch.rand(2, 3, 40, 48, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_dino_equals_transformers_where_positions_need_no_resizing(folder, whole, images):
    ours = load(str(folder / "whole"), classes=NAMES[::-1])
    whole.dinov2.embeddings.position_embeddings.data = ours.network.backbone.embeddings.position_embeddings.data
    with torch.inference_mode():
        expected = whole(ours.prepared(images)).logits
        torch.testing.assert_close(ours(images), expected.flip(1))
    assert ours.crop == 56
    assert ours.network.backbone.embeddings.position_embeddings.shape == (1, 17, 32), "of 6x6, 4x4"


@pytest.mark.parametrize("layers", [1, 4])
def test_dino_takes_a_head_of_its_authors_on_one_layer_or_four(backbone, tmp_path, images, layers):
    """As `_LinearClassifierWrapper` there: normed class tokens of the last layers, and the mean of the last patches."""
    head = torch.nn.Linear(32 * (layers + 1), 1000)
    path = tmp_path / "head.pth"
    torch.save(head.state_dict(), path)
    ours = load(backbone, head=str(path), classes="imagenet", assume_order="imagenet")
    network = ours.network.backbone
    with torch.inference_mode():
        states = network(ours.prepared(images), output_hidden_states=True).hidden_states[-layers:]
        tokens = [network.layernorm(state) for state in states]
        expected = head(torch.cat([*(each[:, 0] for each in tokens), tokens[-1][:, 1:].mean(1)], dim=1))
        torch.testing.assert_close(ours(images), expected)
        last = network(ours.prepared(images)).last_hidden_state
        torch.testing.assert_close(tokens[-1], last)
    with pytest.raises(ValueError, match=r"head\.pth carries no names of its 1000 classes, .*assume_order=imagenet"):
        load(backbone, head=str(path), classes="imagenet")


def test_dino_refuses_what_does_not_belong_together(folder, backbone, tmp_path):
    whole = str(folder / "whole")
    with pytest.raises(ValueError, match=r"does not fit Dinov2ForImageClassification: 2 missing \(classifier\.bias\)"):
        load(backbone, classes=NAMES)
    for state, words in (
        ({"weight": torch.zeros(1000, 48), "bias": torch.zeros(1000)}, r"weight of \[1000, 48\], and a head .*64\]"),
        ({"linear.weight": torch.zeros(1000, 64)}, r"linear\.weight and no weight"),
        ({"weight": torch.zeros(3, 64)}, r"does not fit Linear: 1 missing \(bias\)"),
    ):
        torch.save(state, tmp_path / "head.pth")
        with pytest.raises(ValueError, match=words):
            load(backbone, head=str(tmp_path / "head.pth"), classes=NAMES)
    path = folder / "whole" / "config.json"
    kept = path.read_text()
    for entries, words in (
        ({"model_type": "dinov2_with_registers"}, 'model_type of .* is "dinov2_with_registers"; here it is "dinov2"'),
        ({"num_register_tokens": 4}, "num_register_tokens of .* is 4; this entry is not known here"),
        ({"problem_type": "regression"}, 'problem_type of .* is "regression"'),
    ):
        path.write_text(json.dumps(json.loads(kept) | entries))
        with pytest.raises(ValueError, match=words):
            load(whole, classes=NAMES)
    path.write_text(kept)
    assert load(whole, classes=NAMES)
