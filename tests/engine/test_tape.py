"""A run's noise goes onto a tape and comes back from it, for every search."""

import math
import re
from pathlib import Path

import pytest
import torch

from its.engine.noise import normal
from its.engine.tape import Tape
from its.particles.keys import Verb, fold
from its.sampler.ddim import DDIM
from its.search.random import Random
from its.search.zero_order import ZeroOrder
from tests.contract.conftest import SEARCHES

ROOT = Path(__file__).parents[2]
SAMPLER = DDIM(steps=6, eta=1.0)
INDICES = (2,)


def taped(lab, tape, search, cap=17.0, seed=0, batch=32, sampler=SAMPLER):
    engine = lab.engine(sampler, seed=seed, batch=batch, noise=tape.noise)
    return lab.as_bits(lab.results(engine, tape.on(search, engine.prices), (cap,), INDICES))


@pytest.mark.parametrize("name", SEARCHES)
def test_tape_replays_a_run_to_the_bit_under_another_seed(lab, tmp_path, name):
    search, tape = SEARCHES[name], Tape()
    recorded = taped(lab, tape, search)
    assert recorded == lab.as_bits(lab.results(lab.engine(SAMPLER), search, (17.0,), INDICES))
    tape.save(tmp_path / "noise.safetensors")
    played = Tape.load(tmp_path / "noise.safetensors")
    assert taped(lab, played, search, seed=5, batch=8) == recorded
    assert {problem: list(draws) for problem, draws in played.draws.items()} == {
        problem: list(draws) for problem, draws in tape.draws.items()
    }


def test_tape_names_draws_in_the_order_they_are_asked_for(lab):
    tape = Tape()
    taped(lab, tape, Random(candidates=2), math.inf)
    times = [f"step {level.time:g}" for level in SAMPLER.grid(lab.denoiser().path)[:5]]
    assert list(tape.draws[2]) == [f"{place:06d} {what}" for place, what in enumerate(["start", *times] * 2)]
    path = fold(0, Verb.START, 1)
    for name, at in (
        ("000006 start", path),
        ("000007 step 999", fold(path, Verb.STEP, SAMPLER.grid(lab.denoiser().path)[0].key, 0)),
    ):
        assert torch.equal(tape.draws[2][name], normal(0, [2], [at], (1, 4, 4))[0])


def test_tape_omits_draws_that_the_cap_does_not_pay_for(lab):
    tape = Tape()
    taped(lab, tape, Random(block=8), 17.0)
    assert [name.split()[1] for name in tape.draws[2]].count("start") == 2


def test_tape_serves_a_whole_run_from_given_draws(lab):
    draws = {f"{k:06d} {what}": torch.full((1, 4, 4), float(k)) for k, what in enumerate(["start", "move", "move"])}
    tape = Tape({2: draws})
    engine = lab.engine(DDIM(steps=6, eta=0.0), noise=tape.noise)
    lab.results(engine, tape.on(ZeroOrder(neighbors=2), engine.prices), (18.0,), INDICES)
    assert all(torch.equal(tape.draws[2][name], draws[name]) for name in draws)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["000000 start", "000001 move"], "asks the tape for '000001 step 999', and it has '000001 move' there"),
        (["000000 start"], "asks the tape for '000001 step 999', and it has 'nothing' there"),
    ],
)
def test_tape_refuses_another_method(lab, names, message):
    tape = Tape({index: {name: torch.zeros(1, 4, 4) for name in names} for index in INDICES})
    with pytest.raises(ValueError, match=message):
        taped(lab, tape, Random(candidates=1), math.inf)


def test_tape_holds_one_run_and_is_not_overwritten(lab, tmp_path):
    tape = Tape()
    taped(lab, tape, Random())
    tape.save(tmp_path / "noise.safetensors")
    with pytest.raises(FileExistsError):
        tape.save(tmp_path / "noise.safetensors")
    with pytest.raises(ValueError, match="image 2 is on this tape already"):
        taped(lab, tape, Random())


def test_replay_docs_code_blocks_run_as_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "replay.md").read_text(), re.DOTALL)
    assert len(blocks) == 3
    scope: dict = {}
    for block in blocks:
        exec(block, scope)
