"""Rows live as long as their handles."""

import numpy as np
import pytest
import torch

from its.engine.queue import Queue, Served, pad
from its.engine.rows import Rows


def test_rows_come_back_in_any_order_and_survive_growth():
    rows = Rows((2,), torch.float64, torch.device("cpu"), block_bytes=48)
    values = torch.arange(20.0, dtype=torch.float64).reshape(10, 2)
    slots = [slot for part in values.split(3) for slot in rows.put(part)]
    assert rows.in_use == 10
    assert torch.equal(rows.take(slots[::-1]), values.flip(0))
    assert torch.equal(rows.take([slots[4], slots[4]]), values[[4, 4]])


def test_rows_are_freed_with_their_last_handle():
    rows = Rows((1,), torch.float32, torch.device("cpu"), block_bytes=8)
    first = rows.put(torch.zeros(2, 1))
    other = first[0]
    del first
    assert rows.in_use == 1
    new = rows.put(torch.ones(1, 1))
    assert rows.in_use == 2
    assert rows.take([other, *new]).flatten().tolist() == [0, 1]


def test_rows_take_returns_a_copy():
    rows = Rows((1,), torch.float32, torch.device("cpu"), block_bytes=8)
    slots = rows.put(torch.zeros(1, 1))
    rows.take(slots).fill_(5)
    assert rows.take(slots).item() == 0


class Waiting(Queue[str]):
    def serve(self) -> Served:
        return Served()


def test_queue_serves_older_images_first_then_first_come_first_served():
    queue = Waiting(3)
    for order, item in [(2, "c"), (1, "a"), (2, "d"), (1, "b")]:
        queue.add(order, item)
    assert queue.batch() == ["a", "b", "c"]
    assert queue.batch() == ["d"]
    assert (queue.filled, queue.capacity) == (4, 6)


def test_pad_repeats_the_last_item():
    assert pad(["a", "b"], 4) == ["a", "b", "b", "b"]
    assert pad(["a", "b"], 2) == ["a", "b"]


@pytest.mark.parametrize("block_bytes", [1, 8, 24, 56, 4096])
def test_rows_are_the_same_in_blocks_of_any_size(block_bytes):
    rows, slots, expected = Rows((2,), torch.float32, torch.device("cpu"), block_bytes), [], []
    random = np.random.default_rng(0)
    for step in range(40):
        values = torch.full((random.integers(1, 6), 2), float(step)) + torch.arange(2)
        slots, expected = [*slots, *rows.put(values)], [*expected, *values]
        kept = random.permutation(len(slots))[: random.integers(1, len(slots) + 1)]
        slots, expected = [slots[place] for place in kept], [expected[place] for place in kept]
        assert rows.in_use == len(slots)
        assert torch.equal(rows.take(slots), torch.stack(expected))


def test_rows_are_never_copied_as_they_grow():
    """So that a peak is what rows take, and no old and new tensor beside each other."""
    rows = Rows((1,), torch.float32, torch.device("cpu"), block_bytes=8)
    slots = rows.put(torch.zeros(2, 1))
    place = rows._blocks[0].data_ptr()
    slots += rows.put(torch.ones(5, 1))
    assert rows._blocks[0].data_ptr() == place
    assert [len(block) for block in rows._blocks] == [2] * 4
    assert rows.take(slots).flatten().tolist() == [0, 0, 1, 1, 1, 1, 1]
