"""Rows live as long as their handles."""

import torch

from its.engine.pool import Pool
from its.engine.queue import Queue, pad


def test_rows_come_back_in_any_order_and_survive_growth():
    pool = Pool((2,), torch.float64, torch.device("cpu"), chunk=3)
    rows = torch.arange(20.0, dtype=torch.float64).reshape(10, 2)
    slots = [slot for part in rows.split(3) for slot in pool.put(part)]
    assert pool.held == 10
    assert torch.equal(pool.take(slots[::-1]), rows.flip(0))
    assert torch.equal(pool.take([slots[4], slots[4]]), rows[[4, 4]])


def test_a_row_is_freed_with_its_last_handle_and_used_again():
    pool = Pool((1,), torch.float32, torch.device("cpu"), chunk=2)
    first = pool.put(torch.zeros(2, 1))
    other = first[0]
    del first
    assert pool.held == 1
    new = pool.put(torch.ones(1, 1))
    assert pool.held == 2
    assert pool.take([other, *new]).flatten().tolist() == [0, 1]


def test_a_taken_row_is_a_copy():
    pool = Pool((1,), torch.float32, torch.device("cpu"), chunk=2)
    slots = pool.put(torch.zeros(1, 1))
    pool.take(slots).fill_(5)
    assert pool.take(slots).item() == 0


def test_older_images_go_first_and_then_first_come_first_served():
    queue = Queue(rows=3)
    for order, item in [(2, "c"), (1, "a"), (2, "d"), (1, "b")]:
        queue.add(order, item)
    assert queue.batch() == ["a", "b", "c"]
    assert queue.batch() == ["d"]
    assert (queue.filled, queue.capacity) == (4, 6)


def test_padding_repeats_the_last():
    assert pad(["a", "b"], 4) == ["a", "b", "b", "b"]
    assert pad(["a", "b"], 2) == ["a", "b"]
