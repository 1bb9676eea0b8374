"""The classifier verifier: log-probability and logit, differentiable, and a row's reward is its own."""

import pytest
import torch

import its.twins.cifar_resnet
import its.twins.hub_classifier
from its.classifier import cifar_resnet, hub_classifier
from its.verifier.classifier import Classifier

NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


@pytest.fixture(params=["resnet", "timm"])
def network(request, tmp_path):
    if request.param == "resnet":
        its.twins.cifar_resnet.write(str(tmp_path / "x.th"), architecture="resnet20")
        return cifar_resnet.load(str(tmp_path / "x.th"), "resnet20", classes=NAMES)
    its.twins.hub_classifier.write(
        str(tmp_path / "vit"),
        architecture="vit_tiny_patch16_224",
        classes=NAMES,
        size=48,
        model_args={"img_size": 48, "embed_dim": 32, "depth": 2, "num_heads": 2},
    )
    return hub_classifier.load(str(tmp_path / "vit"), classes=NAMES)


def images(n: int) -> torch.Tensor:
    return torch.randn(n, 3, 32, 32, generator=torch.Generator().manual_seed(0)).clamp(-1.5, 1.5)


def test_classifier_rewards_are_log_probability_or_logit(network):
    batch, wanted = images(6), [0, 3, 9, 3, 1, 5]
    with torch.inference_mode():
        logits = network(batch).double()
        log_probability = Classifier(network).reward(batch, wanted)
        logit = Classifier(network, output="logit").reward(batch, wanted)
    rows = range(6)
    expected = logits[rows, wanted]
    torch.testing.assert_close(logit, expected)
    torch.testing.assert_close(log_probability, expected - logits.exp().sum(1).log())
    with pytest.raises(ValueError, match="'odds'; choose one of log_probability, probability, logit, correct"):
        Classifier(network, output="odds")


def test_classifier_gradient_is_the_slope_of_the_reward(network):
    verifier = Classifier(network)
    batch = images(2).requires_grad_()
    (gradient,) = torch.autograd.grad(verifier.reward(batch, [2, 7]).sum(), batch)
    direction = gradient / gradient.flatten(1).norm(dim=1)[:, None, None, None]
    step = 1e-2
    with torch.inference_mode():
        above, below = (verifier.reward(batch + sign * step * direction, [2, 7]) for sign in (1, -1))
    slope = (above - below) / (2 * step)
    torch.testing.assert_close(slope.float(), gradient.flatten(1).norm(dim=1), rtol=0.05, atol=1e-4)


def test_classifier_rows_do_not_depend_on_the_rest_of_the_batch(network):
    verifier = Classifier(network)
    batch, wanted = images(8), list(range(8))
    with torch.inference_mode():
        together = verifier.reward(batch, wanted)
        for row in (0, 5):
            others = torch.randn(8, 3, 32, 32)
            others[7 - row] = batch[row]
            alone = verifier.reward(others, [wanted[row]] * 8)[7 - row]
            assert float(alone).hex() == float(together[row]).hex()
