"""LightningDiT and VA-VAE, against values that the original code printed.

They were computed once, outside this repository, by hustvl/LightningDiT from the same tensors (`random_state`); the
marks are hashes of the names and shapes of its networks at full size.
"""

import pytest
import torch

from its.model import dit, lightningdit
from its.model.dit_block import Kind
from its.model.dit_network import DiT, Sizes
from its.model.latent_stats import statistics
from its.model.published import home_of
from its.model.vavae import Sizes as VAVAE
from its.model.vavae import decoder, in_names_of_diffusers, network
from its.sampler.euler import Euler
from its.twins.lightningdit import CHANNELS, KIND, in_names_of_ldm, vavae, write, write_stats
from its.twins.random_state import random_state
from tests.model.latents import files as files_of_dit
from tests.model.latents import sample, wave
from tests.model.test_dit import XL, mark, numbers

SIZES = {"size": 4, "patch": 1, "width": 64, "depth": 3, "heads": 4, "classes": 1000}
PUBLISHED = VAVAE(CHANNELS, (128, 128, 256, 256, 512), (False, False, False, False, True), 3)
GOLDEN = {
    KIND: """
1.70286 -0.495857 0.374415 1.91408 -0.512743 -1.13301 0.335433 0.273534 -0.501408 0.0688489 -0.33066 -0.579759 0.136244
-1.4084 1.3786 2.04327 -0.0642428 0.594884 0.469399 -1.51573 -0.192318 -0.834226 1.24534 0.599541
""",
    Kind(rope=True, qk_norm=True): """
-0.305719 -0.781206 0.738383 -0.474212 -0.829696 0.308819 -0.935615 -1.51958 0.401359 -1.23642 0.760646 2.21102
-0.329437 -1.19526 -0.0965132 -0.662895 -0.627562 0.15276 -0.8036 -2.74627 -0.0177473 -1.3294 0.868336 0.493506
""",
}
SAMPLED = """
0.835289 -1.02077 0.273506 -1.8847 1.29552 -0.321796 0.953001 0.622546 -0.592813 0.569569 -0.2628 0.431021 -0.63909
0.182739 1.99955 0.349769 0.517538 -1.78554 1.55842 -0.452023 1.08514 0.483496 0.0258523 0.434108 -0.305331 0.332691
-0.723763 0.269033
"""
DECODED = """
0.253566 0.594296 0.480681 -0.059014 0.491864 0.36278 0.290126 0.190564 0.360855 -0.0584504 -0.294363 0.0905151
0.0886522 0.644353 0.38838 -0.337979 -0.288904 0.332679 0.139193 -0.0871794 0.044371 -0.509631 -0.916163 -0.213202
0.325433 0.423665 0.326402 0.139007 0.648703 0.526349 0.375977 0.228119 0.275391 -0.182379 -0.341215 -0.134139 0.0250149
0.441347 0.389737 -0.252863 -0.261454 0.291902 0.205128 0.0142599 0.112481 -0.453366 -0.525719 -0.314358
"""


@pytest.fixture
def files(tmp_path) -> list[str]:
    """Random weights, a VA-VAE and its statistics."""
    names = [str(tmp_path / name) for name in ("w.pt", "vavae.pt", "latents_stats.pt")]
    write(names[0], vae=names[1], latents_stats=names[2], **SIZES)
    return names


@pytest.mark.parametrize("kind", GOLDEN, ids=str)
def test_dit_of_other_blocks_equals_the_original_network(kind):
    made = DiT(Sizes(8, 2, 64, 3, 4, 7, CHANNELS, CHANNELS), kind).eval()
    state = random_state(made)
    assert Kind.of(state) == kind
    made.load_state_dict(state)
    with torch.inference_mode():
        output = made(wave(2, CHANNELS, 8, 8), torch.tensor([0.25, 0.875], dtype=torch.float64), torch.tensor([1, 7]))
    torch.testing.assert_close(output[:, ::9, 3, ::3].flatten(), numbers(GOLDEN[kind]), rtol=0, atol=1e-5)


def test_lightningdit_sampling_equals_the_original_steps(files):
    """Ten steps at shift .3, guided on 3 of 32 channels where its shifted time, which goes up, is at least .125."""
    model = lightningdit.load(*files, **SIZES, guidance_scale=6.7, guidance_interval=[0, 0.875])
    x = 1.4 * wave(2, CHANNELS, 4, 4)
    made = sample(model, Euler(steps=10), x, [1, 998], iter(()))
    torch.testing.assert_close(made[:, ::5, 3, ::3].flatten(), numbers(SAMPLED), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "printed", "count", "tensors"),
    [(KIND, "c3f91e9ef4595909", 675_293_600, 351), (Kind(), "e58fe56721100053", 675_148_064, 292)],
    ids=["published", "of DiT's blocks"],
)
def test_lightningdit_has_the_names_and_shapes_of_the_original(kind, printed, count, tensors):
    with torch.device("meta"):
        state = DiT(
            Sizes(**XL | {"size": 16, "patch": 1, "channels": CHANNELS, "outputs": CHANNELS}), kind
        ).state_dict()
    assert mark(state) == printed
    assert sum(value.numel() for value in state.values()) == count
    assert len(state) == tensors
    assert home_of(state).endswith("model=lightningdit takes")


def test_lightningdit_load_reads_the_average_and_the_parts_of_its_blocks(files, tmp_path):
    sizes = Sizes(**SIZES, channels=CHANNELS, outputs=CHANNELS)
    for kind in (KIND, Kind(), Kind(rms_norm=True, qk_norm=True)):
        ema = random_state(DiT(sizes, kind))
        model = {name: torch.zeros_like(value) for name, value in ema.items()}
        torch.save({"model": model, "ema": ema, "opt": {"state": {0: {"exp_avg": torch.ones(3)}}}}, files[0])
        loaded = lightningdit.load(*files, **SIZES).network.dit.state_dict()
        assert loaded.keys() == ema.keys()
        assert all(torch.equal(loaded[name], value) for name, value in ema.items())


def test_lightningdit_load_refuses_other_checkpoints_by_name(files, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"mis-shaped \(feat_rope\.freqs_cos is \[16, 16\] and should be \[16, 8\]"):
        lightningdit.load(*files, **SIZES | {"heads": 8})
    with pytest.raises(ValueError, match=r"missing \(blocks\.3.*tell model\.size=4 model\.patch=1 .*model\.depth=3"):
        lightningdit.load(*files, **SIZES | {"depth": 4})
    weights, vae = files_of_dit(tmp_path, "dit")
    with pytest.raises(ValueError, match=r"from 4 channels of latents to 8; this model takes 32, those of model\.vae"):
        lightningdit.load(weights, *files[1:], **SIZES)
    with pytest.raises(ValueError, match=r"unexpected \(feat_rope\.freqs_cos\)"):
        dit.load(files[0], vae, **SIZES)


def test_vavae_decodes_as_the_original(tmp_path):
    """Norms of 32 groups, and attention at the resolution of the latents, which come by mean and deviation."""
    vae, stats = str(tmp_path / "vavae.pt"), str(tmp_path / "stats.pt")
    torch.save({"state_dict": vavae((32, 32, 32, 32, 64))}, vae)
    write_stats(stats, "std", (1, CHANNELS, 1, 1))
    made = decoder(vae, stats, 4)
    assert made.shape == (3, 64, 64)
    with torch.inference_mode():
        images = made(0.5 * wave(2, CHANNELS, 4, 4))
    torch.testing.assert_close(images[:, :, 3, ::9].flatten(), numbers(DECODED), rtol=0, atol=1e-4)


def test_vavae_has_the_names_and_shapes_of_the_original():
    with torch.device("meta"):
        state = network(PUBLISHED).state_dict()
    theirs = in_names_of_ldm(state, 5)
    assert VAVAE.of(theirs) == PUBLISHED
    assert (mark(theirs), len(theirs)) == ("c677a29913fe911b", 196)
    assert sum(value.numel() for value in theirs.values()) == 41_418_659
    ours = in_names_of_diffusers(theirs, 5)
    assert {name: value.shape for name, value in ours.items()} == {name: value.shape for name, value in state.items()}


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        (
            {"decoder.up.2.upsample.conv.weight": None},
            r"missing \(decoder\.up_blocks\.2\.upsamplers\.0\.conv\.weight\)",
        ),
        ({"decoder.up.4.attn.1.q.weight": None}, r"missing \(decoder\.up_blocks\.0\.attentions\.1\.to_q\.weight\)"),
        ({"decoder.gate.weight": torch.ones(2)}, r"unexpected \(decoder\.gate\.weight\)"),
        ({"colorize": torch.ones(2)}, r"unexpected \(colorize\); model\.vae is VA-VAE's file"),
        ({"post_quant_conv.weight": None}, r"has no post_quant_conv\.weight; model\.vae is VA-VAE's file"),
        ({"loss.logvar": torch.ones(2), "foundation_model.model.cls_token": torch.ones(2)}, None),
    ],
    ids=str,
)
def test_vavae_takes_exactly_a_decoder_and_leaves_what_training_takes(files, changes, refusal):
    state = {name: value for name, value in (vavae() | changes).items() if value is not None}
    torch.save(state, files[1])
    if refusal is None:
        assert decoder(*files[1:], 4).shape == (3, 64, 64)
    else:
        with pytest.raises(ValueError, match=refusal):
            decoder(*files[1:], 4)


@pytest.mark.parametrize(
    ("stats", "refusal"),
    [
        ({"mean": torch.zeros(1, 32, 1, 1), "std": torch.ones(1, 32, 1, 1)}, None),
        ({"mean": torch.zeros(32, 1, 1), "var": torch.ones(32, 1, 1)}, None),
        ({"mean": torch.zeros(32, 4, 4), "std": torch.ones(32, 4, 4)}, None),
        ({"mean": torch.zeros(32), "std": torch.ones(32)}, r"mean of .* is \[32\]; of latents \[32, 4, 4\] it is"),
        ({"mean": torch.zeros(1, 16, 1, 1), "std": torch.ones(1, 16, 1, 1)}, "these statistics are of other latents"),
        ({"mean": torch.zeros(32, 1, 1)}, r"holds mean; statistics of latents are mean and std"),
        (
            {"mean": torch.zeros(32, 1, 1), "std": torch.ones(32, 1, 1), "scale": torch.ones(1)},
            "holds mean, scale, std",
        ),
        (
            {f"{k}.weight": torch.ones(2) for k in range(9)},
            r"holds 0\.weight, 1\.weight, 2\.weight, 3\.weight, \.\.\.;",
        ),
        ({"mean": torch.zeros(32, 1, 1), "std": torch.zeros(32, 1, 1)}, "numbers that are no mean and std"),
        ({"mean": torch.full((32, 1, 1), torch.nan), "std": torch.ones(32, 1, 1)}, "numbers that are no mean and std"),
        ({"mean": torch.zeros(32, 1, 1), "var": -torch.ones(32, 1, 1)}, "numbers that are no mean and var"),
    ],
    ids=range(11),
)
def test_statistics_are_read_by_name_shape_and_value(files, stats, refusal):
    torch.save(stats, files[2])
    if refusal is None:
        mean, deviation = statistics(files[2], (32, 4, 4))
        assert mean.shape == deviation.shape
        expected = torch.ones_like(deviation) * (1.00001**0.5 if "var" in stats else 1.0)
        torch.testing.assert_close(deviation, expected, rtol=0, atol=1e-7)
    else:
        with pytest.raises(ValueError, match=refusal):
            lightningdit.load(*files, **SIZES)


def test_denormalised_decoder_computes_in_its_dtype_and_lets_gradients_pass(files):
    latents = (0.1 * wave(2, CHANNELS, 2, 2)).requires_grad_()
    exact, rounded = decoder(*files[1:], 2), decoder(*files[1:], 2, dtype="bfloat16")
    assert {value.dtype for value in rounded.parameters()} == {torch.bfloat16}
    assert rounded.deviation.dtype == rounded(latents).dtype == torch.float32
    torch.testing.assert_close(rounded(latents), exact(latents), rtol=0, atol=0.3)
    exact(latents)[0].sum().backward()
    assert latents.grad[0].abs().sum() > 0
    assert latents.grad[1].abs().sum() == 0, "a row's gradient is its own"
    assert not any(value.requires_grad for value in exact.parameters())
    with pytest.raises(ValueError, match=r"model\.vae_dtype is 'int8'; it is one of float32"):
        decoder(*files[1:], 2, dtype="int8")
