"""FlowChef alone; what it shares with UG-FM is tried in `test_ug_fm`."""

import pytest

from its.search.flowchef import FlowChef
from tests.search.test_ug_fm import STEPS, outcomes


def test_flowchef_leaves_a_larger_cap_unspent():
    for small, large in outcomes(FlowChef(), caps=(STEPS, 50)):
        assert small.ledger == large.ledger
        assert (small.image == large.image).all()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"share": 1.5}, "share is 1.5; it is a share"),
        ({"ascents": -1}, "ascents is -1"),
        ({"length": -0.1}, "length is"),
    ],
)
def test_bad_parameters_are_refused(values, words):
    with pytest.raises(ValueError, match=words):
        FlowChef(**values)
