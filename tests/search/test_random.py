import pytest

from its.sampler.ddim import DDIM
from its.search.random import Random


def test_random_stops_at_its_number_of_candidates(lab):
    [outcome] = lab.results(lab.engine(DDIM(steps=10, eta=0.0)), Random(candidates=3), (float("inf"),), [0])[0].outcomes
    assert (outcome.ledger["nfe"], outcome.ledger["verifier_calls"]) == (30, 3)


def test_random_refuses_an_empty_block():
    with pytest.raises(ValueError, match=r"search\.block is 0"):
        Random(block=0)
