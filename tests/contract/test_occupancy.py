"""Batches are full, and no tensor row outlives its last handle."""

import gc
import math

import pytest

from its.budget import Ledger
from its.engine.stream import Stream
from its.particles.image import Image
from its.particles.verbs import advance, reward
from its.sampler.ddim import DDIM
from its.search.random import Random
from its.search.search import ROWS_PER_PARTICLE
from its.search.zero_order import ZeroOrder
from its.types import Problem

BATCH = 8
CAP = 57


def ragged(image):
    """A population of random size that is pruned at random, scored on the way."""
    particles = image.start(2 + image.random.choice(5, 1)[0])
    for level in (image.grid[2], image.grid[5], image.grid[8]):
        particles = yield advance(particles, to=level)
        rewards = yield reward(particles)
        keep = 1 + image.random.choice(len(rewards), 1)[0]
        particles = [particles[k] for k in sorted(range(len(rewards)), key=lambda k: -rewards[k])[:keep]]
    images = yield advance(particles)
    yield reward(images)


def retrying(image):
    """Down, and back up as often as a coin says."""
    [particle] = yield advance(image.start(), to=image.grid[5])
    while image.random.uniform(1)[0] < 0.6:
        yield reward([particle])
        [up] = image.renoise([particle], image.grid[3])
        [particle] = yield advance([up], to=image.grid[5])
    [done] = yield advance([particle])
    yield reward([done])
    return done


def watch(monkeypatch) -> None:
    """No full batch of any kind may wait while a padded one runs, or while a new image is admitted."""
    serve, admit = Stream._serve, Stream._admit

    def watched(stream, queue):
        if len(queue) < queue.size:
            assert all(len(other) < other.size for other in stream._queues.values())
        serve(stream, queue)

    def admitted(stream):
        assert all(len(queue) < queue.size for queue in stream._queues.values())
        return admit(stream)

    monkeypatch.setattr(Stream, "_serve", watched)
    monkeypatch.setattr(Stream, "_admit", admitted)


@pytest.mark.parametrize(("body", "particles"), [(ragged, 6), (retrying, 1)], ids=["ragged", "retrying"])
def test_planned_searches_fill_the_batch(lab, body, particles, monkeypatch):
    watch(monkeypatch)
    engine = lab.engine(DDIM(steps=10, eta=1.0), batch=BATCH)
    search = lab.script(body, peak_rows=particles * ROWS_PER_PARTICLE)
    lab.results(engine, search, (math.inf,), range(20 * BATCH))
    filled, capacity = engine.served["evaluate"]
    assert filled / capacity >= 0.9


@pytest.mark.parametrize("search", [ZeroOrder(neighbors=3), Random(block=1)], ids=lambda search: type(search).__name__)
def test_anytime_searches_fill_the_batch(lab, search, monkeypatch):
    watch(monkeypatch)
    engine = lab.engine(DDIM(steps=10, eta=1.0), batch=BATCH)
    lab.results(engine, search, (25, CAP), range(20 * BATCH))
    filled, capacity = engine.served["evaluate"]
    assert filled / capacity >= 0.9


def planned(search, engine, cap):
    """The search as it runs at a cap, which is what declares its rows."""
    if search.anytime:
        return search
    return search.plan(cap, Image(Problem(0), 0, engine.prices, Ledger(cap), anytime=False, shape=engine.model.shape))


def test_little_memory_changes_nothing(lab, search, setting, every_setting):
    engine = lab.engine(setting.sampler, setting.model(lab), batch=4, rows=4096)
    expected = lab.bits(engine, search, (CAP,), range(6))
    engine.rows = planned(search, engine, CAP).peak_rows + 1
    assert lab.bits(engine, search, (CAP,), range(6)) == expected


def test_rows_are_freed(lab, search, setting, every_setting):
    """The last handles go with the image, and without the help of the garbage collector."""
    engine = lab.engine(setting.sampler, setting.model(lab), batch=4)
    gc.collect()
    gc.disable()
    try:
        stream = engine.stream(search, (25, CAP), lab.problems(range(6)))
        ended = sum(1 for _ in stream.run())
        assert stream.held == 0
    finally:
        gc.enable()
    assert ended == 6 * (1 if search.anytime else 2)


def test_handles_that_were_never_evaluated_hold_nothing(lab):
    def body(image):
        [start] = image.start()
        yield reward((yield advance([start])))
        middle = yield advance([start], to=image.grid[3])
        yield advance(image.renoise(middle, image.grid[1]) + image.start(20))

    gc.collect()
    gc.disable()
    try:
        stream = lab.engine(DDIM(steps=10)).stream(lab.script(body, anytime=False), (30,), lab.problems(range(3)))
        assert sum(1 for _ in stream.run()) == 3
        assert stream.held == 0
    finally:
        gc.enable()


def hoarding(image):
    particles, kept = image.start(4), []
    for level in image.grid[1:]:
        particles = yield advance(particles, to=level)
        kept.append(particles)
    yield reward(particles)
    return particles[0]


def test_a_search_that_keeps_every_node_is_told_so(lab):
    engine = lab.engine(DDIM(steps=20), batch=4, rows=65)
    with pytest.raises(RuntimeError, match=r"Script holds \d+ tensor rows for one image, and the limit is 65"):
        lab.results(engine, lab.script(hoarding), (math.inf,), range(3))
