"""A result depends on its problem alone: not on batch, order, companions or the order of work."""

import random

import pytest

from its.engine.queue import Queue
from its.engine.stream import Stream
from its.sampler.ddim import DDIM
from its.search.random import Random

CAPS = (25, 57)
PROBLEMS = range(5)


def test_engine_results_are_independent_of_batch_order_and_companions(lab, search, setting):
    def bits(indices, batch=32, **sizes):
        engine = lab.engine(setting.sampler, setting.model(lab), batch=batch, rows=1024, **sizes)
        return lab.bits(engine, search, CAPS, indices)

    expected = bits(PROBLEMS)
    assert set(expected) == set(PROBLEMS)
    assert bits(PROBLEMS) == expected
    assert bits(PROBLEMS, batch=setting.model(lab).slots, decode_batch=3, verify_batch=5) == expected
    assert bits(PROBLEMS, batch=7, decode_batch=2, verify_batch=1) == expected
    assert bits(reversed(PROBLEMS)) == expected
    assert bits([3]) == {3: expected[3]}


def test_stream_results_are_independent_of_the_order_of_work(lab, search, setting, monkeypatch):
    def engine(**options):
        return lab.engine(setting.sampler, setting.model(lab), batch=6, **options)

    expected = lab.bits(engine(), search, CAPS, PROBLEMS)
    shuffled = random.Random(3)
    build = Stream.__init__

    def build_reversed(stream, *parts):
        build(stream, *parts)
        stream._queues = dict(reversed(stream._queues.items()))

    monkeypatch.setattr(Stream, "__init__", build_reversed)
    add = Queue.add
    monkeypatch.setattr(Queue, "add", lambda queue, order, item: add(queue, shuffled.random(), item))
    assert lab.bits(engine(rows=160), search, CAPS, PROBLEMS) == expected
    assert lab.bits(engine(), search, CAPS, PROBLEMS) == expected


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_engine_makes_another_image_for_every_seed_and_problem(lab, eta):
    sampler = DDIM(steps=5, eta=eta)
    runs = [lab.bits(lab.engine(sampler, seed=seed), Random(block=2), (10,), range(4)) for seed in (0, 1)]
    images = [outcome[0] for run in runs for outcomes in run.values() for outcome in outcomes]
    assert len(set(images)) == len(images)
