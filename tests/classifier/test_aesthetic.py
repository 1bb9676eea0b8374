"""The aesthetic predictor against a plain computation: unit features, five matrices, the right activation."""

import json

import pytest
import torch
import transformers
from PIL import Image

from its.classifier.aesthetic import load
from its.classifier.preparation import picture
from its.pixels import from_uint8
from its.twins.aesthetic import write


@pytest.fixture
def files(tmp_path):
    write(str(tmp_path / "clip"), head=str(tmp_path / "head.pth"))
    return tmp_path / "clip", tmp_path / "head.pth"


def test_aesthetic_equals_a_plain_computation_to_five_digits(files):
    """Features are not of unit length there, so that a predictor that forgets to make them so differs."""
    folder, head = files
    pixels = picture(32, 32, 3)
    model = transformers.CLIPModel.from_pretrained(folder).eval()
    seen = transformers.CLIPImageProcessorPil.from_pretrained(folder)(
        images=Image.fromarray(pixels), return_tensors="pt"
    )
    with torch.inference_mode():
        features = model.get_image_features(**seen).pooler_output
    assert abs(features.norm().item() - 1) > 0.5
    scores, state = features / features.norm(), torch.load(head)
    for layer in (0, 2, 4, 6, 7):
        scores = scores @ state[f"layers.{layer}.weight"].T + state[f"layers.{layer}.bias"]
    network = load(str(folder), str(head))
    images = from_uint8(torch.from_numpy(pixels[None]))
    torch.testing.assert_close(network(images), scores[:, 0], rtol=1e-5, atol=1e-5)
    images.requires_grad_()
    assert torch.autograd.grad(network(images).sum(), images)[0].norm() > 0


def test_aesthetic_refuses_another_activation_and_another_head(files):
    folder, head = files
    state = torch.load(head)
    torch.save({**state, "layers.0.weight": state["layers.0.weight"][:, :8]}, head)
    with pytest.raises(
        ValueError, match=r"head.pth is a head of 8 features, and its network makes 32; take the network"
    ):
        load(str(folder), str(head))
    torch.save({name: value for name, value in state.items() if "7" not in name}, head)
    with pytest.raises(ValueError, match="has not the five linear layers of a reward's head"):
        load(str(folder), str(head))
    torch.save({"weight": torch.zeros(1, 32), "bias": torch.zeros(1)}, head)  # as version 1 was published
    with pytest.raises(ValueError, match=r"has not the five linear layers .*take sac\+logos\+ava1-l14-linearMSE.pth"):
        load(str(folder), str(head))
    torch.save({**state, "layers.7.bias": torch.tensor([torch.nan])}, head)
    with pytest.raises(ValueError, match=r"layers.7.bias of .*head.pth holds NaN or infinity"):
        load(str(folder), str(head))
    config = json.loads((folder / "config.json").read_text())
    config["vision_config"]["hidden_act"] = "gelu"
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(
        ValueError, match=r"is 'gelu', and the aesthetic predictor was trained on 'quick_gelu'; take open"
    ):
        load(str(folder), str(head))
