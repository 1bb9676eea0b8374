"""Runs are admitted by the most rows, and bytes, that a run has been seen to hold."""

import math
from types import SimpleNamespace

import pytest

from its.engine.admission import ROWS_OF_A_STATE, Admission, Held

GREEDY = SimpleNamespace(name="Greedy")


def by_rows(limit: int) -> Admission:
    return Admission(Held(limit, math.inf), row_bytes=4)


def by_bytes(limit: int) -> Admission:
    """Of rows of 4 bytes, and decoded images of 100."""
    return Admission(Held(math.inf, limit), row_bytes=4, image_bytes=100)


def test_admission_admits_a_run_when_none_is_alive():
    admission = by_rows(1)
    admission.observe(alive=1, rows=1000, waiting=0)
    assert admission.admits(alive=0, over=1)
    assert not admission.admits(alive=1, over=1)


def test_admission_admits_as_many_runs_as_fit_at_the_most_rows_seen():
    admission = by_rows(120)
    admission.observe(alive=10, rows=100, waiting=0)
    admission.observe(alive=10, rows=30, waiting=0)
    assert admission.admits(alive=11, over=1)
    assert not admission.admits(alive=12, over=1)


def test_admission_counts_rows_that_are_not_made_yet():
    admission = by_rows(10 * ROWS_OF_A_STATE)
    admission.observe(alive=2, rows=0, waiting=10)
    assert admission.admits(alive=1, over=1)
    assert not admission.admits(alive=2, over=1)


def test_admission_counts_bytes_of_rows_and_images():
    admission = by_bytes(10 * 500)
    admission.observe(alive=2, rows=50, waiting=0, images=8)
    assert admission.admits(alive=9, over=1)
    assert not admission.admits(alive=10, over=1)


@pytest.mark.parametrize("admission", [by_rows(30), by_bytes(10 * 112)], ids=["rows", "bytes"])
def test_admission_counts_a_run_of_which_nothing_is_known_as_one_state_and_image(admission):
    assert admission.admits(alive=9, over=1)
    assert not admission.admits(alive=10, over=1)


def test_admission_counts_bytes_twice_until_a_run_is_over():
    admission = by_bytes(10 * 112)
    assert admission.admits(alive=4, over=0)
    assert not admission.admits(alive=5, over=0)
    assert by_rows(30).admits(alive=9, over=0)


def test_admission_check_names_the_rows_held_and_the_limit():
    admission = by_rows(7)
    admission.check(GREEDY, rows=7)
    with pytest.raises(
        RuntimeError, match="Greedy holds 8 tensor rows for one image, and the limit is 7; raise `rows`"
    ):
        admission.check(GREEDY, rows=8)


def test_admission_check_names_the_bytes_held_and_the_limit():
    admission = by_bytes(240)
    admission.check(GREEDY, rows=10, images=2)
    parts = r"244 bytes for one image \(11 tensor rows of 4 and 2 decoded images of 100\)"
    with pytest.raises(RuntimeError, match=f"Greedy holds {parts}, and the limit is 240; raise `rows_bytes`, or keep"):
        admission.check(GREEDY, rows=11, images=2)
