"""Caps, and the ledger's own clock."""

import math

import pytest

from its.budget import Budget, Ledger, OutOfBudget


def test_budget_caps_follow_nfe_or_samplings():
    assert Budget(nfe=[10, 20]).caps(7) == (10, 20)
    assert Budget(samplings=[1, 2, 4]).caps(7) == (7, 14, 28)
    assert Budget().caps(7) == (math.inf,)
    assert Budget().natural
    assert not Budget(nfe=[1]).natural


@pytest.mark.parametrize("caps", [[], [0], [2, 1], [1, 1], [1.5], [True], [-3], ["4"], 5, "4"])
@pytest.mark.parametrize("name", ["nfe", "samplings"])
def test_budget_refuses_bad_caps(name, caps):
    with pytest.raises(ValueError, match=rf"budget\.{name} is .* ascending list of whole numbers"):
        Budget(**{name: caps})


def test_budget_refuses_both_kinds_of_cap():
    with pytest.raises(ValueError, match="both given"):
        Budget(nfe=[1], samplings=[1])


def test_ledger_grants_a_prefix_and_then_closes():
    ledger = Ledger(cap=10)
    assert ledger.charge([4, 4, 4], prefix=True) == [4, 8]
    assert (ledger.spent, ledger.left, ledger.closed) == (8, 2, True)
    with pytest.raises(OutOfBudget):
        ledger.charge([1], prefix=True)
    assert ledger.spent == 8
    assert ledger.charge([0, 0], prefix=True) == [4, 4], "what is free passes"


def test_ledger_stays_open_after_an_exact_fit():
    ledger = Ledger(cap=8)
    assert ledger.charge([4, 4], prefix=True) == [4, 8]
    assert not ledger.closed
    with pytest.raises(OutOfBudget):
        ledger.charge([1], prefix=True)


def test_ledger_raises_out_of_budget_when_nothing_is_granted():
    ledger = Ledger(cap=3)
    with pytest.raises(OutOfBudget):
        ledger.charge([4, 1], prefix=True)
    assert ledger.spent == 0
    with pytest.raises(OutOfBudget):
        ledger.charge([1], prefix=True)


def test_ledger_charges_a_planned_request_whole_or_not_at_all():
    ledger = Ledger(cap=10)
    with pytest.raises(OutOfBudget):
        ledger.charge([4, 4, 4], prefix=False)
    assert ledger.spent == 0
    assert ledger.charge([4, 0, 6], prefix=False) == [4, 4, 10]
    assert ledger.charge([0], prefix=False) == [4]


def test_ledger_refuses_free_before_costly_in_a_prefix():
    with pytest.raises(ValueError, match="free before something that costs"):
        Ledger().charge([0, 1], prefix=True)
    assert Ledger().charge([0, 1], prefix=False) == [0, 1]


def test_ledger_can_be_read_at_every_cap():
    ledger = Ledger()
    for clock in ledger.charge([3, 3, 3], prefix=True):
        ledger.call("verifier_calls", clock)
    ledger.charge([5], prefix=True)
    [free] = ledger.charge([0], prefix=True)
    ledger.call("decoder_calls", max(free, 3))
    assert free == 14, "asked for after a request that a lower cap would not have got to"
    read = {cap: tuple(ledger.at(cap).values()) for cap in (2, 3, 8, 9, 13, 14, math.inf)}
    assert read == {
        2: (0, 0, 0, 0, 0, 0),
        3: (3, 0, 1, 0, 0, 0),
        8: (6, 0, 2, 0, 0, 0),
        9: (9, 0, 3, 0, 0, 0),
        13: (9, 0, 3, 0, 0, 0),
        14: (14, 0, 3, 1, 0, 0),
        math.inf: (14, 0, 3, 1, 0, 0),
    }
