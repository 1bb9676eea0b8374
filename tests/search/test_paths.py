import math

import pytest

from its.model.mixture import MixtureDenoiser
from its.particles.verbs import Advance, Reward
from its.sampler.ddim import DDIM
from its.sampler.euler import Euler
from its.search.paths import Paths
from its.search.random import Random
from tests.search.trace import outcome_of, traced

SAMPLER = Euler(steps=10)
ROUNDS = [(0.89, 0.08), (0.86, 0.05), (0.83, 0.02), (0.80, 0.0)]


def test_paths_levels_and_cost_equal_those_of_the_paper(lab):
    """Flow time is the paper's: 0.11 up by 0.78 and down by 0.81, four times, clipped at 0."""
    log: list = []
    engine = lab.engine(SAMPLER, MixtureDenoiser(lab.data, "flow"))
    search = Paths(paths=2, noises=3, steps=4)
    results = lab.results(engine, lab.script(traced(search, log)), (math.inf,), [0])
    advances = [request for request, _ in log if isinstance(request, Advance)]
    assert [len(request.particles) for request in advances] == [2, 6, 6, 6, 6, 2]
    for request, (high, low) in zip(advances[1:5], ROUNDS, strict=True):
        assert {round(p.level.time, 9) for p in request.particles} == {high}
        assert {round(level.time, 9) for level in request.to} == {low}
        assert request.steps == 4
    first_leg, rounds = 2 * 9, 4 * 6 * (4 + 1) - 6
    assert results[0].outcomes[0].ledger["nfe"] == first_leg + rounds


def test_paths_continue_with_the_best_of_all_children(lab):
    log: list = []
    outcome = outcome_of(lab, lab.script(traced(Paths(paths=2, noises=3), log)), DDIM(steps=10, eta=0.0))
    rounds = [(request.particles, reply) for request, reply in log if isinstance(request, Reward)]
    noised = [request.particles for request, _ in log if isinstance(request, Advance)]
    for (children, rewards), following in zip(rounds[:3], noised[2:5], strict=True):
        best = sorted(range(6), key=lambda k: -rewards[k])[:2]
        assert {p.recipe and id(p.recipe.parent) for p in following} <= {id(children[k]) for k in best} | {None}
    assert outcome.reward == max(rounds[-1][1])


@pytest.mark.parametrize("cap", [10, 15, 20])
def test_paths_without_budget_for_a_round_equals_best_of_n(lab, cap):
    sampler = DDIM(steps=10, eta=0.0)
    few, plain = (outcome_of(lab, search, sampler, cap=cap) for search in (Paths(steps=9), Random()))
    assert (few.reward, few.image.tobytes()) == (plain.reward, plain.image.tobytes())


@pytest.mark.parametrize(
    ("cap", "sizes"), [(16, [1]), (20, [1, 3, 1]), (32, [1, 2, 2, 3, 1]), (40, [2, 6, 2]), (80, [2, 4, 5, 5, 5, 2])]
)
def test_paths_drops_rounds_before_going_below_two_noises(lab, cap, sizes):
    log: list = []

    def watched(image):
        return (yield from traced(Paths().sized_for(cap, image), log)(image))

    lab.results(lab.engine(DDIM(steps=10, eta=0.0)), lab.script(watched), (cap,), [0])
    assert [len(request.particles) for request, _ in log if isinstance(request, Advance)] == sizes


def test_paths_spends_at_least_60_percent_of_a_cap(lab):
    for cap in range(10, 120):
        assert 0.6 * cap <= outcome_of(lab, Paths(), DDIM(steps=10, eta=0.0), cap=cap).ledger["nfe"] <= cap


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"forward": 0.9}, r"sigma \+ forward at most 1"),
        ({"backward": 0.7}, "backward above forward"),
        ({"sigma": 0.0}, "sigma is above 0"),
        ({"steps": 0}, r"search\.steps is 0"),
        ({"paths": 0}, r"search\.paths is 0"),
    ],
)
def test_paths_refuses_bad_parameters(options, message):
    with pytest.raises(ValueError, match=message):
        Paths(**options)
