"""Batches are full, and no tensor row outlives its last handle."""

import gc
import math

import pytest

from its.engine.stream import Stream
from its.particles.verbs import advance, reward
from its.sampler.ddim import DDIM
from its.search.random import Random
from its.search.zero_order import ZeroOrder

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
    images = yield advance([particle])
    yield reward(images)
    return images[0]


def watch(monkeypatch) -> None:
    """No full batch of any kind may wait while a padded one runs, or while a new image is admitted."""
    serve, admit = Stream._serve, Stream._admit

    def watched(stream, queue):
        if queue.load < 1:
            assert all(other.load < 1 for other in stream._queues.values())
        serve(stream, queue)

    def admitted(stream):
        assert all(queue.load < 1 for queue in stream._queues.values())
        return admit(stream)

    monkeypatch.setattr(Stream, "_serve", watched)
    monkeypatch.setattr(Stream, "_admit", admitted)


@pytest.mark.parametrize("body", [ragged, retrying], ids=lambda body: body.__name__)
def test_stream_fills_the_batches_of_planned_searches(lab, body, monkeypatch):
    watch(monkeypatch)
    engine = lab.engine(DDIM(steps=10, eta=1.0), batch=BATCH)
    lab.results(engine, lab.script(body), (math.inf,), range(20 * BATCH))
    filled, capacity = engine.served["evaluate"]
    assert filled / capacity >= 0.9


@pytest.mark.parametrize("search", [ZeroOrder(neighbors=3), Random(block=1)], ids=lambda search: type(search).__name__)
def test_stream_fills_the_batches_of_anytime_searches(lab, search, monkeypatch):
    watch(monkeypatch)
    engine = lab.engine(DDIM(steps=10, eta=1.0), batch=BATCH)
    lab.results(engine, search, (25, CAP), range(20 * BATCH))
    filled, capacity = engine.served["evaluate"]
    assert filled / capacity >= 0.9


def most_held(lab, engine, search, cap, indices, after: int = 0) -> int:
    """Run a stream, and return the most rows that it held between two batches once `after` runs were over."""
    stream = engine.stream(search, (cap,), lab.problems(indices))
    serve, peaks, over = stream._serve, [0], 0

    def watched(queue):
        serve(queue)
        peaks.append(stream.rows_in_use if over >= after else 0)

    stream._serve = watched
    for _ in stream.run():
        over += 1
    return max(peaks)


def test_stream_results_are_independent_of_the_row_limit(lab, search, setting, every_setting):
    """Rows for one image at a time, of whichever needs the most."""
    engine = lab.engine(setting.sampler, setting.model(lab), batch=4, rows=4096)
    expected = lab.bits(engine, search, (CAP,), range(6))
    engine.rows = max(most_held(lab, engine, search, CAP, [index]) for index in range(6))
    engine.rows_bytes = engine.rows * (16 * 8 + (0 if engine.model.decoder is None else 64 * 8))
    assert lab.bits(engine, search, (CAP,), range(6)) == expected


def test_stream_frees_all_rows_without_the_garbage_collector(lab, search, setting, every_setting):
    """The last handles go with the image, and without the help of the garbage collector."""
    engine = lab.engine(setting.sampler, setting.model(lab), batch=4)
    gc.collect()
    gc.disable()
    try:
        stream = engine.stream(search, (25, CAP), lab.problems(range(6)))
        ended = sum(1 for _ in stream.run())
        assert stream.rows_in_use == 0
    finally:
        gc.enable()
    assert ended == 6 * (1 if search.anytime else 2)


def test_stream_holds_no_rows_for_handles_never_evaluated(lab):
    def body(image):
        [start] = image.start()
        yield reward((yield advance([start])))
        middle = yield advance([start], to=image.grid[3])
        yield advance(image.renoise(middle, image.grid[1]) + image.start(20))

    gc.collect()
    gc.disable()
    try:
        stream = lab.engine(DDIM(steps=10, eta=0.0)).stream(
            lab.script(body, anytime=False), (30,), lab.problems(range(3))
        )
        assert sum(1 for _ in stream.run()) == 3
        assert stream.rows_in_use == 0
    finally:
        gc.enable()


def hoarding(image):
    particles, nodes = image.start(4), []
    for level in image.grid[1:]:
        particles = yield advance(particles, to=level)
        nodes.append(particles)
    yield reward(particles)
    return particles[0]


def test_stream_refuses_a_search_that_holds_too_many_rows(lab):
    engine = lab.engine(DDIM(steps=20, eta=0.0), batch=4, rows=65)
    with pytest.raises(RuntimeError, match=r"Script holds \d+ tensor rows for one image, and the limit is 65"):
        lab.results(engine, lab.script(hoarding), (math.inf,), range(3))
    engine = lab.engine(DDIM(steps=20, eta=0.0), batch=4, rows_bytes=65 * 16 * 8)
    with pytest.raises(RuntimeError, match=r"Script holds \d+ bytes for one image \(\d+ tensor rows of 128.*, .* 8320"):
        lab.results(engine, lab.script(hoarding), (math.inf,), range(3))


def growing(image):
    """One particle, scored and kept at every level, which sometimes tries a level again."""
    [particle], nodes = image.start(), []
    for k in range(1, image.steps + 1):
        while True:
            [down] = yield advance([particle], to=image.grid[k])
            yield reward([down], of="before")
            nodes.append(down)
            if image.random.uniform(1)[0] < 0.7:
                break
        particle = down
    yield reward([particle])


def test_stream_admits_runs_by_the_rows_that_earlier_ones_held(lab):
    """Once the first batch of runs is over: those fill the batch, whatever they will come to hold."""
    search, peaks = lab.script(growing), {}
    alone = most_held(lab, lab.engine(DDIM(steps=20, eta=1.0), batch=8), search, math.inf, [0])
    for limit in (4 * alone, 1000 * alone):
        engine = lab.engine(DDIM(steps=20, eta=1.0), batch=8, rows=limit)
        peaks[limit] = most_held(lab, engine, search, math.inf, range(100), after=40)
    few, many = peaks.values()
    assert few <= 4 * alone < many
