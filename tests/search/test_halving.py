import math

import pytest

from its.sampler.ddim import DDIM
from its.sampler.heun import Heun
from its.search.halving import Halving
from its.search.none import NoSearch
from tests.search.trace import outcome_of, traced

SAMPLER = DDIM(steps=10, eta=0.0)


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_halving_of_one_particle_equals_plain_sampling(lab, eta):
    """Its guesses are not asked for, which would be verifier calls."""

    def run(search):
        return lab.bits(lab.engine(DDIM(steps=10, eta=eta)), search, (math.inf,), range(5))

    assert run(Halving(particles=1)) == run(NoSearch())


@pytest.mark.parametrize(("n", "nfe", "calls"), [(8, 43, 15), (7, 40, 14), (3, 19, 6), (2, 13, 3)])
def test_halving_of_n_costs_what_goes_on_and_the_guesses_that_are_dropped(lab, n, nfe, calls):
    """Halved after 2, 5 and 8 of 10 steps: of eight, 8 * 3 + 4 * 3 + 2 * 3 + 1, and a call for each guess and image."""
    ledger = outcome_of(lab, Halving(particles=n), SAMPLER).ledger
    assert (ledger["nfe"], ledger["verifier_calls"]) == (nfe, calls)


@pytest.mark.parametrize("currency", ["nfe", "verifier_calls"])
@pytest.mark.parametrize("sampler", [SAMPLER, Heun(steps=5, spacing="linspace"), DDIM(steps=1), DDIM(steps=3)])
def test_halving_begins_with_as_many_as_a_cap_pays_for(lab, sampler, currency):
    def engine():
        return lab.engine(sampler, lab.denoiser(scale=2.0), rows=8192)

    def cost(n):
        return lab.results(engine(), Halving(particles=n), (math.inf,), [0])[0].outcomes[0].ledger[currency]

    sampling = engine().prices.sampling if currency == "nfe" else 1
    for cap in (sampling, 3 * sampling - 1, 4 * sampling, 9 * sampling + 5):
        log: list = []
        script = lab.script(lambda image, cap=cap, log=log: traced(Halving().sized_for(cap, image), log)(image))
        lab.results(engine(), script, (cap,), [0], currency)
        n = len(log[0][0].particles)
        assert cost(n) <= cap < cost(n + 1), cap


def test_halving_levels_that_fall_together_are_one(lab):
    log: list = []
    outcome_of(lab, lab.script(traced(Halving(particles=8), log)), DDIM(steps=2, eta=0.0))
    assert [len(request.particles) for request, _ in log[1::2]] == [8, 4, 2]


@pytest.mark.parametrize("shares", [[], [0.5, 0.25], [1.0], [0.5, 0.5], [-0.1]])
def test_halving_refuses_bad_shares(shares):
    with pytest.raises(ValueError, match=r"search\.halve_at is .*; it lists ascending shares of the sampling"):
        Halving(shares)
