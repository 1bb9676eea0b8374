import pytest

from its.sampler.ddim import DDIM
from its.search.random import Random


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_best_of_n_at_every_cap(naive, rewards, eta):
    sampler = DDIM(steps=10, eta=eta)
    alone = naive(sampler)
    each = [alone.reward(alone.sample(alone.draw(alone.path(j)), alone.path(j))) for j in range(12)]
    caps = (10, 19, 20, 75, 120, 129)
    assert rewards(sampler, Random(block=5), caps) == [max(each[: cap // 10]) for cap in caps]


def test_a_number_of_candidates_ends_it(lab):
    [outcome] = lab.results(lab.engine(DDIM(steps=10)), Random(candidates=3), (float("inf"),), [0])[0].outcomes
    assert (outcome.ledger["nfe"], outcome.ledger["verifier_calls"]) == (30, 3)


def test_an_empty_block_is_refused():
    with pytest.raises(ValueError, match=r"search\.block is 0"):
        Random(block=0)
