"""Construction, and what a stream does at its edges."""

import gc
import math

import pytest
import torch

from its.engine import Engine
from its.engine.evaluate import Evaluate
from its.model.mixture import MixtureDenoiser
from its.particles.moves import Rotate
from its.particles.verbs import advance, reward
from its.sampler.ddim import DDIM
from its.search.bfs_resample import BFSResample
from its.search.none import NoSearch
from its.search.random import Random


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "lies in"),
        ({"seed": 2**32}, "lies in"),
        ({"seed": 0, "batch": 1}, "set batch to at least 2"),
        ({"seed": 0, "gradient_batch": 1}, "set gradient_batch to at least 2"),
    ],
)
def test_engine_refuses_a_bad_seed_or_batch(lab, options, message):
    with pytest.raises(ValueError, match=message):
        Engine(lab.denoiser(scale=2.0), DDIM(steps=5, eta=0.0), {}, **options)


def test_engine_gives_no_results_for_no_problems(lab):
    assert lab.results(lab.engine(DDIM(steps=5, eta=0.0)), NoSearch(), (5,), []) == {}


@pytest.mark.parametrize("read", [1, 3])
def test_engine_restores_the_garbage_collector(lab, read):
    """The same whether a run is read to its end or not."""
    before = gc.get_threshold()
    stream = lab.engine(DDIM(steps=5, eta=0.0)).run(NoSearch(), (5,), lab.problems(range(3)))
    next(stream)
    assert gc.get_threshold() != before
    assert gc.get_freeze_count() > 0
    for _ in range(read - 1):
        next(stream)
    stream.close()
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


def test_engine_reads_problems_only_as_they_are_needed(lab):
    """A stream of millions is never listed; results come while later problems wait."""
    indices = []

    def problems():
        for problem in lab.problems(range(1000)):
            indices.append(problem.index)
            yield problem

    stream = lab.engine(DDIM(steps=5, eta=0.0), batch=4).run(Random(candidates=2), (math.inf,), problems())
    first = [next(stream).problem.index for _ in range(20)]
    assert len(indices) < 200
    assert sorted(first) == list(range(20)), "oldest first"


def test_engine_evaluates_a_moved_point_beside_its_parent(lab):
    def body(image):
        [start] = image.start()
        moved = image.move(start, Rotate(0.9), 2)
        further = image.move(moved[1], Rotate(0.9))
        together = yield reward([start, *further, *moved])
        assert len(set(together)) == 4
        images = yield advance([start])
        return images[0]

    lab.play(body)


def test_stream_reports_images_that_wait_for_work_not_queued(lab, monkeypatch):
    """A lost row is told, and does not end the run as if it were complete."""
    monkeypatch.setattr(Evaluate, "add", lambda queue, order, item: None)
    with pytest.raises(RuntimeError, match="2 images of NoSearch wait for work that is not queued"):
        lab.results(lab.engine(DDIM(steps=5, eta=0.0)), NoSearch(), (5,), range(2))


def test_engine_passes_on_an_error_raised_in_a_search(lab):
    def body(image):
        yield advance(image.start())
        raise ZeroDivisionError("in the method")

    with pytest.raises(ValueError, match="raised ZeroDivisionError: in the method") as told:
        lab.play(body)
    assert isinstance(told.value.__cause__, ZeroDivisionError)


def test_out_of_budget_may_be_caught_by_a_planned_search(lab):
    from its.budget import OutOfBudget

    def body(image):
        [first] = yield advance(image.start())
        yield reward([first])
        try:
            yield advance(image.start(5))
        except OutOfBudget:
            assert image.left == 4
            [second] = yield advance(image.renoise([first], image.grid[6]))
            yield reward([second])
            return second

    [outcome] = lab.results(lab.engine(DDIM(steps=10, eta=0.0)), lab.script(body), (14,), [0])[0].outcomes
    assert outcome.ledger["nfe"] == 14


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is here")
@pytest.mark.parametrize("search", [Random(), BFSResample(), NoSearch()], ids=lambda search: type(search).__name__)
def test_engine_on_a_gpu_makes_what_the_cpu_does(lab, search):
    """The same draws, choices and ledgers; float64 of two devices differs in last bits alone."""
    ours, theirs = (
        lab.results(
            lab.engine(DDIM(steps=10, eta=1.0), MixtureDenoiser(lab.data, device=device)), search, (20, 60), range(8)
        )
        for device in ("cuda", "cpu")
    )
    for index in range(8):
        for our, their in zip(ours[index].outcomes, theirs[index].outcomes, strict=True):
            assert our.ledger == their.ledger
            assert our.reward == pytest.approx(their.reward, rel=1e-6)
            assert abs(our.image.astype(int) - their.image).max() <= 1


def test_engine_leaves_tf32_to_who_asks_for_it():
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32
    assert not torch.backends.cudnn.benchmark
