import pytest

from its.budget import Budget
from its.config.sizes import sized
from its.model.mixture import MixtureDenoiser
from its.sampler.ddim import DDIM
from its.sampler.heun import Heun
from its.sampler.noise_paths import cosine_vp
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


def test_more_steps_refuses_a_cap_whose_grid_noise_cannot_begin(lab):
    """`leading` in 600 of 1,000 steps begins at time 599, where alpha is 0.16 on linear betas and 0.59 on cosine."""

    class Cosine(MixtureDenoiser):
        def __init__(self, data):
            super().__init__(data)
            self.path = cosine_vp(1000)

    prices = lab.engine(DDIM(steps=10, spacing="leading"), Cosine(lab.data)).prices
    with pytest.raises(ValueError, match="in 600 steps begins at time 599"):
        sized(MoreSteps(), Budget(nfe=[600]), prices)
    assert sized(MoreSteps(), Budget(nfe=[500]), prices)[1] == (500,)
