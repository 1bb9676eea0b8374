"""A failed image is a gap, and metrics are not computed over it: one error names the images."""

import numpy as np
import pytest

from its.budget import COLUMNS, LEDGER
from its.engine import Outcome, Result
from its.run.shards import MOST_NAMED, collect, ledger_of, pack, refuse_gaps
from its.types import Problem


def shard(indices: range, failed: range | set[int]):
    ledger = dict.fromkeys(COLUMNS, 1)
    outcome = Outcome(np.zeros((2, 2, 1), dtype=np.uint8), 1.0, ledger)
    return indices, pack(
        [
            Result(Problem(k, 0), (), f"image {k}: x0_hat is NaN") if k in failed else Result(Problem(k, 0), (outcome,))
            for k in indices
        ]
    )


def test_refuse_gaps_accepts_whole_shards():
    shards = [shard(range(3), set()), shard(range(3, 5), set())]
    refuse_gaps(shards)
    assert collect(shards, 0).rows.tolist() == [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1]]


def test_refuse_gaps_names_failed_images_of_all_shards():
    shards = [shard(range(3), {1}), shard(range(3, 6), set()), shard(range(6, 9), {8})]
    with pytest.raises(ValueError, match=r"these images failed: 1, 8\nimage 1: x0_hat is NaN\nimage 8: x0_hat is NaN$"):
        refuse_gaps(shards)


def test_refuse_gaps_names_images_of_a_shard_that_failed_entirely():
    with pytest.raises(ValueError, match=r"these images failed: 3, 4, 5\n"):
        refuse_gaps([shard(range(3), set()), shard(range(3, 6), range(3, 6))])
    with pytest.raises(ValueError, match=rf" and {200 - MOST_NAMED} more\n"):
        refuse_gaps([shard(range(200), range(200))])


def test_refuse_gaps_ignores_failed_images_beyond_the_requested_ones():
    _, arrays = shard(range(4), {3})
    refuse_gaps([(range(3), arrays)])


def test_ledger_of_a_shard_of_before_has_no_gradients_through_a_decoder():
    indices, arrays = shard(range(3), set())
    assert arrays["ledger"].shape == (3, 1, 6)
    before = {**arrays, "ledger": arrays["ledger"][:, :, :5]}
    assert ledger_of(before).tolist() == [[[1, 1, 1, 1, 1, 0, 0, 0]]] * 3
    assert dict(zip(LEDGER, collect([(indices, before)], 0).ledger[0], strict=True))["decoder_backward"] == 0


@pytest.mark.parametrize("columns", [4, 7])
def test_ledger_of_refuses_columns_that_nobody_knows(columns):
    with pytest.raises(ValueError, match=f"has {columns} columns, and 8 are known"):
        ledger_of({"ledger": np.zeros((3, 1, columns), dtype=np.int64)})
