"""EDM's networks, path and sampler, against values that the original code printed (see GOLDEN), and its converter.

GOLDEN was computed once, outside this repository, by NVlabs/edm's EDMPrecond from the same tensors (`random_state`).
"""

import json
import pickle
import sys
from hashlib import sha256
from itertools import pairwise
from types import ModuleType

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from its.levels import Columns
from its.model.edm import DEFAULTS, DHARIWAL, EDMDenoiser, load, network_of, song_unet
from its.model.published import home_of, mark_of
from its.particles.prices import Prices
from its.sampler.heun import Heun
from its.sampler.noise_paths import EDM
from its.twins.edm import write
from its.twins.random_state import random_state
from scripts.convert_edm import convert

KINDS = {
    "ddpmpp": {"model_type": "SongUNet"},
    "ncsnpp": {
        "model_type": "SongUNet",
        "embedding_type": "fourier",
        "encoder_type": "residual",
        "channel_mult_noise": 2,
        "resample_filter": [1, 3, 3, 1],
    },
}
GOLDEN = {
    "ddpmpp": [
        -0.038929,
        -0.29181,
        0.042428,
        -0.229662,
        0.015915,
        0.167977,
        0.196261,
        0.175574,
        0.216802,
        0.218871,
        0.19174,
        0.225109,
    ],
    "ncsnpp": [
        -0.952882,
        -0.053538,
        -0.374911,
        0.540588,
        -0.119529,
        -0.129773,
        0.211037,
        0.182828,
        0.220391,
        0.214691,
        0.19573,
        0.237108,
    ],
}
ADM = {
    True: "-.132068 .243377 .045287 -.061025 .713893 -.398599 .199368 .178129 .210201 .21156 .21673 .226589",
    False: ".144164 .410278 .153063 .069864 .812184 -.169363 .207481 .185048 .20967 .223812 .203309 .227947",
}
"""Of its DhariwalUNet at `small_adm`, given classes 1 and 3 or None."""

SAMPLED = [-0.575305, 0.471264, -1.641286, 0.016319, 0.715753, -0.964614]
"""By EDM's own sampler, from 80 wave(1, 3, 16, 16) in five steps with the ncsnpp network and class 1."""
KEYS = {"ddpmpp": "ba3ee664348926cf", "ncsnpp": "d5841c5e559aae27"}


def small(kind: str) -> dict:
    return {
        **DEFAULTS,
        **KINDS[kind],
        "num_blocks": 1,
        "attn_resolutions": [8],
        "model_channels": 16,
        "channel_mult": [1, 2],
        "img_resolution": 16,
        "img_channels": 3,
        "label_dim": 4,
    }


def small_adm() -> dict:
    sizes = {"num_blocks": 1, "attn_resolutions": [16, 8], "model_channels": 32, "channel_mult": [1, 2, 4]}
    images = {"img_resolution": 16, "img_channels": 3, "label_dim": 4}
    return {**DHARIWAL, **sizes, **images, "model_type": "DhariwalUNet"}


def wave(*shape: int) -> torch.Tensor:
    return torch.sin(torch.arange(torch.Size(shape).numel(), dtype=torch.float32) * 0.7).reshape(shape)


@pytest.mark.parametrize("kind", KINDS)
def test_edm_denoiser_equals_the_original_network(kind):
    network = song_unet(small(kind))
    network.load_state_dict(random_state(network))
    model = EDMDenoiser(network.eval(), EDM(), (3, 16, 16), labels=4)
    grid = model.path.grid(18, "karras")
    levels = Columns.of([grid[4], grid[15]], 4, "cpu")
    x = levels.sigma.float() * wave(2, 3, 16, 16) + torch.tensor([0.0, 0.2])[:, None, None, None]
    with torch.inference_mode():
        guess = model(x, levels, [1, 3])
    torch.testing.assert_close(guess.x0[:, ::2, 7, ::6].flatten(), torch.tensor(GOLDEN[kind]), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close((guess.x0 + levels.sigma * guess.eps).float(), x, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("conditional", [True, False])
def test_edm_denoiser_equals_the_original_adm_network(conditional):
    """Where it has fewer than 64 channels it does not attend, and without a class its labels are zeros."""
    network = network_of(small_adm())
    state = random_state(network)
    attending = [name.removesuffix(".qkv.weight") for name in state if name.endswith("qkv.weight")]
    assert attending == ["enc.8x8_block0", "dec.4x4_in0", "dec.8x8_block0", "dec.8x8_block1"]
    network.load_state_dict(state)
    model = EDMDenoiser(network.eval(), EDM(), (3, 16, 16), labels=4, conditional=conditional)
    grid = model.path.grid(18, "karras")
    levels = Columns.of([grid[4], grid[15]], 4, "cpu")
    x = levels.sigma.float() * wave(2, 3, 16, 16) + torch.tensor([0.0, 0.2])[:, None, None, None]
    with torch.inference_mode():
        made = model(x, levels, [1, 3]).x0[:, ::2, 7, ::6].flatten()
    expected = torch.tensor([float(word) for word in ADM[conditional].split()])
    assert (made - expected).norm() <= 5e-6 * expected.norm()


def test_dhariwal_unet_has_the_published_names_and_shapes():
    config = {**DHARIWAL, "model_type": "DhariwalUNet", "img_resolution": 64, "img_channels": 3, "label_dim": 1000}
    with torch.device("meta"):
        state = network_of(config).state_dict()
    assert (mark_of(state), len(state)) == ("a678ef235436739c", 553)
    assert sum(value.numel() for value in state.values()) == 295_899_315
    assert "model=edm_imagenet64 takes" in home_of(state)


@pytest.mark.parametrize("kind", KINDS)
def test_edm_rows_do_not_depend_on_the_rest_of_the_batch(kind):
    network = song_unet(small(kind))
    network.load_state_dict(random_state(network))
    model = EDMDenoiser(network.eval(), EDM(), (3, 16, 16), labels=4)
    grid = model.path.grid(18, "karras")
    x, other = torch.randn(4, 3, 16, 16), torch.randn(4, 3, 16, 16)
    other[2] = x[0]
    with torch.inference_mode():
        one = model(x, Columns.of([grid[k] for k in (5, 9, 1, 12)], 4, "cpu"), [1, 0, 3, 2])
        two = model(other, Columns.of([grid[k] for k in (0, 16, 5, 3)], 4, "cpu"), [2, 2, 1, 0])
    assert torch.equal(one.x0[0], two.x0[2])
    assert torch.equal(one.eps[0], two.eps[2])


@pytest.mark.parametrize("kind", KINDS)
def test_song_unet_has_the_published_names_and_shapes(kind):
    config = {
        **DEFAULTS,
        **KINDS[kind],
        "channel_mult": [2, 2, 2],
        "img_resolution": 32,
        "img_channels": 3,
        "label_dim": 10,
    }
    with torch.device("meta"):
        state = song_unet(config).state_dict()
    told = "\n".join(f"{name} {list(value.shape)}" for name, value in sorted(state.items()))
    assert sha256(told.encode()).hexdigest()[:16] == KEYS[kind]


def test_edm_levels_equal_those_of_the_paper():
    grid = EDM().grid(18, "karras")
    k = np.arange(18)
    expected = (80 ** (1 / 7) + k / 17 * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7  # Eq. 5
    np.testing.assert_allclose([level.sigma for level in grid], [*expected, 0.0], rtol=1e-12)
    assert [level.alpha for level in grid] == [1.0] * 19
    np.testing.assert_allclose([level.scale for level in grid[:-1]], 1 / np.sqrt(expected**2 + 0.25), rtol=1e-12)
    assert all(EDM().level(level.time) == level for level in grid[:-1])
    assert EDM().prior_std(grid[0]) == pytest.approx(80.0)
    listed = EDM().grid(2, [40.0, 1.5])
    np.testing.assert_allclose([level.sigma for level in listed], [40.0, 1.5, 0.0], rtol=1e-12)


def test_edm_heun_equals_the_original_sampler():
    network = song_unet(small("ncsnpp"))
    network.load_state_dict(random_state(network))
    model, sampler = EDMDenoiser(network.eval(), EDM(), (3, 16, 16), labels=4), Heun(steps=5, spacing="karras")
    grid = sampler.grid(model.path)
    x = model.path.prior_std(grid[0]) * wave(1, 3, 16, 16)
    with torch.inference_mode():
        for t, s in pairwise(grid):
            before, after = (Columns.of([level], 4, "cpu") for level in (t, s))
            first = model(x, before, [1])
            predicted = sampler.step(x, first, before, after, None)
            x = (
                predicted
                if sampler.stages(t, s) == 1
                else sampler.correct(x, first, model(predicted, after, [1]), before, after)
            )
    torch.testing.assert_close(x[:, ::2, 7, ::6].flatten(), torch.tensor(SAMPLED), rtol=1e-4, atol=1e-4)


def test_edm_heun_costs_35_evaluations_in_18_steps():
    assert Prices(EDM(), Heun(steps=18, spacing="karras"), 1).sampling == 35


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: EDM().grid(5, "trailing"),
            "'trailing', and this model is sampled by sigma; set sampler.spacing=karras",
        ),
        (lambda: EDM().grid(2, [90.0, 1.0]), "between 0.002 and 80.0"),
        (lambda: EDM(sigma_min=3.0, sigma_max=2.0), "sigma_min below sigma_max"),
    ],
)
def test_edm_refuses_bad_spacings_and_sigmas(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_edm_load_takes_the_sizes_from_a_converted_file(tmp_path):
    weights = str(tmp_path / "x.safetensors")
    write(weights, size=16, channels=16, blocks=1, labels=3)
    model = load(weights)
    assert model.shape == (3, 16, 16)
    assert model.labels == 3
    save_file({"a": torch.zeros(1)}, tmp_path / "y.safetensors")
    with pytest.raises(ValueError, match="no EDM configuration in its header"):
        load(str(tmp_path / "y.safetensors"))
    config = json.dumps({"model_type": "UNet", "img_resolution": 64, "img_channels": 3})
    save_file({"a": torch.zeros(1)}, tmp_path / "z.safetensors", {"edm": config})
    with pytest.raises(ValueError, match=r'model_type of .*z\.safetensors is "UNet"; here it is SongUNet or'):
        load(str(tmp_path / "z.safetensors"))


@pytest.fixture
def persistence(monkeypatch):
    """EDM's pickles name a function of this module; unpickling calls it with an object's state and source."""
    module = ModuleType("torch_utils.persistence")

    def _reconstruct_persistent_obj(meta):
        raise AssertionError("code of the pickle was run")

    _reconstruct_persistent_obj.__module__ = "torch_utils.persistence"
    _reconstruct_persistent_obj.__qualname__ = "_reconstruct_persistent_obj"
    module._reconstruct_persistent_obj = _reconstruct_persistent_obj
    monkeypatch.setitem(sys.modules, "torch_utils", ModuleType("torch_utils"))
    monkeypatch.setitem(sys.modules, "torch_utils.persistence", module)
    return _reconstruct_persistent_obj


class Persistent:
    """Pickles as EDM's networks do."""

    def __init__(self, function, state, name="SongUNet"):
        self.function, self.state, self.name = function, state, name

    def __reduce__(self):
        return self.function, ({"module_src": "raise SystemExit", "class_name": self.name, "state": self.state},)


@pytest.mark.parametrize(
    ("config", "unknown"), [(small("ddpmpp"), "channel_mult_emb"), (small_adm(), "endpoint")], ids=["ddpmpp", "adm"]
)
def test_convert_edm_keeps_tensors_and_runs_no_code(tmp_path, persistence, config, unknown):
    network = network_of(config)
    state = random_state(network)

    def packed(prefix: str = "") -> Persistent:
        own = {
            name[len(prefix) :]: torch.nn.Parameter(value)
            for name, value in state.items()
            if name.startswith(prefix) and "." not in name[len(prefix) :]
        }
        children = dict.fromkeys(
            name[len(prefix) :].split(".")[0]
            for name in state
            if name.startswith(prefix) and "." in name[len(prefix) :]
        )
        modules = {name: packed(f"{prefix}{name}.") for name in children}
        return Persistent(
            persistence,
            {
                "_parameters": own,
                "_buffers": {},
                "_modules": modules,
                "_non_persistent_buffers_set": set(),
                "skip_scale": np.float64(0.5),
            },
        )

    whole = Persistent(
        persistence,
        {
            "_modules": {"model": packed()},
            "_parameters": {},
            "sigma_data": 0.5,
            "_init_kwargs": {key: config[key] for key in config if key != "sigma_data"},
        },
        "EDMPrecond",
    )
    source, target = tmp_path / "x.pkl", tmp_path / "x.safetensors"
    source.write_bytes(pickle.dumps({"ema": whole}))
    with pytest.raises(ValueError, match=r"has sha256 .*, not 00"):
        convert(source, "00", target)
    convert(source, sha256(source.read_bytes()).hexdigest(), target)
    loaded = load(str(target)).network.state_dict()
    assert all(torch.equal(loaded[name], state[name]) for name in state)

    for name, extra, told in (
        ("VPPrecond", {}, "holds a VPPrecond, and only EDMPrecond is read here"),
        ("EDMPrecond", {unknown: 2}, f"was made with {unknown}, which is not known here"),
    ):
        whole.name = name
        whole.state["_init_kwargs"] |= extra
        source.write_bytes(pickle.dumps({"ema": whole}))
        with pytest.raises(ValueError, match=told):
            convert(source, sha256(source.read_bytes()).hexdigest(), tmp_path / "y.safetensors")


class Hostile:
    def __reduce__(self):
        return (open, ("canary", "w"))


def test_convert_edm_refuses_other_pickles(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = tmp_path / "x.pkl"
    source.write_bytes(pickle.dumps({"ema": Hostile()}))
    with pytest.raises(ValueError, match=r"is not one of EDM's networks: it names .*open"):
        convert(source, sha256(source.read_bytes()).hexdigest(), tmp_path / "y")
    assert not (tmp_path / "canary").exists()


def test_edm_is_guided_between_two_sigmas_if_it_was_trained_with_dropped_labels(tmp_path):
    weights = str(tmp_path / "x.safetensors")
    write(weights, size=16, channels=16, blocks=1, labels=3)
    with pytest.raises(ValueError, match=r"guidance_scale is 2.0, and this network has no label for no condition"):
        load(weights, guidance_scale=2.0)
    network = load(weights).network
    arguments = (network, EDM(), (3, 16, 16))
    options = {"labels": 3, "dropped": True}
    levels = Columns.of([EDM().level(sigma ** (1 / 7)) for sigma in (5.0, 1.0, 0.1)], 4, "cpu")
    x, classes = torch.randn(3, 3, 16, 16), [0, 2, 1]
    cond, uncond = (
        EDMDenoiser(*arguments, **options, conditional=conditional)(x, levels, classes) for conditional in (True, False)
    )
    part = EDMDenoiser(*arguments, **options, guidance_scale=2.0, guidance_interval=[0.28, 2.9])
    assert [part.slots_at(EDM().level(sigma ** (1 / 7))) for sigma in (5.0, 2.9, 1.0, 0.28, 0.1)] == [1, 2, 2, 2, 1]
    guess = part(torch.cat([x, x[:1]]), Columns(*(torch.cat([c, c[:1]]) for c in levels)), [*classes, 0])
    for mine, first, second in zip(guess[:2], cond[:2], uncond[:2], strict=True):
        torch.testing.assert_close(mine[[0, 2]], first[[0, 2]], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(mine[1], 2 * first[1] - second[1], rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="class 3 is asked for, and this network has 0 to 2"):
        part(x, levels, [0, 1, 3])
