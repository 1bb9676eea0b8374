"""RAE's DiT^DH, its autoguidance and its decoder, against values that the original code printed.

They were computed once, outside this repository, by bytetriper/RAE from the same tensors (`random_state`); the marks
are hashes of the names and shapes of its networks at full size.
"""

import logging

import pytest
import torch

from its.model import rae
from its.model.dit_block import Kind
from its.model.ditdh_network import DiTDH, Sizes
from its.model.published import home_of
from its.model.rae_decoder import Decoder, decoder
from its.model.rae_decoder import Sizes as DecoderSizes
from its.sampler.euler import Euler
from its.sampler.noise_paths import Flow
from its.twins.lightningdit import write_stats
from its.twins.rae import KIND, write
from its.twins.random_state import random_state
from tests.model.latents import columns, guess, sample, wave
from tests.model.test_dit import mark, numbers

SIZES = {"size": 4, "channels": 8, "widths": [32, 64], "depths": [3, 2], "heads": [4, 4], "classes": 1000}
HEADS = {"decoder_heads": 4}
GOLDEN = """
-1.01216 1.29477 -1.1773 -0.225958 -0.188579 0.517121 1.49802 0.78301 -0.278143 0.776831 0.34937 1.3573
"""
SAMPLED = {
    "classifier-free": """
1.89346 -2.696 -1.05749 0.895005 0.262368 -1.43406 0.779492 -0.0130893 -2.71184 0.435593 0.879617 0.565228 -1.71416
0.649416 -0.234475 -0.898939
""",
    "autoguidance": """
1.99085 -3.62477 -1.98177 -0.326325 -0.036748 -2.19101 0.822985 0.67654 -3.66913 1.00532 -0.772333 2.41455 -3.01065
1.64785 0.78428 -0.827287
""",
}
DECODED = """
0.0104669 0.507536 -0.220946 0.0229479 -0.662589 0.699498 0.167413 -0.451544 -0.262327 -0.830775 0.353736 -0.645554
0.79388 -0.136739 -0.0485704 0.188165 -0.927636 0.568657 -0.038999 -0.30534 0.159282 -0.3696 -1 -0.0306218
"""
XL = {"channels": 768, "widths": [1152, 2048], "depths": [28, 2], "heads": [16, 16], "classes": 1000}
S = XL | {"widths": [384, 2048], "depths": [12, 2], "heads": [6, 16]}


@pytest.fixture
def files(tmp_path) -> dict[str, str]:
    """Random weights, those of autoguidance, a decoder and statistics."""
    names = {"weights": "w", "autoguidance": "weak", "decoder": "decoder", "latents_stats": "stat"}
    made = {key: f"{tmp_path}/{name}.pt" for key, name in names.items()}
    write(**made, **SIZES, **HEADS)
    return made


def loaded(files: dict[str, str], **options):
    return rae.load(
        **{"autoguidance": None, "guidance_scale": 1.0}
        | {k: v for k, v in files.items() if k != "autoguidance"}
        | SIZES
        | HEADS
        | options
    )


def test_ditdh_equals_the_original_network():
    network = DiTDH(Sizes(4, 8, [32, 64], [3, 2], [4, 4], 7), KIND).eval()
    network.load_state_dict(random_state(network))
    with torch.inference_mode():
        made = network(wave(2, 8, 4, 4), torch.tensor([0.25, 0.875], dtype=torch.float64), torch.tensor([1, 7]))
    torch.testing.assert_close(made[:, ::3, 3, ::2].flatten(), numbers(GOLDEN), rtol=0, atol=1e-5)


@pytest.mark.parametrize("guidance", SAMPLED)
def test_rae_sampling_equals_the_original_steps(files, guidance):
    """Ten steps of the shifted grid that ends at .001, guided on all channels."""
    scale = {"classifier-free": 1.5, "autoguidance": 1.42}[guidance]
    weak = files["autoguidance"] if guidance == "autoguidance" else None
    model = loaded(files, guidance_scale=scale, autoguidance=weak)
    assert (model.slots, model.fewest_slots) == (2, 2)
    made = sample(model, Euler(steps=10), 1.4 * wave(2, 8, 4, 4), [1, 998], iter(()))
    torch.testing.assert_close(made[:, ::2, 3, ::3].flatten(), numbers(SAMPLED[guidance]), rtol=0, atol=2e-5)


def test_rae_load_gives_the_published_path_and_asks_the_weak_network_only_when_guided(files):
    plain, guided = loaded(files), loaded(files, guidance_scale=2.0, autoguidance=files["autoguidance"])
    assert plain.path == Flow(shift=48**0.5, end=0.001)
    assert (plain.slots, plain.autoguidance) == (1, None)
    x, level = wave(2, 8, 4, 4), plain.path.level(0.5)
    with torch.inference_mode():
        weak = guided.autoguidance(x, columns(plain, 0.5, 0.5).time.flatten(), torch.tensor([3, 5]))
        strong = plain.network(x, columns(plain, 0.5, 0.5).time.flatten(), torch.tensor([3, 5]))
        made = guess(guided, x, level, [3, 5])
    torch.testing.assert_close(made.eps - made.x0, 2 * strong - weak)
    with pytest.raises(ValueError, match=r"the network of model\.autoguidance is never asked"):
        loaded(files, autoguidance=files["autoguidance"])
    with pytest.raises(ValueError, match=r"both are asked at every level; set model\.guidance_interval=null"):
        loaded(files, autoguidance=files["autoguidance"], guidance_scale=2.0, guidance_interval=[0, 0.5])


@pytest.mark.parametrize(
    ("sizes", "printed", "tensors", "count", "home"),
    [
        (XL, "8daa612db238f1ec", 382, 838_778_196, "model=rae takes"),
        (S, "b973010593ea2527", 190, 196_554_068, r"model=rae model.autoguidance=... takes"),
    ],
    ids=["XL", "S"],
)
def test_ditdh_has_the_names_and_shapes_of_the_original(sizes, printed, tensors, count, home):
    with torch.device("meta"):
        state = DiTDH(Sizes(size=16, **sizes), KIND).state_dict()
    assert (mark(state), len(state)) == (printed, tensors)
    assert sum(value.numel() for value in state.values()) == count
    assert home_of(state).endswith(home)
    assert vars(Sizes.of(state)) == {"size": 16, **sizes}
    assert Kind.of(state) == KIND


def test_rae_load_refuses_other_checkpoints_by_name(files):
    with pytest.raises(ValueError, match=r"model\.widths=\[32,64\] model\.depths=\[3,2\] model\.heads=\[4,4\]"):
        loaded(files, depths=[2, 2])
    with pytest.raises(ValueError, match=r"does not fit DiTDH.*model\.widths=\[16,64\] model\.depths=\[1,2\]"):
        loaded(files, weights=files["autoguidance"])
    with pytest.raises(ValueError, match=r"is no checkpoint of DiT\^DH .*s_embedder.*model\.autoguidance=null"):
        loaded(files, autoguidance=files["decoder"], guidance_scale=2.0)
    with pytest.raises(ValueError, match=r"it has no s_embedder\.proj\.weight, so it is no checkpoint of DiT\^DH"):
        loaded(files, weights=files["decoder"])
    torch.save(random_state(DiTDH(Sizes(4, 8, [16, 64], [1, 2], [1, 4], 10), KIND)), files["autoguidance"])
    with pytest.raises(ValueError, match=r"classes of .* is 10, and of the network that it guides 1000"):
        loaded(files, autoguidance=files["autoguidance"], guidance_scale=2.0)
    for options, refusal in (
        ({"widths": [32]}, r"model\.widths is \[32\]; it is two whole numbers"),
        ({"heads": [4, 3]}, r"model\.widths is \[32, 64\]; each is a multiple of 4 times its model\.heads=\[4, 3\]"),
        ({"shift": -1.0}, r"model\.shift is -1\.0"),
    ):
        with pytest.raises(ValueError, match=refusal):
            loaded(files, **options)


def test_ditdh_keeps_its_times_in_float32_under_any_dtype(files):
    exact, rounded = loaded(files), loaded(files, dtype="bfloat16", decoder_dtype="bfloat16")
    network = rounded.network.network
    assert network.t_embedder.W.dtype == network.dec_feat_rope.freqs_cos.dtype == torch.float32
    assert {value.dtype for value in network.parameters()} == {torch.bfloat16}
    x, level = wave(2, 8, 4, 4), exact.path.level(0.5)
    with torch.inference_mode():
        torch.testing.assert_close(
            guess(rounded, x, level, [3, 5]).x0, guess(exact, x, level, [3, 5]).x0, atol=0.1, rtol=0
        )
        torch.testing.assert_close(rounded.decoder(x), exact.decoder(x), atol=0.1, rtol=0)


def test_rae_decodes_as_the_original(tmp_path):
    weights, stats = str(tmp_path / "decoder.pt"), str(tmp_path / "stat.pt")
    network = Decoder(DecoderSizes(8, 16, 64, 96, 3, 4, 4))
    torch.save(random_state(network), weights)
    write_stats(stats, "var", (8, 4, 4))
    made = decoder(weights, stats, 4, heads=4)
    assert made.shape == (3, 16, 16)
    with torch.inference_mode():
        images = made(wave(2, 8, 4, 4))
    torch.testing.assert_close(images[:, :, 3, ::5].flatten(), numbers(DECODED), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("sizes", "printed", "count"),
    [
        ((1152, 4096, 28, 16), "9288cdc79af38c19", 415_352_704),
        ((1024, 4096, 24, 16), "ab391046cb4a15f1", 304_150_272),
        ((768, 3072, 12, 12), "f79de747ec1631a1", 86_435_328),
    ],
    ids=["ViT-XL", "ViT-L", "ViT-B"],
)
def test_rae_decoder_has_the_names_and_shapes_of_the_original(sizes, printed, count):
    made = DecoderSizes(768, 256, *sizes, 16)
    with torch.device("meta"):
        state = Decoder(made).state_dict()
    assert mark(state) == printed
    assert sum(value.numel() for value in state.values()) == count
    assert DecoderSizes.of(state, sizes[-1]) == made


def test_rae_decoder_refuses_other_files_by_name(files, caplog):
    stats = files["latents_stats"]
    with pytest.raises(ValueError, match=r"decodes 16 tokens, and model\.size=2 makes 4"):
        decoder(files["decoder"], stats, 2, heads=4)
    with pytest.raises(ValueError, match=r"decoder_heads is 5, .* width 32 .*a number that divides 32"):
        decoder(files["decoder"], stats, 4, heads=5)
    with pytest.raises(ValueError, match=r"is no decoder of RAE .*decoder_embed\.weight.*model\.decoder is a decoder"):
        decoder(files["weights"], stats, 4, heads=4)
    state = torch.load(files["decoder"])
    first = state.pop("trainable_cls_token")
    torch.save(state, files["decoder"])
    with caplog.at_level(logging.WARNING):
        made = decoder(files["decoder"], stats, 4, heads=4)
    assert "has no trainable_cls_token; it is zero then, as in RAE's code" in caplog.text
    assert first.any()
    assert not made.network.trainable_cls_token.any()
    torch.save(state | {"mask_token": first}, files["decoder"])
    with pytest.raises(ValueError, match=r"1 unexpected \(mask_token\)"):
        decoder(files["decoder"], stats, 4, heads=4)
