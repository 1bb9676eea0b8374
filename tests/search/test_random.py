import pytest

from its.sampler.ddim import DDIM
from its.search.random import Random


def test_a_number_of_candidates_ends_it(lab):
    [outcome] = lab.results(lab.engine(DDIM(steps=10, eta=0.0)), Random(candidates=3), (float("inf"),), [0])[0].outcomes
    assert (outcome.ledger["nfe"], outcome.ledger["verifier_calls"]) == (30, 3)


def test_an_empty_block_is_refused():
    with pytest.raises(ValueError, match=r"search\.block is 0"):
        Random(block=0)
