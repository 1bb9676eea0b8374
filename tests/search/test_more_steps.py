import pytest

from its.sampler.ddim import DDIM
from its.sampler.heun import Heun
from its.search.more_steps import MoreSteps


@pytest.mark.parametrize(
    ("sampler", "scale", "caps", "spent"),
    [
        (DDIM(steps=10, eta=0.0), 1.0, (10, 11, 57), [10, 11, 57]),
        (DDIM(steps=10, eta=0.0), 2.0, (20, 21, 57), [20, 20, 56]),
        (Heun(steps=6), 1.0, (11, 12, 13, 57), [11, 11, 13, 57]),
        (Heun(steps=6), 2.0, (22, 25, 26, 57), [22, 22, 26, 54]),
    ],
)
def test_more_steps_takes_the_most_steps_that_a_cap_pays_for(lab, sampler, scale, caps, spent):
    engine = lab.engine(sampler, lab.denoiser(scale=scale))
    outcomes = lab.results(engine, MoreSteps(), caps, [0])[0].outcomes
    assert [outcome.ledger["nfe"] for outcome in outcomes] == spent


def test_more_steps_stops_at_the_steps_that_the_model_has(lab):
    [outcome] = lab.results(lab.engine(DDIM(steps=10, eta=0.0)), MoreSteps(), (5000,), [0])[0].outcomes
    assert outcome.ledger["nfe"] == 1000
