"""The CIFAR ResNets: published accuracies through the verifier, names and shapes, gradients, labels, refusals."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from its.classifier.cifar_resnet import load
from its.config.instantiate import CHOICES, instantiate
from its.metric.extractor import hash_of
from its.pixels import from_uint8
from its.twins.cifar_resnet import write
from tests.build import blueprint_of

DATA = Path(__file__).parents[3] / "shared" / "data"
SUBSET = DATA / "cifar10" / "cifar10-lossless-subset.npz"
NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
PUBLISHED = [
    ("resnet20", "12fca82f", 91.6),
    *(
        pytest.param(*told, marks=pytest.mark.long)
        for told in (("resnet32", "d509ac18", 92.8), ("resnet44", "014dd654", 93.4), ("resnet56", "4bfd9763", 92.7))
    ),
]


@pytest.mark.skipif(not SUBSET.exists(), reason=f"needs {SUBSET}, which is not part of the repository")
@pytest.mark.parametrize(("architecture", "mark", "accuracy"), PUBLISHED)
def test_cifar_resnet_verifier_reaches_the_measured_accuracy(tmp_path, architecture, mark, accuracy):
    """The class of largest reward, by the verifier of the YAML and from uint8 images, as a search meets them."""
    with np.load(SUBSET, allow_pickle=False) as subset:
        images = from_uint8(torch.from_numpy(subset["test_x"]))
        labels = torch.from_numpy(subset["test_labels_all"][subset["test_index"]].astype(np.int64))
    blueprint = blueprint_of(
        tmp_path,
        "dataset=cifar10",
        "verifier=resnet56_cifar10",
        f"verifier.network.architecture={architecture}",
        f"verifier.network.weights={DATA / 'cifar10-classifiers' / f'{architecture}-{mark}.th'}",
    )
    verifier = instantiate(blueprint.plain["verifier"], CHOICES)
    verifier.network = cache(verifier.network)  # one forward for the rewards of all classes
    with torch.inference_mode():
        rewards = torch.cat(
            [
                torch.stack([verifier.reward(part, [k] * len(part)) for k in range(10)], dim=1)
                for part in images.split(113)
            ]
        )
    assert len(labels) == 1017
    assert 100 * (rewards.argmax(dim=1) == labels).double().mean().item() == pytest.approx(accuracy, abs=0.1)


def small(tmp_path: Path, architecture: str = "resnet20") -> str:
    weights = str(tmp_path / f"{architecture}.th")
    write(weights, architecture=architecture)
    return weights


@pytest.mark.parametrize(
    ("architecture", "shapes"),
    [
        (
            "resnet20",
            {
                "conv1.weight": (16, 3, 3, 3),
                "layer2.0.conv1.weight": (32, 16, 3, 3),
                "layer3.2.bn2.running_var": (64,),
                "linear.weight": (10, 64),
            },
        ),
        (
            "resnet18",
            {
                "conv1.weight": (64, 3, 3, 3),
                "layer2.0.shortcut.0.weight": (128, 64, 1, 1),
                "layer4.1.bn2.running_mean": (512,),
                "fc.weight": (10, 512),
            },
        ),
    ],
)
def test_cifar_resnet_has_the_published_names_and_shapes(tmp_path, architecture, shapes):
    state = load(small(tmp_path, architecture), architecture).network.state_dict()
    assert {name: tuple(state[name].shape) for name in shapes} == shapes


def test_cifar_resnet_refuses_weights_of_another_architecture(tmp_path):
    weights = small(tmp_path)
    with pytest.raises(
        ValueError,
        match=r"does not fit CifarResNet: \d+ missing \(layer1\.3\.conv1\.weight\).*"
        r"its names tell architecture=resnet20 of",
    ):
        load(weights, "resnet32")
    with pytest.raises(ValueError, match=r"'resnet21'; choose one of resnet20"):
        load(weights, "resnet21")


def test_cifar_resnet_head_of_its_features_equals_the_logits(tmp_path):
    network = load(small(tmp_path), "resnet20")
    images = torch.rand(3, 3, 32, 32) * 2 - 1
    torch.testing.assert_close(network.head(network.features(images)), network(images))


def test_cifar_resnet_matches_classes_by_name(tmp_path):
    weights = small(tmp_path)
    images = torch.rand(4, 3, 32, 32) * 2 - 1
    own = load(weights, "resnet20", classes=NAMES)
    turned = load(weights, "resnet20", classes=NAMES, labels=[*NAMES[1:], NAMES[0]])
    torch.testing.assert_close(turned(images), own(images).roll(1, dims=1))
    assert hash_of(turned) != hash_of(own), "features are stored by it"
    with pytest.raises(ValueError, match="choose a classifier of this dataset"):
        load(weights, "resnet20", classes=NAMES, labels=[*NAMES[:9], "lorry"])
