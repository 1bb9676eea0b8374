"""FLOPs of one call, beside closed forms: twice the multiplications of every product and convolution."""

import logging

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from its.engine.flop_count import flops_of
from its.engine.flops import reward_flops

N, D, HEADS, WIDE, LAYERS = 16, 32, 4, 64, 2
TOKENS = torch.randn(1, N, D)
IMAGE = torch.randn(1, 8, 8, 8)
VECTOR, MATRIX = torch.randn(D), torch.randn(N, D)
ATTENTION = 2 * (2 * N * N * D) + 4 * (2 * N * D * D)  # scores and their use; queries, keys, values and output
ENCODER = nn.TransformerEncoder(nn.TransformerEncoderLayer(D, HEADS, WIDE, batch_first=True), LAYERS)
CASES = {
    "linear": (nn.Linear(D, 8), [TOKENS], 2 * N * D * 8),
    "linear of a vector": (nn.Linear(D, 8), [VECTOR], 2 * D * 8),
    "linear, unbiased": (nn.Linear(D, 8, bias=False), [VECTOR], 2 * D * 8),
    "convolution": (nn.Conv2d(8, 12, 3, padding=1), [IMAGE], 2 * 64 * 12 * 8 * 9),
    "convolution, strided": (nn.Conv2d(8, 12, 3, stride=2, padding=1), [IMAGE], 2 * 16 * 12 * 8 * 9),
    "convolution, grouped": (nn.Conv2d(8, 12, 3, padding=1, groups=4), [IMAGE], 2 * 64 * 12 * 2 * 9),
    "convolution, depthwise": (nn.Conv2d(8, 8, 3, groups=8), [IMAGE], 2 * 36 * 8 * 9),
    "convolution, transposed": (nn.ConvTranspose2d(8, 4, 4, 2, 1), [IMAGE], 2 * 64 * 8 * 4 * 16),
    "convolution, transposed and grouped": (nn.ConvTranspose2d(8, 4, 4, 2, 1, groups=2), [IMAGE], 2 * 64 * 8 * 2 * 16),
    "convolution in one dimension": (nn.Conv1d(N, 4, 3), [TOKENS], 2 * 30 * 4 * N * 3),
    "attention": (F.scaled_dot_product_attention, [TOKENS] * 3, 2 * (2 * N * N * D)),
    "attention with heads": (nn.MultiheadAttention(D, HEADS, batch_first=True), [TOKENS] * 3, ATTENTION),
    "transformer encoder": (ENCODER, [TOKENS], LAYERS * (ATTENTION + 2 * (2 * N * D * WIDE))),
    "LSTM": (nn.LSTM(D, 8, batch_first=True), [TOKENS], 2 * N * 4 * 8 * (D + 8)),
    "GRU": (nn.GRU(D, 8, batch_first=True), [TOKENS], 2 * N * 3 * 8 * (D + 8)),
    "einsum": (lambda x: torch.einsum("bij,bkj->bik", x, x), [TOKENS], 2 * N * N * D),
    "batched product": (lambda x: x @ x.mT, [TOKENS], 2 * N * N * D),
    "product with a vector": (torch.mv, [MATRIX, VECTOR], 2 * N * D),
    "product with a vector, added": (torch.addmv, [torch.randn(N), MATRIX, VECTOR], 2 * N * D),
    "inner product": (torch.dot, [VECTOR, VECTOR], 2 * D),
    "batch of products, added": (torch.addbmm, [torch.randn(N, N), TOKENS, TOKENS.mT.contiguous()], 2 * N * N * D),
    "product in place": (lambda a, b: torch.zeros(N, N).addmm_(a, b), [MATRIX, MATRIX.T], 2 * N * N * D),
    "no product": (lambda x: F.gelu(F.layer_norm(x, (D,))).softmax(-1).cumsum(1), [TOKENS], 0),
}


@pytest.mark.parametrize("name", CASES)
def test_flops_of_a_layer_equal_the_closed_form(name):
    layer, inputs, expected = CASES[name]
    for training in (False, True):
        if isinstance(layer, nn.Module):
            layer.train(training)
        assert flops_of(lambda: layer(*inputs)) == (expected, (), isinstance(layer, nn.Module))


@pytest.mark.parametrize("name", ["linear", "convolution", "attention with heads", "transformer encoder", "LSTM"])
def test_flops_of_a_network_in_inference_mode_are_the_same(name):
    layer, inputs, expected = CASES[name]
    with torch.inference_mode():
        assert flops_of(lambda: layer(*inputs)).total == expected


def test_flops_of_leaves_the_kernels_as_they_were():
    def kernels():
        return torch.backends.mha.get_fastpath_enabled(), torch.backends.mkldnn.enabled, torch.backends.cudnn.enabled

    before = kernels()
    with pytest.raises(ZeroDivisionError):
        flops_of(lambda: 1 / 0)
    assert kernels() == before


class Judge:
    """A verifier with one layer."""

    absolute = True

    def __init__(self, layer):
        self.layer = layer

    def reward(self, images, conditions):
        return self.layer(images).flatten(1).sum(1)


def linear_by_hand(images, weight=nn.Parameter(torch.randn(8, 8))):  # noqa: B008
    return (images[..., None, :] * weight).sum(-1)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (lambda x: torch.fft.fft2(x).abs(), "FLOPs of Judge leave out what is done by aten._fft_c2c;"),
        (lambda x: torch.cdist(x, x), "FLOPs of Judge leave out what is done by aten._cdist_forward;"),
        (lambda x: nn.Bilinear(8, 8, 4)(x, x), "FLOPs of Judge leave out what is done by aten._trilinear;"),
        (linear_by_hand, "FLOPs of Judge are 0: it has weights"),
    ],
)
def test_reward_flops_name_what_is_not_counted(caplog, layer, message):
    with caplog.at_level(logging.WARNING):
        assert reward_flops(Judge(layer), IMAGE, [0]) == 0
    assert message in caplog.text


def test_reward_flops_name_a_call_that_cannot_be_counted(caplog):
    layer = nn.Linear(8, 1)
    judge = Judge(torch.func.grad(lambda x: layer(x).sum()))
    assert judge.reward(IMAGE, [0]).isfinite().all(), "it works, but not beside torch's counter"
    with caplog.at_level(logging.WARNING):
        assert reward_flops(judge, IMAGE, [0]) == 0
    assert "FLOPs of Judge cannot be counted (RuntimeError: " in caplog.text


@pytest.mark.parametrize(
    "cheap", [nn.Hardswish(), nn.Mish(inplace=True), nn.GLU(), nn.PReLU(), lambda x: x.clone().masked_fill_(x > 0, 0.0)]
)
def test_reward_flops_of_cheap_operations_say_nothing(caplog, cheap):
    with caplog.at_level(logging.WARNING):
        assert reward_flops(Judge(lambda x: cheap(nn.functional.linear(x, torch.eye(8)))), IMAGE, [0]) == 2 * 64 * 8 * 8
    assert not caplog.text


def test_reward_flops_of_what_is_known_say_nothing(caplog):
    with caplog.at_level(logging.WARNING):
        assert reward_flops(Judge(CASES["convolution"][0]), IMAGE, [0]) == CASES["convolution"][2]
        assert reward_flops(Judge(CASES["no product"][0]), TOKENS[None], [0]) == 0
    assert not caplog.text
