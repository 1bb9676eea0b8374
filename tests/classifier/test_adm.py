"""guided-diffusion's noise-aware classifiers, against values that the original code printed (see docs/imagenet.md).

LOGITS and GRADIENT were computed once, outside this repository, by its EncoderUNetModel from the same tensors
(`random_state`), the gradient with its parameters not frozen; PUBLISHED are hashes of the names and shapes of its
files, the numbers of their tensors and of their parameters.
"""

import pytest
import torch
import yaml

from its.classifier.adm import NoisyImageClassifier, load
from its.classifier.digits import NoisyNet
from its.levels import Columns
from its.model.published import home_of, mark_of
from its.sampler.noise_paths import EDM, betas_named, cosine_vp, linear_vp
from its.twins.random_state import random_state
from its.verifier.noisy_classifier import NoisyClassifier
from tests.build import CONF
from tests.model.test_adm import numbers, slices, wave

LOGITS = ".219777 .391184 .054088 .422111 .150202 .628906 .324808 .136919 .719849 .049133"
GRADIENT = "-.005032 .020493 -.043323 .003398 .00219 .00764 -.009318 -.030035 -.006775 -.000154 .005069 -.011758"
PUBLISHED = {
    "adm_classifier64": ("0b7fc9917ffd8325", 307, 65_438_568),
    "adm_classifier256": ("bc098f973cf9f8b9", 249, 54_096_360),
    "adm_classifier512": ("2a24b6c641814825", 281, 54_448_360),
}


@pytest.fixture(scope="module")
def network() -> NoisyImageClassifier:
    made = NoisyImageClassifier(linear_vp(), 32, 64, 1, (0.5, 1, 2), (16, 8), 32, 10).eval()
    made.load_state_dict(random_state(made))
    return made.requires_grad_(False)


def columns(path, *times) -> Columns:
    return Columns.of([path.level(time) for time in times], 4, "cpu")


def test_noisy_image_classifier_equals_the_original_in_logits_and_gradients(network):
    x, levels = wave(2, 3, 32, 32).requires_grad_(), columns(linear_vp(), 998, 3)
    logits = network(x, levels.alpha, levels.sigma)
    rewards = NoisyClassifier(network).reward(x, [2, 7], levels)
    [gradient] = torch.autograd.grad(rewards.sum(), x)
    for made, expected in ((logits[:, ::2].flatten(), LOGITS), (slices(gradient), GRADIENT)):
        told = numbers(expected)
        assert (made - told).norm() <= 3e-5 * told.norm(), "of numbers that have six digits"
    torch.testing.assert_close(rewards, logits.double().log_softmax(1)[[0, 1], [2, 7]])


def test_noisy_image_classifier_finds_the_training_step_of_any_path(network):
    """By the ratio of signal and noise: exact on its own path, and in parts of a step on another."""
    levels = columns(linear_vp(), *range(1000))
    assert network.times((levels.alpha / levels.sigma).log().flatten()).tolist() == list(range(1000))
    own, other = columns(linear_vp(), 400), columns(cosine_vp(1000), 300, 301)
    part = network.times((other.alpha / other.sigma).log().flatten()).tolist()
    assert part[0] < part[1]
    assert not any(time.is_integer() for time in part)
    ends = network.times(torch.tensor([99.0, -99.0, torch.inf, -torch.inf]))
    assert ends.tolist() == [0.0, 999.0, 0.0, 999.0]

    # A row of EDM's path is the same row, divided by alpha.
    sigma = float(own.sigma / own.alpha)
    edm, x = columns(EDM(), sigma ** (1 / 7)), wave(1, 3, 32, 32)
    made = network(x / own.alpha.float(), edm.alpha, edm.sigma)
    torch.testing.assert_close(made, network(x, own.alpha, own.sigma), rtol=1e-4, atol=1e-5)


def test_noisy_classifiers_refuse_rows_and_classes_that_are_not_theirs(network):
    levels = columns(linear_vp(), 500)
    with pytest.raises(
        ValueError, match=r"rows are \[3, 64, 64\], and this noise-aware classifier takes \[3, 32, 32\]"
    ):
        network(wave(1, 3, 64, 64), levels.alpha, levels.sigma)
    with pytest.raises(ValueError, match="asked for class 10, and the verifier's network tells 10 classes apart"):
        NoisyClassifier(network).reward(wave(1, 3, 32, 32), [10], levels)
    with pytest.raises(ValueError, match="asked for class 12, and the verifier's network tells 10 classes apart"):
        NoisyClassifier(NoisyNet()).reward(wave(1, 1, 8, 8), [12], levels)


def configured(name: str) -> dict:
    node = yaml.safe_load((CONF / "verifier" / f"{name}.yaml").read_text())
    bases = [configured(base) for base in node.get("defaults", [])]
    merged = {key: value for part in (*bases, node["network"]) for key, value in part.items()}
    return {key: value for key, value in merged.items() if key not in ("_target_", "smoke", "device")}


@pytest.mark.parametrize("name", PUBLISHED)
def test_adm_load_takes_the_published_names_and_shapes(name, monkeypatch):
    mark, tensors, parameters = PUBLISHED[name]
    node = configured(name)
    sizes = {key: node[key] for key in ("size", "channels", "blocks", "multipliers", "attention", "head_channels")}
    with torch.device("meta"):
        state = NoisyImageClassifier(betas_named("linear", 1000), **sizes, classes=1000).state_dict()
        monkeypatch.setattr("its.classifier.adm.read", lambda weights, key: state)
        assert load(**node, device="meta").size == int(name.removeprefix("adm_classifier"))
    assert (mark_of(state), len(state)) == (mark, tensors)
    assert sum(value.numel() for value in state.values()) == parameters
    assert f"verifier@guide={name} takes" in home_of(state)
