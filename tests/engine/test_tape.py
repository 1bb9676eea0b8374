"""A run's noise goes onto a tape and comes back from it, for every search, guided or not."""

import math
import re
from collections import Counter
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from its.budget import OutOfBudget
from its.engine import Engine
from its.engine.noise import normal
from its.engine.tape import Tape
from its.guidance.lgd import LGD
from its.guidance.none import NoGuidance
from its.guidance.tfg import TFG
from its.levels import Guess
from its.model.mixture import MixtureDenoiser
from its.particles.keys import Verb, fold
from its.particles.moves import Rotate
from its.particles.verbs import advance
from its.sampler.ddim import DDIM
from its.search.none import NoSearch
from its.search.random import Random
from its.search.zero_order import ZeroOrder
from tests.contract.conftest import SEARCHES, goes_with

ROOT = Path(__file__).parents[2]
SAMPLER = DDIM(steps=6, eta=1.0)
SHORT = DDIM(steps=4, eta=1.0)
INDICES = (2,)
GUIDANCES = {
    "none": NoGuidance(),
    "tfg": TFG(rho=0.05, mu=0.05, sigma=0.3, samples=3, iterations=2, recurrence=2),
    "lgd": LGD(strength=0.1, samples=3),
}


class Pull:
    """A score whose gradient is nowhere flat, so that every draw tells."""

    absolute = True

    def reward(self, images, conditions):
        return -((images - 0.3) ** 2 + 0.1 * images**3).flatten(1).sum(1)


FAULTS = {
    "missing": (lambda draws, name: draws.pop(name), "asks the tape for '{name}', and it has 'nothing' there"),
    "shape": (
        lambda draws, name: draws.update({name: torch.zeros(1, 4, 5)}),
        r"'{name}' of the tape is float32 \[1, 4, 5\], and the run takes float32 \[1, 4, 4\]",
    ),
    "shape that would broadcast": (
        lambda draws, name: draws.update({name: torch.zeros(1, 1, 1)}),
        r"'{name}' of the tape is float32 \[1, 1, 1\], and the run takes float32 \[1, 4, 4\]",
    ),
    "dtype": (
        lambda draws, name: draws.update({name: draws[name].double()}),
        r"'{name}' of the tape is float64 \[1, 4, 4\], and the run takes float32 \[1, 4, 4\]",
    ),
    "nan": (
        lambda draws, name: draws.update({name: draws[name] * torch.nan}),
        "'{name}' of the tape holds a number that is not finite",
    ),
}
"""What is done to a draw of a tape, and what a run says of it."""


def engine_of(lab, guidance, sampler=SAMPLER, **options):
    verifiers = {"select": Pull(), "guide": Pull()}
    return Engine(lab.denoiser(), sampler, verifiers, guidance=guidance, rows=4096, **options)


def taped(lab, tape, search, cap=17.0, guidance=None, seed=0, batch=32, sampler=SAMPLER, indices=INDICES):
    engine = engine_of(lab, guidance or NoGuidance(), sampler, seed=seed, batch=batch, noise=tape)
    return lab.as_bits(lab.results(engine, search, (cap,), indices))


def purposes(draws):
    return [name.split()[1] for name in draws]


@pytest.mark.parametrize(
    ("name", "guidance"),
    [
        pytest.param(
            name, guidance, id=f"{name}-{key}", marks=[pytest.mark.long] if "-" in name and key != "none" else []
        )
        for name in SEARCHES
        for key, guidance in GUIDANCES.items()
        if goes_with(name, guidance)
    ],
)
def test_tape_replays_a_run_to_the_bit_under_another_seed(lab, tmp_path, name, guidance):
    def run(tape, **options):
        return taped(lab, tape, SEARCHES[name], 11.0 * guidance.rounds, guidance, sampler=SHORT, **options)

    tape = Tape()
    recorded = run(tape)
    assert recorded == run(normal)
    tape.save(tmp_path / "noise.safetensors")
    played = Tape.load(tmp_path / "noise.safetensors")
    assert run(played, seed=5, batch=8) == recorded
    assert list(played.draws[2]) == list(tape.draws[2])

    # With other draws of one kind, too little apart to change what the search asks for, it is another image.
    for purpose in {"monte_carlo", "recurrence"} & set(purposes(tape.draws[2])):
        draws = {key: 1e-5 + z if key.split()[1] == purpose else z for key, z in tape.draws[2].items()}
        assert run(Tape({2: draws})) != recorded, purpose


@pytest.mark.parametrize("guidance", list(GUIDANCES.values())[1:], ids=list(GUIDANCES)[1:])
def test_tape_changes_the_image_with_any_one_draw(lab, guidance):
    def run(tape):
        return taped(lab, tape, NoSearch(), math.inf, guidance, sampler=SHORT)

    tape = Tape()
    recorded, rounds = run(tape), guidance.rounds
    expected = {"start": 1, "monte_carlo": 4 * rounds * 3, "step": 3 * rounds, "recurrence": 4 * (rounds - 1)}
    assert Counter(purposes(tape.draws[2])) == Counter(expected)
    for name, z in tape.draws[2].items():
        assert run(Tape({2: {**tape.draws[2], name: z + 0.1}})) != recorded, name


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("purpose", ["start", "step", "monte_carlo", "recurrence"])
def test_tape_names_a_draw_that_does_not_fit(lab, purpose, fault):
    tape = Tape()
    taped(lab, tape, NoSearch(), math.inf, GUIDANCES["tfg"])
    draws = dict(tape.draws[2])
    name = next(name for name in draws if name.split()[1] == purpose)
    change, message = FAULTS[fault]
    change(draws, name)
    with pytest.raises(ValueError, match=message.format(name=re.escape(name))):
        taped(lab, Tape({2: draws}), NoSearch(), math.inf, GUIDANCES["tfg"])


def test_tape_names_what_was_left_unread(lab):
    tape = Tape()
    taped(lab, tape, NoSearch(), indices=(2, 3))
    draws = tape.draws
    z = draws[2]["000000 start"]
    longer = {2: {**draws[2], **{f"{6 + k:06d} start": z for k in range(6)}}, 3: draws[3], 7: draws[3]}
    message = (
        "the run is over and has not read all of its tape: image 2 left '000006 start', '000007 start', "
        "'000008 start', '000009 start' and 2 more; image 7 was not run"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        taped(lab, Tape(longer), NoSearch(), indices=(2, 3))


def test_tape_serves_results_before_it_says_what_is_unread(lab):
    tape = Tape()
    taped(lab, tape, NoSearch(), indices=(2, 3))
    engine = lab.engine(SAMPLER, noise=Tape(tape.draws))
    results = engine.run(NoSearch(), (17.0,), lab.problems([2]))
    assert next(results).problem.index == 2
    with pytest.raises(ValueError, match="image 3 was not run"):
        next(results)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (torch.full((5,), 1.0, dtype=torch.float64), "'000000 uniform' of the tape lies outside [0, 1)"),
        (
            torch.rand(4, dtype=torch.float64),
            "'000000 uniform' of the tape is float64 [4], and the run takes float64 [5]",
        ),
        (torch.rand(5), "'000000 uniform' of the tape is float32 [5], and the run takes float64 [5]"),
    ],
)
def test_tape_refuses_random_numbers_that_do_not_fit(lab, values, message):
    def body(image):
        image.random.uniform(5)
        particles = yield advance(image.start())
        return particles[0]

    with pytest.raises(ValueError, match=re.escape(message)):
        taped(lab, Tape({2: {"000000 uniform": values}}), lab.script(body))


def test_tape_refuses_a_permutation_that_is_none(lab):
    def body(image):
        image.random.permutation(3)
        particles = yield advance(image.start())
        return particles[0]

    with pytest.raises(ValueError, match="'000000 permutation' of the tape does not order 0 to 2"):
        taped(lab, Tape({2: {"000000 permutation": torch.tensor([0, 1, 1])}}), lab.script(body))


@pytest.mark.parametrize(
    "name", ["000000 start", "2/start", "two/000000 start", "02/000000 start", "2/0 start", "2/000000 "]
)
def test_tape_load_refuses_a_name_that_is_none(tmp_path, name):
    save_file({name: torch.zeros(1)}, tmp_path / "noise.safetensors")
    with pytest.raises(ValueError, match=f"noise.safetensors: a draw is named '{re.escape(name)}'"):
        Tape.load(tmp_path / "noise.safetensors")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 an archive", b"\x80pickle" * 9])
def test_tape_load_refuses_a_file_that_is_no_tape(tmp_path, content):
    (tmp_path / "noise.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"noise.npz is no tape, or is cut short \(SafetensorError"):
        Tape.load(tmp_path / "noise.npz")


def test_tape_plays_arrays_of_numpy(lab):
    tape = Tape()
    recorded = taped(lab, tape, NoSearch())
    arrays = {problem: {name: draw.numpy() for name, draw in draws.items()} for problem, draws in tape.draws.items()}
    assert taped(lab, Tape(arrays), NoSearch(), seed=1) == recorded


def test_tape_holds_what_a_search_asks_for_again_after_it_could_not_pay(lab):
    def body(image):
        starts = image.move(image.start()[0], Rotate(0.9), 5)
        try:
            particles = yield advance(starts)
        except OutOfBudget:
            particles = yield advance(starts[3:])
        return particles[1]

    tape = Tape()
    recorded = taped(lab, tape, lab.script(body), 12.0)
    steps = ["step"] * 5
    assert purposes(tape.draws[2]) == ["start", "move", *steps, "move"], "moves share their steps' noise"
    assert taped(lab, Tape(tape.draws), lab.script(body), 12.0, seed=1) == recorded


def test_tape_plays_a_run_in_which_an_image_failed(lab):
    class Sick(MixtureDenoiser):
        def __call__(self, x, levels, conditions):
            guess = super().__call__(x, levels, conditions)
            ill = torch.tensor(conditions) == lab.data.condition(2)
            sick = (levels.sigma < 0.9) & ill.reshape(-1, 1, 1, 1)
            return Guess(guess.x0.masked_fill(sick, torch.nan), guess.eps)

    def failures(tape):
        engine = lab.engine(SAMPLER, Sick(lab.data), noise=tape)
        return {
            index: result.failure for index, result in lab.results(engine, Random(block=2), (17.0,), (2, 3)).items()
        }

    tape = Tape()
    recorded = failures(tape)
    assert recorded[2]
    assert not recorded[3]
    assert failures(Tape(tape.draws)) == recorded


def test_children_of_one_particle_share_its_monte_carlo_draws(lab):
    """As docs/replay.md says of bfs_resample and dfs: one evaluation, one guidance, one set of draws."""

    def body(image):
        particles = yield advance(image.start(), to=image.grid[2])
        copies = yield advance(particles * 3, to=image.grid[4])
        images = yield advance(copies)
        return images[0]

    tape = Tape()
    taped(lab, tape, lab.script(body), math.inf, GUIDANCES["lgd"])
    times = [f"{level.time:g}" for level in SAMPLER.grid(lab.denoiser().path)]
    counts = Counter(name.split(" ", 1)[1] for name in tape.draws[2])
    assert counts[f"monte_carlo {times[2]}"] == 3, "shared"
    assert counts[f"step {times[2]}"] == 3
    assert counts[f"monte_carlo {times[3]}"] == 9, "apart"


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
    engine = lab.engine(DDIM(steps=6, eta=0.0), noise=tape)
    lab.results(engine, ZeroOrder(neighbors=2), (18.0,), INDICES)
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
