from its.sampler.ddim import DDIM
from its.search.none import NoSearch


def test_no_search_costs_one_sampling_at_any_cap(lab):
    outcomes = lab.results(lab.engine(DDIM(steps=10, eta=0.0)), NoSearch(), (10, 50), [0])[0].outcomes
    assert [dict(outcome.ledger) for outcome in outcomes] == [
        {"nfe": 10, "nfe_backward": 0, "verifier_calls": 1, "decoder_calls": 0, "guide_calls": 0, "decoder_backward": 0}
    ] * 2
