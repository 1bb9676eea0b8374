"""A batch that does not fit the device is named before a search begins, with one that does."""

import math
import re

import numpy as np
import pytest
import torch

from its.engine import Engine
from its.engine.rehearsal import check_batches
from its.engine.shortage import is_shortage
from its.guidance.mpgd import MPGD
from its.guidance.tfg import TFG
from its.levels import Guess
from its.model.mixture import MixtureDenoiser
from its.sampler.ddim import DDIM
from its.sampler.heun import Heun
from its.search.random import Random
from its.verifier.classifier import Classifier

CUDA = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
CPU = RuntimeError(
    "[enforce fail at alloc_cpu.cpp:118] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"
)
CUBLAS = RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")
NUMPY = np._core._exceptions._ArrayMemoryError((2**40,), np.dtype(np.int64))


class Device:
    """Parts of an engine on a device with room for so many rows in a batch of each kind, and the batches they saw."""

    def __init__(self, lab, error: Exception = CUDA, **room: int) -> None:
        self.seen: dict[str, list[int]] = {"network": [], "gradient": [], "decoder": [], "verifier": []}
        self._lab, self._room, self._error = lab, room, error

    def take(self, kind: str, rows: int) -> None:
        self.seen[kind].append(rows)
        if rows > self._room.get(kind, 10**6):
            raise self._error

    def engine(self, *, sampler=DDIM(steps=4, eta=1.0), scale: float = 1.0, **options) -> Engine:  # noqa: B008
        device, guided = self, "guidance" in options

        class Network(MixtureDenoiser):
            def network(self, x, coefficients, label):
                device.take("gradient" if torch.is_grad_enabled() else "network", len(x))
                return super().network(x, coefficients, label)

        class Decoder:
            shape = self._lab.data.shape

            def __call__(self, latents):
                device.take("decoder", len(latents))
                return latents.clone()

        class Scores(Classifier):
            def reward(self, images, conditions):
                device.take("verifier", len(images))
                return super().reward(images, conditions)

        model = Network(self._lab.data, conditional=scale != 1.0, guidance_scale=scale)
        model.decoder = None if guided else Decoder()
        scores = Scores(self._lab.data.logits)
        return Engine(model, sampler, {"select": scores, "guide": scores}, seed=0, **options)


@pytest.mark.parametrize("sampler", [DDIM(steps=4, eta=1.0), DDIM(steps=1), Heun(steps=4, spacing="linspace")])
def test_check_batches_serves_one_whole_batch_of_each_kind(lab, sampler):
    device = Device(lab)
    check_batches(device.engine(sampler=sampler, batch=12, decode_batch=5, verify_batch=3), 1)
    assert set(device.seen["network"]) == {12}
    assert len(device.seen["network"]) <= 2, "two stages of Heun's step"
    assert (device.seen["decoder"], device.seen["verifier"]) == ([5], [3])


def test_check_batches_counts_the_network_rows_of_classifier_free_guidance(lab):
    device = Device(lab, network=8)
    with pytest.raises(ValueError, match=r"batch=12 does not fit .*; batch=6 does"):
        check_batches(device.engine(scale=2.0, batch=12), 1)
    assert device.seen["network"] == [12, 6]


@pytest.mark.parametrize("error", [CUDA, CPU, CUBLAS, NUMPY, MemoryError()], ids=lambda error: type(error).__name__)
def test_check_batches_names_what_does_not_fit_and_what_does(lab, error):
    device = Device(lab, error, network=40, decoder=3, verifier=1)
    reason = re.escape(" ".join(str(error).split()) or "MemoryError")
    with pytest.raises(ValueError, match=rf"batch=128 does not fit in the memory of cpu \({reason}\); ") as told:
        check_batches(device.engine(batch=128, decode_batch=8, verify_batch=1), 1)
    assert str(told.value).endswith("; batch=32 decode_batch=2 do")
    check_batches(device.engine(batch=32, decode_batch=2, verify_batch=1), 1)


@pytest.mark.parametrize("guidance", [TFG(rho=0.02, mu=0.01, sigma=0.1), MPGD(strength=0.01)], ids=lambda g: g.needs)
def test_check_batches_names_the_batch_with_gradients(lab, guidance):
    room = {"gradient": 7} if guidance.needs == "network" else {"verifier": 7}
    device = Device(lab, **room)
    engine = device.engine(guidance=guidance, batch=16, gradient_batch=16, verify_batch=4)
    with pytest.raises(ValueError, match=r"^gradient_batch=16 does not fit .*; gradient_batch=4 does$"):
        check_batches(engine, 1)
    assert engine.gradient_batch == 16


def test_check_batches_says_that_no_batch_fits(lab):
    with pytest.raises(ValueError, match=r"verify_batch=6 does not fit .* no smaller one does; take a smaller network"):
        check_batches(Device(lab, verifier=0).engine(batch=6), 1)
    with pytest.raises(ValueError, match=r"batch=6 does not fit .* no smaller one does; take a smaller network"):
        check_batches(Device(lab, network=1).engine(batch=6, scale=2.0), 1)


def test_check_batches_passes_on_an_error_that_is_no_want_of_memory(lab):
    error = RuntimeError("the queue of jobs is out of memory of what it did")
    with pytest.raises(RuntimeError, match="the queue of jobs") as told:
        check_batches(Device(lab, error, decoder=1).engine(batch=6), 1)
    assert told.value is error


def test_check_batches_changes_no_result(lab):
    device = Device(lab)
    engine = device.engine(batch=6, rows=4)
    before = dict(vars(engine))
    check_batches(engine, 1)
    assert vars(engine) == before
    engine.rows = 64
    bits = lab.bits(engine, Random(), (8,), range(3))
    assert bits == lab.bits(Device(lab).engine(batch=6), Random(), (8,), range(3))


def test_check_batches_reads_no_number(lab, caplog):
    """Images of a rehearsal are none that a run makes: what a network or verifier gives for them is not told."""
    device = Device(lab)
    engine = device.engine(batch=6)
    engine.model.network = lambda x, coefficients, label: Guess(x * math.nan, x * math.nan)
    engine.verifiers["select"].network = lambda images: images.flatten(1) * math.nan
    check_batches(engine, 1)
    assert device.seen["verifier"] == [6]
    assert not caplog.records


def test_stream_names_the_batch_that_fits_no_more(lab):
    """In the middle of a run, as where another process takes the memory."""
    device = Device(lab)
    engine = device.engine(batch=4, decode_batch=2)
    stream = engine.run(Random(), (40,), lab.problems(range(9)))
    next(stream)
    device._room["decoder"] = 1
    with pytest.raises(ValueError, match=r"^decode: a batch does not fit .* \(CUDA out of .*\); lower decode_batch"):
        list(stream)


def test_is_shortage_knows_torchs_own_error_on_this_machine():
    with pytest.raises(RuntimeError) as wanting:
        torch.empty(2**50)
    assert is_shortage(wanting.value)
    with pytest.raises(RuntimeError) as misfit:
        torch.zeros(2) @ torch.zeros(3)
    assert not is_shortage(misfit.value)
