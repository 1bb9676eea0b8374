"""A network alone in full batches, and the best rate that a machine remembers of it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from its.engine.bare import BareNetwork
from its.model.unet2d import load

ROOT = Path(__file__).parents[2]


def test_bare_network_fills_its_batch_with_network_rows_and_counts_them(monkeypatch):
    model, seen = load("digits/generator", conditional=True, guidance_scale=2.0), []
    model.network.unet.register_forward_pre_hook(lambda module, inputs: seen.append(len(inputs[0])))
    bare = BareNetwork(model, 9, model.path.noisiest, [1, 2])
    ticks = iter([0.0, 1.0, 3.0, 4.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(ticks))
    assert bare.rows_per_second(2.0) == pytest.approx(2 * 8 / 4.0)
    assert seen == [8, 8], "two network rows for each of four"
    assert not bare().x0.requires_grad
    assert bare().x0.shape == torch.Size([4, 1, 8, 8])


def test_benchmark_counts_a_network_once_that_a_backward_pass_evaluates_again(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import benchmark

    now = [0.0]

    def takes(seconds, call=lambda: None):
        def work():
            now[0] += seconds
            call()

        return work

    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    clock = benchmark.Clock(torch.device("cpu"))
    network = clock.wrap("denoiser", takes(2.0))
    backward = clock.wrap("backward", takes(3.0, network))
    network(), backward(), backward()
    assert clock.seconds == {"denoiser": 6.0, "backward": 6.0}


@pytest.mark.long
def test_benchmark_network_keeps_the_best_rate_and_benchmark_compares_with_it(tmp_path):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}

    def run(script: str, *words: str) -> str:
        words = (sys.executable, str(ROOT / "scripts" / script), *words, f"out_dir={tmp_path}")
        return subprocess.run(words, env=environment, check=True, capture_output=True, text=True, timeout=500).stdout

    quick = ("--networks", "digits_unconditional", "--rounds", "1", "--seconds", "0.01", "--batches", "4", "--eager")
    lines = run("benchmark_network.py", *quick).splitlines()
    assert len([line for line in lines if line.startswith("digits_unconditional batch 4")]) == 4
    assert all(line.endswith("the same bits") for line in lines if " contiguous " in line or " channels-last " in line)
    rates = json.loads((tmp_path / "network_rates.json").read_text())
    assert set(rates) == {f"digits_unconditional cpu 1 threads {dtype}" for dtype in ("float32", "bfloat16")}

    key = "digits_unconditional cpu 1 threads float32"
    (tmp_path / "network_rates.json").write_text(json.dumps({key: {"rows_per_second": 1e9}}))
    words = ("--images", "60", "--searches", "none", "batch=16", "sampler.steps=2", "budget.samplings=[1]")
    ratio = re.search(r"product \S+  of best (\S+)", run("benchmark.py", *words))
    assert ratio is not None
    assert 0 < float(ratio[1]) < 1e-4
