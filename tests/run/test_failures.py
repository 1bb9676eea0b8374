"""What failed is told once, by the words that tell a job from the others, with a traceback where code is to blame."""

import pytest

from its.config.composed import own_words
from its.run.failures import Failures

FAILED = {"status": "failed", "reason": "ValueError: no", "traceback": "", "folder": None}


def told(caplog: pytest.LogCaptureFixture, *jobs: tuple[str, dict]) -> list[str]:
    failures = Failures()
    for words, status in jobs:
        failures.hear(words.split(), status)
    failures.tell()
    return [record.message for record in caplog.records]


def test_own_words_are_those_that_not_every_job_has():
    assert own_words([["a=1", "b=2"], ["a=1", "b=3"]]) == [["b=2"], ["b=3"]]
    assert own_words([["a=1"]]) == [[]]
    assert own_words([]) == []


def test_failures_of_a_single_run_are_told_by_their_reason(caplog):
    assert told(caplog, ("images=4", FAILED)) == ["failed: ValueError: no"]


def test_failures_that_are_alike_are_told_once(caplog):
    finished = {"status": "finished", "folder": "x"}
    jobs = (("s=a seed=0", FAILED), ("s=b seed=0", finished), ("s=c seed=0", FAILED))
    assert told(caplog, *jobs) == ["failed: s=a, s=c: ValueError: no"]


def test_failures_of_code_are_told_by_their_traceback_alone(caplog):
    trace = "Traceback ...\n  line 3\nKeyError: 'x'\n"
    [line] = told(caplog, ("s=a", {**FAILED, "reason": "KeyError: 'x'", "traceback": trace}), ("s=b", FAILED))[:1]
    assert line.count("KeyError") == 1
    assert line.startswith("failed: s=a:\nTraceback")


def test_failures_name_the_folders_that_a_report_need_not_list(tmp_path):
    failures = Failures()
    assert not failures
    failures.hear(["s=a"], {**FAILED, "folder": str(tmp_path)})
    failures.hear(["s=b"], FAILED)
    assert failures
    assert failures.folders == [tmp_path]
