"""Runs are admitted by the most rows that a run has been seen to hold."""

from types import SimpleNamespace

import pytest

from its.engine.admission import ROWS_OF_A_STATE, Admission


def test_admission_admits_a_run_when_none_is_alive():
    admission = Admission(limit=1)
    admission.observe(alive=1, in_use=1000, waiting=0)
    assert admission.admits(alive=0)
    assert not admission.admits(alive=1)


def test_admission_admits_as_many_runs_as_fit_at_the_most_rows_seen():
    admission = Admission(limit=120)
    admission.observe(alive=10, in_use=100, waiting=0)
    admission.observe(alive=10, in_use=30, waiting=0)
    assert admission.admits(alive=11)
    assert not admission.admits(alive=12)


def test_admission_counts_rows_that_are_not_made_yet():
    admission = Admission(limit=10 * ROWS_OF_A_STATE)
    admission.observe(alive=2, in_use=0, waiting=10)
    assert admission.admits(alive=1)
    assert not admission.admits(alive=2)


def test_admission_check_names_the_rows_held_and_the_limit():
    admission = Admission(limit=7)
    admission.check(SimpleNamespace(name="Greedy"), in_use=7)
    with pytest.raises(
        RuntimeError, match="Greedy holds 8 tensor rows for one image, and the limit is 7; raise `rows`"
    ):
        admission.check(SimpleNamespace(name="Greedy"), in_use=8)
