"""Batches of slots: what takes several is in one of them, and what does not fit waits for the next."""

import random
from typing import NamedTuple

import pytest

from its.engine.queue import Queue, Served, Shape
from its.levels import Level


class Item(NamedTuple):
    name: int
    level: Level


class Kept(Queue[Item]):
    def serve(self) -> Served:
        return Served()


def filled(costs, size, each=1):
    """A queue of items that take so many slots, each the next image's."""
    queue = Kept(Shape(size, each, lambda level: int(level.time)))
    for name, cost in enumerate(costs):
        queue.add(name, Item(name, Level(0.5, 0.5, float(cost))))
    return queue


def names(queue):
    return [item.name for item in queue.batch()]


def test_queue_lets_younger_items_fill_what_an_older_one_does_not_fit_into():
    queue = filled([2, 2, 2, 1, 2, 1, 1], 5)
    assert [names(queue) for _ in range(3)] == [[0, 1, 3], [2, 4, 5], [6]]
    assert (queue.filled, queue.capacity, queue.load) == (11, 15, 0.0)


@pytest.mark.parametrize("size", [3, 4, 7, 16])
def test_queue_packs_items_of_one_to_three_slots_and_loses_none(size):
    draw = random.Random(size)
    costs = [draw.choice((1, 2, 3)) for _ in range(200)]
    queue, batches = filled(costs, size), []
    assert queue.load == sum(costs) / size
    while len(queue):
        full = queue.load >= 1
        batches.append(names(queue))
        assert size - 2 * full <= sum(costs[name] for name in batches[-1]) <= size or not full
        assert batches[-1][0] == min(name for name in range(200) if not any(name in batch for batch in batches[:-1]))
    assert sorted(name for batch in batches for name in batch) == list(range(200))
    assert queue.filled == sum(costs)


def test_queue_takes_no_more_items_than_the_model_is_given_rows():
    """Of a model that says nothing of its cheapest evaluation, each item may take the slots of the dearest."""
    queue = filled([1] * 7, 2, each=3)
    assert queue.load == 7 / 2
    assert [names(queue) for _ in range(4)] == [[0, 1], [2, 3], [4, 5], [6]]
    assert (queue.filled, queue.capacity) == (7, 24)


def test_queue_of_like_items_counts_their_slots():
    queue = Kept(Shape(3, 2))
    for name in range(5):
        queue.add(-name, Item(name, Level(0.5, 0.5, 1.0)))
    assert [names(queue), names(queue)] == [[4, 3, 2], [1, 0]], "the oldest image first"
    assert (queue.filled, queue.capacity) == (10, 12)
