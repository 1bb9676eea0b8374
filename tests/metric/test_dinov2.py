"""DINOv2's features against transformers' own network, and dgm-eval's recipe written with torchvision."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2 as transforms
from transformers import Dinov2Model

from its.metric.beside import Beside
from its.metric.dinov2 import Dinov2Features, positions_at, prepared
from its.metric.extractor import Extractor
from its.metric.features import Features
from its.metric.fid import Fid
from its.metric.second_fd import SecondFd
from its.twins import dinov2 as twin


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, 40, 30, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random network for a grid of 16x16 patches, that of 224x224 pixels."""
    folder = tmp_path_factory.mktemp("dinov2") / "network"
    twin.write(str(folder), width=16, layers=2, positions=16)
    return folder


def by_torchvision(images: np.ndarray) -> torch.Tensor:
    recipe = transforms.Compose(
        [
            transforms.Resize((224, 224), transforms.InterpolationMode.BICUBIC),
            transforms.ToImage(),
            transforms.ToDtype(torch.float32, scale=True),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    return torch.stack([recipe(Image.fromarray(image)) for image in images])


def test_dinov2_features_are_those_of_transformers_own_network(weights, images):
    own = Dinov2Model.from_pretrained(weights).eval()
    with torch.no_grad():
        expected = own(pixel_values=by_torchvision(images)).pooler_output.numpy()
    measured = Dinov2Features(str(weights), rows=2)(images)["features"]
    assert measured.dtype == np.float32
    np.testing.assert_allclose(measured, expected, rtol=1e-5, atol=1e-5)
    assert np.abs(expected[0] - expected[1]).max() > 0.01, "random weights must tell the images apart"


def test_dinov2_prepared_repeats_grey_as_colour(images):
    grey = images[..., :1]
    torch.testing.assert_close(prepared(grey), by_torchvision(grey.repeat(3, axis=3)))


def test_dinov2_positions_are_resized_on_a_grid_of_a_tenth_more():
    """By hand, with the cubic kernel of a = -0.75 that torch documents; without the tenth the result is another."""
    trained, side = 5, 3
    embeddings = torch.randn((1, 1 + trained**2, 2), generator=torch.Generator().manual_seed(0))
    grid = embeddings[0, 1:].reshape(trained, trained, 2).double().numpy()

    def kernel(x: float) -> float:
        a, x = -0.75, abs(x)
        if x <= 1:
            return (a + 2) * x**3 - (a + 3) * x**2 + 1
        return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0

    def matrix(tenth: float) -> np.ndarray:
        rows = np.zeros((side, trained))
        for k in range(side):
            place = (k + 0.5) * trained / (side + tenth) - 0.5
            for tap in range(int(np.floor(place)) - 1, int(np.floor(place)) + 3):
                rows[k, min(max(tap, 0), trained - 1)] += kernel(place - tap)
        return rows

    resized = positions_at(embeddings, side)
    by_hand, plainly = (np.einsum("ia,jb,abc->ijc", m, m, grid).reshape(-1, 2) for m in (matrix(0.1), matrix(0.0)))
    np.testing.assert_allclose(resized[0, 1:], by_hand, atol=1e-5)
    assert np.abs(by_hand - plainly).max() > 0.01
    torch.testing.assert_close(resized[:, :1], embeddings[:, :1])
    torch.testing.assert_close(positions_at(embeddings, trained), embeddings)


def test_dinov2_name_and_fingerprint_follow_weights_and_configuration(weights, tmp_path):
    first, again = (Dinov2Features(str(weights)) for _ in range(2))
    assert (first.name, first.fingerprint) == (again.name, again.fingerprint)
    twin.write(str(tmp_path / "other"), width=16, layers=1, positions=16)
    other = Dinov2Features(str(tmp_path / "other"))
    config = json.loads((weights / "config.json").read_text())
    (tmp_path / "heads").mkdir()
    (tmp_path / "heads/model.safetensors").write_bytes((weights / "model.safetensors").read_bytes())
    (tmp_path / "heads/config.json").write_text(json.dumps({**config, "num_attention_heads": 4}))
    heads = Dinov2Features(str(tmp_path / "heads"))
    assert len({first.name, other.name, heads.name}) == 3


@pytest.mark.parametrize(
    ("entries", "refusal"),
    [
        ({"window": 7}, "window of .* not known here"),
        ({"hidden_act": "relu"}, r'hidden_act of .* is "relu"; here it is "gelu"'),
        ({"model_type": "dinov2_with_registers"}, "model_type of"),
        ({"patch_size": 15}, "here it divides 224"),
        ({"num_hidden_layers": 3}, "does not fit Dinov2Model: .* missing"),
    ],
)
def test_dinov2_refuses_another_network_by_name(weights, tmp_path, entries, refusal):
    config = json.loads((weights / "config.json").read_text())
    (tmp_path / "model.safetensors").write_bytes((weights / "model.safetensors").read_bytes())
    (tmp_path / "config.json").write_text(json.dumps({**config, **entries}))
    with pytest.raises(ValueError, match=refusal):
        Dinov2Features(str(tmp_path))


def test_dinov2_says_where_weights_are_to_be_had(tmp_path):
    with pytest.raises(ValueError, match=r"dataset.second_report.weights=FOLDER, take facebook/dinov2-large"):
        Dinov2Features(str(tmp_path / "none.pth"))


class Rows(Extractor):
    """An extractor of rows that are ready, whatever the images."""

    def __init__(self, name: str, rows: np.ndarray, fingerprint: str | None = "f") -> None:
        self.name, self._rows, self.fingerprint = name, rows, fingerprint
        self.widths = {"moments": rows.shape[1]}

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        return {"features": self._rows[: len(images)]}


def test_beside_measures_both_in_one_pass_and_second_fd_is_the_second_ones_fid():
    random = np.random.default_rng(0)
    one, other = (random.normal(size=(9, width)).astype(np.float32) for width in (4, 3))
    both = Beside(Rows("one", one), Rows("other", other))
    assert both.name == "one+other"
    assert both.widths == {"moments": 4, "second": 3}
    arrays = both(np.zeros((9, 2, 2, 3), np.uint8))
    sample = Features.of(arrays, np.zeros(9, np.int64))
    real = Features.of({"features": random.normal(1, 2, (20, 3)).astype(np.float32)}, np.zeros(20, np.int64))
    alone = Features.of({"features": other}, np.zeros(9, np.int64))
    expected = Fid()(alone, real)
    columns = SecondFd("fd_dinov2")(sample, real.moments)
    assert columns == {"fd_dinov2": expected["fid"], "fd_dinov2_se": expected["fid_se"]}
    np.testing.assert_array_equal(sample.take(np.arange(3)).with_second, other[:3])
    assert Beside(Rows("one", one, None), Rows("other", other)).fingerprint is None
