"""guided-diffusion's networks and sampler, against values that the original code printed (see docs/imagenet.md).

NETWORK and SAMPLED were computed once, outside this repository, by openai/guided-diffusion from the same tensors
(`random_state`, so that nothing is zero); PUBLISHED are hashes of the names and shapes of its networks, the numbers of
their tensors and of their parameters.
"""

from itertools import pairwise

import pytest
import torch
import yaml

from its.levels import Columns
from its.model.checkpoint import fit, read
from its.model.denoiser import NetworkDenoiser
from its.model.edm import load as load_edm
from its.model.openai import ImprovedDiffusion, advice, load, sizes_of
from its.model.openai_unet import Layers, OpenAIUNet
from its.model.published import HOMES, mark_of
from its.model.unet2d import load as load_pipeline
from its.sampler.ddim import DDIM
from its.sampler.noise_paths import betas_named
from its.twins.openai import write
from its.twins.random_state import random_state
from tests.build import CONF

KINDS = {
    "new": ({"multipliers": (1, 1.5, 2), "head_channels": 16, "classes": 5}, "cosine"),
    "legacy": ({"multipliers": (0.5, 1, 2), "head_channels": 32, "classes": None}, "linear"),
}
NETWORK = {
    "new": "-.072054 .750079 .390298 .333757 .97519 .655247 .653802 -1.40639 .202027 -.546325 .417191 .434524 .109936 "
    ".809947 .813657 -.540908 .420875 .54182",
    "legacy": "-.517532 .517457 .360193 -.142972 -.292461 .130752 .090705 .33591 .296564 -.649029 -.295697 -.173686 "
    ".228942 -.187663 .139785 .182276 -1.737576 .328977",
}
SAMPLED = {
    "new": ".159801 -.153551 .741118 -.783639 -.722598 -.188712 .895247 1 .097995 .66557 -.633303 -.784687",
    "legacy": "-.319067 .981516 -.918294 -.970633 .556653 .614448 -.829558 .696091 .329078 .112931 -.86948 1",
}
PUBLISHED = {
    "adm_imagenet64": ("cdbf32c1675c84fb", 541, 295_904_454),
    "adm_imagenet256": ("e357403fc997eb00", 567, 553_838_086),
    "adm_imagenet256_uncond": ("77e18ded5689d791", 566, 552_814_086),
    "adm_imagenet512": ("ab03f15f765591ce", 645, 558_997_638),
}


def wave(*shape: int) -> torch.Tensor:
    return torch.sin(torch.arange(torch.Size(shape).numel(), dtype=torch.float32) * 0.7).reshape(shape)


def numbers(text: str) -> torch.Tensor:
    return torch.tensor([float(word) for word in text.split()])


def network_of(kind: str, order: str | None = None) -> OpenAIUNet:
    sizes = {"attention": (16, 8), "heads": None, "outputs": 6, **KINDS[kind][0]}
    network = OpenAIUNet(32, 64, 1, attention_order=order or kind, resblock_updown=True, **sizes).eval()
    network.load_state_dict(random_state(network))
    return network


def slices(images: torch.Tensor) -> torch.Tensor:
    return images[:, ::2, 7, ::13].flatten()


@pytest.mark.parametrize("kind", KINDS)
def test_openai_unet_equals_adm_s_network_in_its_order_of_attention_alone(kind):
    labels = torch.tensor([1, 4]) if KINDS[kind][0]["classes"] else None
    arguments = wave(2, 3, 32, 32), torch.tensor([998.0, 3.0], dtype=torch.float64), labels
    with torch.inference_mode():
        made = slices(network_of(kind)(*arguments))
        other = slices(network_of(kind, "new" if kind == "legacy" else "legacy")(*arguments))
    expected = numbers(NETWORK[kind])
    assert (made - expected).norm() <= 5e-6 * expected.norm()
    assert (other - expected).norm() > 0.1 * expected.norm()


@pytest.mark.parametrize("kind", KINDS)
def test_ddim_takes_ten_of_adm_s_respaced_ancestral_steps_with_learned_variance(kind):
    """p_sample_loop of timestep_respacing="10" from wave(2, 3, 32, 32), its draws replaced by rolled waves."""
    sizes, betas = KINDS[kind]
    model = NetworkDenoiser(
        ImprovedDiffusion(network_of(kind)),
        betas_named(betas, 1000),
        "epsilon",
        (3, 32, 32),
        conditional=bool(sizes["classes"]),
        rederive_eps=True,
        variance="learned",
    )
    sampler = DDIM(steps=10, spacing="inclusive", eta=1.0).fitted(model.variance)
    x = wave(2, 3, 32, 32)
    with torch.inference_mode():
        for step, (t, s) in enumerate(pairwise(sampler.grid(model.path))):
            before, after = (Columns.of([level] * 2, 4, "cpu") for level in (t, s))
            z = 1.3 * torch.roll(wave(2, 3, 32, 32), 17 * (step + 1), -1).flip(2)
            guess = model.clipping(model(x, before, [1, 4]), before)
            x = sampler.step(x, guess, before, after, z if sampler.noisy(t, s) else None)
    expected = numbers(SAMPLED[kind])
    assert (slices(x) - expected).norm() <= 1e-5 * expected.norm()


def configured(name: str) -> dict:
    """What `conf/model/<name>.yaml` gives its loader, without what needs Hydra."""
    node = yaml.safe_load((CONF / "model" / f"{name}.yaml").read_text())
    for base in node.pop("defaults", []):
        node = {**configured(base), **node}
    return {key: value for key, value in node.items() if key not in ("_target_", "smoke", "device")}


@pytest.mark.parametrize("name", PUBLISHED)
def test_openai_load_takes_adm_s_published_names_and_shapes(name, monkeypatch):
    mark, tensors, parameters = PUBLISHED[name]
    node = configured(name)
    sizes = {key: node[key] for key in ("size", "channels", "blocks", "multipliers", "attention", "heads", "classes")}
    with torch.device("meta"):
        state = OpenAIUNet(**sizes, outputs=6, head_channels=64, resblock_updown=True).state_dict()
        monkeypatch.setattr("its.model.openai.read", lambda weights, key: state)
        model = load(**node, device="meta")
    assert (mark_of(state), len(state)) == (mark, tensors)
    assert sum(value.numel() for value in state.values()) == parameters
    assert (model.shape, model.variance) == ((3, node["size"], node["size"]), "learned")
    assert model.conditional == (node["classes"] == 1000)
    with pytest.raises(ValueError, match=f"does not fit Linear.*those of the checkpoint that model={name} takes"):
        fit(torch.nn.Linear(1, 1), state, "x.pt", "another remedy")
    told = sizes_of(state, node["size"])
    assert all(told[key] == node[key] for key in told)


SIZES = {"size": 32, "channels": 64, "blocks": 1, "multipliers": [0.5, 1.5], "attention": [16]}
ADM = {**SIZES, "heads": None, "head_channels": 32, "resblock_updown": True, "classes": 4}
OTHER = {**SIZES, "heads": 1, "multipliers": [1, 1]}


def test_loaders_of_other_formats_tell_which_model_takes_an_adm_checkpoint(tmp_path, monkeypatch):
    weights = str(tmp_path / "x.pt")
    write(weights, **ADM)
    monkeypatch.setitem(HOMES, mark_of(read(weights)), "model=adm_imagenet512")
    for call in (load_edm, load_pipeline):
        with pytest.raises(ValueError, match="those of the checkpoint that model=adm_imagenet512 takes"):
            call(weights)


def test_advice_tells_sizes_that_fit_or_that_none_do(tmp_path):
    weights = str(tmp_path / "x.pt")
    write(weights, **ADM)
    told = r"model\.blocks=1 model\.multipliers=\[0\.5,1\.5\] .*model\.resblock_updown=true model\.classes=4"
    with pytest.raises(ValueError, match=told):
        load(weights, **OTHER, betas="linear", steps=1000)
    state = read(weights)
    upsampler = {**state, "input_blocks.0.0.weight": torch.zeros(32, 6, 3, 3)}
    assert advice(upsampler, 32).startswith("no sizes of improved-diffusion's and ADM's networks have its names")
    without = {name: value for name, value in state.items() if not name.startswith("output_blocks.")}
    assert "choose another model" in advice(without, 32)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"heads": 4}, "model.heads is 4 and model.head_channels is 32; one of them"),
        ({"head_channels": None}, "model.heads is None and model.head_channels is None; one of them"),
        ({"head_channels": 20}, "model.head_channels is 20, which does not divide 96 channels"),
        ({"attention_order": "old"}, "model.attention_order is 'old'; it is one of legacy, new"),
        ({"guidance_scale": 2.0}, "guidance_scale is 2.0, and this network has no label for no condition"),
    ],
)
def test_openai_load_refuses_options_of_adm_by_name(tmp_path, change, message):
    weights = str(tmp_path / "x.pt")
    write(weights, **ADM)
    load(weights, **ADM, betas="linear", steps=1000)
    with pytest.raises(ValueError, match=message):
        load(weights, **{**ADM, **change}, betas="linear", steps=1000)


def test_layers_halve_by_means_and_double_by_neighbours():
    layers = Layers(8, resblock_updown=True, head_channels=4)
    x = wave(1, 4, 4, 4)
    torch.testing.assert_close(layers.halved(4).resample(x), x.unfold(2, 2, 2).unfold(3, 2, 2).mean((-1, -2)))
    assert torch.equal(layers.doubled(4).resample(x), x.repeat_interleave(2, 2).repeat_interleave(2, 3))
