"""improved-diffusion's network and checkpoints, against values that the original code printed.

GOLDEN was computed once, outside this repository, by openai/improved-diffusion's UNetModel from the same tensors
(`random_state`, so that nothing is zero); KEYS is a hash of the names and shapes of its published configurations.
"""

from hashlib import sha256

import pytest
import torch

from its.levels import Columns
from its.model.checkpoint import fit, read
from its.model.openai import advice, load, sizes_of
from its.model.openai_unet import OpenAIUNet
from its.sampler.noise_paths import cosine_vp
from its.twins.openai import write
from its.twins.random_state import random_state

GOLDEN = {
    True: [
        0.117798,
        -0.633981,
        0.085771,
        0.369518,
        0.384313,
        -0.358591,
        0.243301,
        0.542809,
        0.323527,
        -0.097047,
        0.579044,
        0.660168,
        0.730857,
        -0.779494,
        0.019905,
        -0.058574,
        -0.662159,
        0.467002,
    ],
    False: [
        -0.0539,
        -0.381426,
        -0.091059,
        0.008173,
        0.224563,
        -0.101904,
        0.199292,
        -0.558449,
        0.016982,
        -0.444717,
        -0.496733,
        -0.105234,
        -0.001111,
        0.106422,
        0.101601,
        0.378043,
        -0.972282,
        0.08238,
    ],
}
SIZES = {"size": 32, "channels": 32, "blocks": 1, "multipliers": [1, 2, 1], "attention": [16], "heads": 4}


def wave(*shape: int) -> torch.Tensor:
    return torch.sin(torch.arange(torch.Size(shape).numel(), dtype=torch.float32) * 0.7).reshape(shape)


@pytest.mark.parametrize("scale_shift", [True, False])
def test_openai_unet_equals_the_original_network(scale_shift):
    classes = 5 if scale_shift else None
    network = OpenAIUNet(32, 32, 1, (1, 2, 3), (16, 8), 4, 6, scale_shift=scale_shift, classes=classes).eval()
    network.load_state_dict(random_state(network))
    with torch.inference_mode():
        made = network(wave(2, 3, 32, 32), torch.tensor([999.75, 3.25]), torch.tensor([1, 4]) if classes else None)
    torch.testing.assert_close(made[:, ::2, 7, ::13].flatten(), torch.tensor(GOLDEN[scale_shift]), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("size", "channels", "multipliers", "classes", "mark"),
    [
        (32, 128, (1, 2, 2, 2), None, "80b29d6f201a8c8e"),
        (64, 128, (1, 2, 3, 4), None, "0463057b42c021ed"),
        (64, 192, (1, 2, 3, 4), 1000, "5282b4d8ae2109d4"),
    ],
)
def test_openai_unet_has_the_published_names_and_shapes(size, channels, multipliers, classes, mark):
    with torch.device("meta"):
        state = OpenAIUNet(size, channels, 3, multipliers, (16, 8), 4, 6, classes=classes).state_dict()
    told = "\n".join(f"{name} {list(value.shape)}" for name, value in sorted(state.items()))
    assert sha256(told.encode()).hexdigest()[:16] == mark
    home = "openai_cifar10" if size == 32 else "openai_imagenet64"
    with pytest.raises(ValueError, match=f"does not fit Linear.*those of the checkpoint that model={home}"):
        fit(torch.nn.Linear(1, 1), state, "x.pt", "another remedy")
    assert sizes_of(state, size) == {
        "channels": channels,
        "blocks": 3,
        "multipliers": list(multipliers),
        "attention": [16, 8],
        "learned_sigma": True,
        "scale_shift": True,
        "resblock_updown": False,
        "classes": classes,
    }


def columns(schedule, *times):
    return Columns.of([schedule.level(time) for time in times], 4, "cpu")


def test_openai_load_rescales_times_to_a_thousand_and_clips(tmp_path, monkeypatch):
    weights = str(tmp_path / "x.pt")
    write(weights, **SIZES)
    model = load(weights, **SIZES, betas="cosine", steps=4000)
    assert model.shape == (3, 32, 32)
    assert model.path == cosine_vp(4000)
    asked = []
    unet = model.network.unet
    original = unet.forward
    monkeypatch.setattr(unet, "forward", lambda x, time, label: asked.append(time) or original(x, time, label))
    levels = columns(model.path, 3999, 1000, 0)
    x = 3 * wave(3, 3, 32, 32)
    with torch.inference_mode():
        guess = model.clipping(model(x, levels, [None] * 3), levels)
    assert asked[0].tolist() == [999.75, 250.0, 0.0]
    assert guess.x0.abs().max() <= 1
    assert guess.x0.dtype == guess.eps.dtype == torch.float32
    rebuilt = levels.alpha * guess.x0 + levels.sigma * guess.eps
    torch.testing.assert_close(rebuilt.float(), x, rtol=0, atol=2e-3, msg="eps_hat is what the clipped x0_hat leaves")
    alone = load(weights, **SIZES, betas="cosine", steps=4000, clip=None)
    with torch.inference_mode():
        assert alone.clipping(alone(x, levels, [None] * 3), levels).x0.abs().max() > 1


def test_openai_rows_do_not_depend_on_the_rest_of_the_batch(tmp_path):
    weights = str(tmp_path / "x.pt")
    write(weights, **SIZES)
    model = load(weights, **SIZES, betas="linear", steps=1000)
    x, other = torch.randn(4, 3, 32, 32), torch.randn(4, 3, 32, 32)
    other[2] = x[0]
    with torch.inference_mode():
        one = model(x, columns(model.path, 900, 500, 100, 3), [None] * 4)
        two = model(other, columns(model.path, 1, 70, 900, 999), [None] * 4)
    assert torch.equal(one.x0[0], two.x0[2])
    assert torch.equal(one.eps[0], two.eps[2])


def test_openai_load_refuses_a_misfit_and_tells_the_right_sizes(tmp_path):
    weights = str(tmp_path / "x.pt")
    write(weights, **SIZES)
    with pytest.raises(ValueError, match=r"missing \(input_blocks.*unexpected.*mis-shaped.*model\.blocks=1"):
        load(weights, **SIZES | {"blocks": 2, "channels": 64}, betas="cosine", steps=4000)
    with pytest.raises(ValueError, match=r"out\.2\.weight is \[6, 32, 3, 3\] and should be \[3, 32, 3, 3\]"):
        load(weights, **SIZES, learned_sigma=False, betas="linear", steps=1000)
    state = read(weights)
    torch.save(state | {"out.2.bias": state["out.2.bias"].to(torch.int8)}, tmp_path / "int.pt")
    with pytest.raises(ValueError, match=r"out\.2\.bias is torch\.int8 and should be torch\.float32"):
        load(str(tmp_path / "int.pt"), **SIZES, betas="cosine", steps=4000)
    assert "model.multipliers=[1,2,1] model.attention=[16] model.learned_sigma=true" in advice(read(weights), 32)
    assert "not a checkpoint of improved-diffusion" in advice({"conv1.weight": torch.zeros(1)}, 32)
    with pytest.raises(ValueError, match=r"model\.betas is 'sigmoid'; it is cosine or linear"):
        load(weights, **SIZES, betas="sigmoid", steps=4000)


class Payload:
    def __reduce__(self):
        return (open, ("canary", "w"))


def test_checkpoint_read_opens_no_pickled_objects(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"model": Payload()}, "x.pt")
    with pytest.raises(ValueError, match=r"a pickled io\.open, and pickled objects are not opened.*python scripts"):
        read("x.pt")
    assert not (tmp_path / "canary").exists()
    torch.save({"state_dict": {"module.a": torch.ones(1)}}, "y.pt")
    assert read("y.pt") == {"a": torch.ones(1)}
    torch.save([1, 2], "z.pt")
    with pytest.raises(ValueError, match="holds no tensors by name but a list"):
        read("z.pt")
