import pytest

from its.sampler.ddim import DDIM
from its.search.zero_order import ZeroOrder

NEIGHBORS = 3


def test_zero_order_pivot_modes_differ(lab):
    def rewards(mode):
        search = ZeroOrder(neighbors=3, rounds=6, pivot=mode)
        outcomes = lab.results(lab.engine(DDIM(steps=6, eta=0.0)), search, (24, 48, 84, 120), range(4)).values()
        return [outcome.reward for result in outcomes for outcome in result.outcomes]

    assert len({tuple(rewards(mode)) for mode in ("paper", "keep", "peer")}) == 3


@pytest.mark.parametrize("mode", ["paper", "keep", "peer"])
def test_zero_order_stops_at_its_number_of_rounds(lab, mode):
    search = ZeroOrder(neighbors=2, rounds=3, pivot=mode)
    [outcome] = lab.results(lab.engine(DDIM(steps=5, eta=0.0)), search, (float("inf"),), [0])[0].outcomes
    samplings = outcome.ledger["nfe"] / 5
    assert samplings == outcome.ledger["verifier_calls"]
    assert samplings == 7 if mode != "peer" else 7 <= samplings <= 9


@pytest.mark.parametrize(
    ("options", "message"),
    [({"cosine": 1.0}, "strictly between"), ({"neighbors": 0}, "at least 1"), ({"pivot": "best"}, "choose one of")],
)
def test_zero_order_refuses_bad_parameters(options, message):
    with pytest.raises(ValueError, match=message):
        ZeroOrder(**options)
