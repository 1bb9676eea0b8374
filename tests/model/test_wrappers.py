"""State dicts in checkpoints: which of several is read, prefixes, shards, and that the printed conversion works."""

import json
import os
import pathlib
import shlex
import subprocess
import sys
import zipfile
from argparse import Namespace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from its.model.checkpoint import read
from scripts.convert_weights import main

ROOT = Path(__file__).parents[2]
NETWORK = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
RAW = NETWORK.state_dict()
EMA = {name: value + 1 for name, value in RAW.items()}


def prefixed(prefix: str) -> dict:
    return {prefix + name: value for name, value in RAW.items()}


def same(state, expected) -> bool:
    return state.keys() == expected.keys() and all(torch.equal(state[name], expected[name]) for name in state)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"model": RAW, "ema": EMA}, EMA),
        ({"state_dict": RAW, "state_dict_ema": EMA, "epoch": 3}, EMA),
        ({"net": RAW, "ema": EMA, "acc": 91.2}, EMA),
        ({"model": RAW, "model_ema": EMA}, EMA),
        ({"params": RAW, "params_ema": EMA}, EMA),
        ({"model": RAW, "ema": {"decay": 0.99, "shadow": EMA}}, EMA),
        ({"model": RAW, "ema": {**prefixed("online_model."), **{f"ema_model.{k}": v for k, v in EMA.items()}}}, EMA),
        ({"state_dict": {**prefixed("model."), **{f"ema.{k}": v for k, v in EMA.items()}}, "epoch": 3}, EMA),
        ({**prefixed("net."), **{f"ema_net.{k}": v for k, v in EMA.items()}, "step": torch.tensor([3])}, EMA),
        ({"ema.weight": torch.ones(3), "head.weight": torch.ones(2, 3)}, None),
        ({"model": RAW, "args": {"lr": 0.1, "name": "x"}}, RAW),
        ({"model": RAW, "args": Namespace(lr=0.1, widths=[1, 2])}, RAW),
        ({"model": RAW, "optimizer": {"state": {0: {"m": torch.ones(2)}}, "param_groups": []}}, RAW),
        ({"model": RAW, "opt": {"m": torch.ones(2)}}, RAW),
        ({"teacher": RAW, "schema": "x"}, RAW),
        ({**RAW, "epoch": 3, "arch": "x"}, RAW),
        ({"model": RAW, "ema": None, "metrics": {"acc": torch.tensor(0.9)}, "step": torch.tensor(3)}, RAW),
        (prefixed("module."), RAW),
        (prefixed("_orig_mod."), RAW),
        (prefixed("model."), RAW),
        ({"state_dict": prefixed("model._orig_mod.module.")}, RAW),
        ({"n_averaged": torch.tensor(3), **prefixed("module.")}, RAW),
    ],
)
def test_checkpoint_read_takes_the_average_of_several_and_plain_names(tmp_path, content, expected):
    file = tmp_path / "x.pt"
    torch.save(content, file)
    assert same(read(str(file)), content if expected is None else expected)


def test_checkpoint_read_takes_the_named_state_dict_and_says_which(tmp_path, caplog):
    file = tmp_path / "x.pt"
    torch.save({"model": RAW, "ema": EMA}, file)
    caplog.set_level("INFO")
    assert same(read(str(file), "model"), RAW)
    assert same(read(str(file)), EMA)
    assert "weights are 'model' (weights_key; there are also ema)" in caplog.messages[0]
    assert "weights are 'ema' (weights_key; there are also model)" in caplog.messages[1]
    with pytest.raises(
        ValueError, match=r"weights_key is 'emma', and .* has no state dict there; choose one of model, ema"
    ):
        read(str(file), "emma")
    torch.save(RAW, file)
    with pytest.raises(ValueError, match="there is only one, not wrapped: set weights_key=null"):
        read(str(file), "ema")


def test_checkpoint_read_guesses_none_of_several(tmp_path):
    file = tmp_path / "x.pt"
    for content, names in (
        ({"teacher": RAW, "student": RAW}, "teacher, student"),
        ({"ema": {"a": EMA, "b": EMA}, "model": RAW}, "ema.a, ema.b, model"),
    ):
        torch.save(content, file)
        with pytest.raises(ValueError, match=f"holds the state dicts {names}, .* not guessed; set weights_key"):
            read(str(file))
    torch.save({"model": RAW, "ema": {"decay": 0.9, "shadow_params": [torch.ones(2)]}}, file)
    with pytest.raises(ValueError, match=r"under 'ema', in a form that is not read here; .* weights_key=model"):
        read(str(file))
    assert same(read(str(file), "model"), RAW)
    torch.save({"model": {"acc": torch.tensor(3.0)}, "epoch": 3}, file)
    with pytest.raises(ValueError, match=r"holds no tensors by name \(its 'model' is a dict\); save the network's"):
        read(str(file))
    for damaged in (file.read_bytes()[:100], b"<!DOCTYPE html><html>", b"\0\1\2tensorflow"):
        file.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"is damaged, or not torch's .*; fetch it again"):
            read(str(file))
    file.write_bytes(b"")
    with pytest.raises(ValueError, match=r"is damaged, or not torch's .*; fetch it again"):
        read(str(file))


class Pickled:
    """An object that only its own script knows."""


SHARED = torch.arange(12.0).reshape(3, 4)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"model": RAW, "args": Namespace(out=pathlib.PurePosixPath("/x")), "o": Pickled()}, RAW),
        ({"model": RAW, "ema": EMA, "o": {Pickled(), Pickled()}}, EMA),
        ({"net": NETWORK, "epoch": 3}, RAW),
        (NETWORK, RAW),
        ({**RAW, "o": Pickled(), "step": 3}, RAW),
        ({"o": Pickled(), "state_dict": {"a": SHARED, "b": SHARED.t(), "c": SHARED[1:]}}, None),
    ],
    ids=["args", "average", "module", "whole", "flat", "shared"],
)
def test_checkpoint_conversion_that_is_printed_works(tmp_path, content, expected, zipped, monkeypatch):
    file = tmp_path / "a folder" / "it's.pt"
    file.parent.mkdir()
    torch.save(content, file, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ValueError, match=r"holds a pickled .*, and pickled objects are not opened") as refusal:
        read(str(file))
    command = shlex.split(str(refusal.value).split("out of it once: ")[1])
    assert command[:2] == ["python", "scripts/convert_weights.py"]
    monkeypatch.setattr(sys, "argv", command[1:])
    main()
    expected = expected or {"a": SHARED, "b": SHARED.t(), "c": SHARED[1:]}
    assert same(read(str(file.with_suffix(".safetensors"))), expected)


class Payload:
    def __reduce__(self):
        return (open, ("canary", "w"))


def test_convert_weights_is_a_command(tmp_path):
    file = tmp_path / "x.pt"
    torch.save({"model": RAW, "x": Pickled()}, file)
    script, paths = ROOT / "scripts" / "convert_weights.py", os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, script, file], cwd=tmp_path, capture_output=True, text=True, env=paths)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{tmp_path / 'x.safetensors'}: 7 tensors\n"


def test_convert_weights_runs_nothing_and_says_what_is_wrong(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["convert_weights.py", "x.pt", *words])
        try:
            main()
        except SystemExit as end:
            return str(end)
        return ""

    torch.save({"model": RAW, "x": Payload()}, "x.pt")
    assert run() == ""
    assert not Path("canary").exists()
    assert "name another source, or another --target" in run()
    torch.save({"a": RAW, "b": EMA, "x": Payload()}, "x.pt")
    assert "set weights_key" in run("--target", "y.safetensors")
    assert run("--target", "y.safetensors", "--key", "b") == ""
    assert same(load_file("y.safetensors"), EMA)
    with zipfile.ZipFile("x.pt", "w") as archive:
        archive.writestr("x/constants.pkl", b"")
    assert "TorchScript archive, which is code" in run("--target", "z.safetensors")
    Path("x.pt").write_bytes(b"no pickle")
    assert "is no checkpoint that torch saved, or is damaged" in run("--target", "z.safetensors")


def test_checkpoint_read_joins_shards(tmp_path):
    names = list(RAW)
    save_file({name: RAW[name] for name in names[:3]}, tmp_path / "model-00001-of-00002.safetensors")
    save_file({name: RAW[name] for name in names[3:]}, tmp_path / "model-00002-of-00002.safetensors")
    index = tmp_path / "model.safetensors.index.json"
    table = {name: f"model-0000{1 + (k > 2)}-of-00002.safetensors" for k, name in enumerate(names)}
    index.write_text(json.dumps({"metadata": {}, "weight_map": table}))
    assert same(read(str(index)), RAW)
    for name, place in (("absent", "model-00001-of-00002.safetensors"), (names[0], "model-00002-of-00002.safetensors")):
        index.write_text(json.dumps({"weight_map": table | {name: place}}))
        with pytest.raises(ValueError, match=f"disagree on which of them has {name}; fetch all shards again"):
            read(str(index))
    index.write_text(json.dumps({"weight_map": {"x": 3}}))
    with pytest.raises(ValueError, match=r"weight_map of .* is {\"x\": 3}; it says in which file each tensor is"):
        read(str(index))
    other = tmp_path / "pytorch_model.bin.index.json"
    other.write_text(json.dumps({"weight_map": {name: f"{k > 2}.bin" for k, name in enumerate(names)}}))
    torch.save({name: RAW[name] for name in names[:3]}, tmp_path / "False.bin")
    torch.save({name: RAW[name] for name in names[3:]}, tmp_path / "True.bin")
    assert same(read(str(other)), RAW)
    index.write_text(json.dumps({"weight_map": table | {"x": "../y.safetensors"}}))
    with pytest.raises(ValueError, match=r"names the shard '\.\./y\.safetensors', which is not beside it"):
        read(str(index))
