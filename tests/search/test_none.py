import pytest

from its.sampler.ddim import DDIM
from its.search.none import NoSearch


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_one_plain_sampling_at_every_cap(naive, rewards, eta):
    sampler = DDIM(steps=10, eta=eta)
    alone = naive(sampler)
    path = alone.path(0)
    expected = alone.reward(alone.sample(alone.draw(path), path))
    assert rewards(sampler, NoSearch(), (10, 50)) == [expected] * 2


def test_it_costs_one_sampling_however_high_the_cap(lab):
    outcomes = lab.results(lab.engine(DDIM(steps=10)), NoSearch(), (10, 50), [0])[0].outcomes
    assert [dict(outcome.ledger) for outcome in outcomes] == [
        {"nfe": 10, "nfe_backward": 0, "verifier_calls": 1, "decoder_calls": 0, "guide_calls": 0}
    ] * 2
