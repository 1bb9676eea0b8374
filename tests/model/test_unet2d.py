"""diffusers' pipelines as the hub publishes them: old names, torch's format, and what does not fit."""

import json

import pytest
import torch
from diffusers import UNet2DModel

from its.levels import Columns
from its.model.unet2d import load
from its.twins.unet2d import old_name, write
from its.weights import fingerprint, locate

PUBLISHED = {  # config.json of google/ddpm-cifar10-32
    "act_fn": "silu",
    "attention_head_dim": None,
    "block_out_channels": [128, 256, 256, 256],
    "center_input_sample": False,
    "down_block_types": ["DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"],
    "downsample_padding": 0,
    "flip_sin_to_cos": False,
    "freq_shift": 1,
    "in_channels": 3,
    "layers_per_block": 2,
    "mid_block_scale_factor": 1,
    "norm_eps": 1e-06,
    "norm_num_groups": 32,
    "out_channels": 3,
    "sample_size": 32,
    "time_embedding_type": "positional",
    "up_block_types": ["UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"],
}


def columns(model, *times):
    return Columns.of([model.path.level(time) for time in times], 4, "cpu")


def test_unet2d_as_published_has_the_parameter_count_of_ddpm():
    with torch.device("meta"):
        network = UNet2DModel.from_config(PUBLISHED)
    assert sum(p.numel() for p in network.parameters()) == 35_746_307  # 35.7 M: Ho et al. 2020, App. B
    assert network.mid_block.attentions[0].heads == 1


def test_unet2d_loads_torch_files_with_old_tensor_names(tmp_path):
    folder = tmp_path / "pipeline"
    write(str(folder), size=16, channels=[16, 32])
    saved = torch.load(folder / "diffusion_pytorch_model.bin", weights_only=True)
    assert any(".query.weight" in name for name in saved)
    assert not any(".to_q." in name for name in saved)
    model = load(str(folder))
    own = model.network.unet.state_dict()
    assert {old_name(name) for name in own} == set(saved)
    assert all(
        torch.equal(value.reshape(saved[old_name(name)].shape), saved[old_name(name)]) for name, value in own.items()
    )
    assert model.shape == (3, 16, 16)
    assert model.clip == 1.0
    with torch.inference_mode():
        guess = model(torch.randn(2, 3, 16, 16), columns(model, 900, 10), [None, None])
    assert guess.x0.isfinite().all()


def test_unet2d_refuses_missing_and_mis_shaped_tensors(tmp_path):
    folder = tmp_path / "pipeline"
    write(str(folder), size=16, channels=[16, 32])
    file = folder / "diffusion_pytorch_model.bin"
    state = torch.load(file, weights_only=True)
    del state["conv_in.bias"]
    torch.save(state, file)
    with pytest.raises(ValueError, match=r"does not fit UNet2DModel: 1 missing \(conv_in\.bias\)"):
        load(str(folder))
    config = json.loads((folder / "config.json").read_text()) | {"block_out_channels": [16, 16]}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(
        ValueError,
        match=r"1 missing .*mis-shaped \(down_blocks\.1\..* is \[.*\] and should be \[.*"
        r"tell \{'block_out_channels': \[16, 32\], 'layers_per_block': 1, "
        r"'in_channels': 3, 'out_channels': 3\}: correct its config\.json",
    ):
        load(str(folder))


class Payload:
    def __reduce__(self):
        return (open, ("canary", "w"))


def test_unet2d_opens_no_pickled_objects(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "pipeline"
    write(str(folder), size=16, channels=[16, 32])
    torch.save({"conv_in.bias": Payload()}, folder / "diffusion_pytorch_model.bin")
    with pytest.raises(ValueError, match=r"take them out once: python scripts/convert_weights\.py"):
        load(str(folder))
    assert not (tmp_path / "canary").exists()


def test_locate_finds_own_files_and_refuses_unknown_names(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    commit = "267b167dc01f0e4e61923ea244e8b988f84deb80"
    assert fingerprint(f"google/ddpm-cifar10-32@{commit}") == f"hub:google/ddpm-cifar10-32@{commit}"
    with pytest.raises(FileNotFoundError, match=r"weights 'nobody/has-this' are neither.*the hub does not give them"):
        locate("nobody/has-this")
    with pytest.raises(FileNotFoundError, match=r"weights 'nobody/has-this\.pt' are neither.*give the path"):
        locate("nobody/has-this.pt")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "a.pt").write_bytes(b"1")
    monkeypatch.setenv("ITS_WEIGHTS", str(tmp_path / "own"))
    assert locate("a.pt") == tmp_path / "own" / "a.pt"
