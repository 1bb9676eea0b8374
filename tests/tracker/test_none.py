"""The default tells nobody, and tells the truth about errors."""

import pytest

from its.tracker.none import NoTracker
from its.tracker.tracker import tracked


class Recorder(NoTracker):
    def __init__(self):
        object.__setattr__(self, "heard", [])

    def begin(self, run):
        self.heard.append("begin")

    def end(self, status):
        self.heard.append(status)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (None, "finished"),
        (ValueError("no"), "failed"),
        (KeyboardInterrupt(), "interrupted"),
        (SystemExit(3), "interrupted"),
    ],
)
def test_tracked_tells_how_a_job_ended_and_reraises_its_error(job, error, status):
    tracker = Recorder()
    if error is None:
        with tracked(tracker, job):
            pass
    else:
        with pytest.raises(type(error)), tracked(tracker, job):
            raise error
    assert tracker.heard == ["begin", status]
