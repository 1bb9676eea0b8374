import math

import numpy as np
import pytest
from scipy.stats import chisquare

from its.levels import ancestral_variance
from its.particles.image import Image
from its.particles.verbs import Advance, Reward, advance, reward
from its.sampler.ddim import DDIM
from its.search.evosearch import EvoSearch
from its.search.none import NoSearch
from its.search.parts.tournament import winners
from tests.search.trace import Always, outcome_of, traced

NATURAL = EvoSearch(population=42, offspring=21)


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_evosearch_natural_cost_counts_samplings_and_mutants(lab, eta):
    """42 samplings, and 21 mutants at steps 0, 20, 30, 40 of 50."""
    outcome = outcome_of(lab, NATURAL, DDIM(steps=50, eta=eta))
    assert outcome.ledger["nfe"] == 42 * 50 + 21 * (50 + 30 + 20 + 10)


def test_evosearch_mixes_starts_and_jitters_states_on_the_way(lab, monkeypatch):
    """Starting points are mixed, states on the way get noise of the step's own deviation."""
    seen: list = []
    jitter, move = Image.jitter, Image.move
    monkeypatch.setattr(Image, "jitter", lambda image, ps, std: seen.append((len(ps), std)) or jitter(image, ps, std))
    monkeypatch.setattr(
        Image, "move", lambda image, p, m, fresh: seen.append((m.share, fresh)) or move(image, p, m, fresh=fresh)
    )
    sampler = DDIM(steps=10, eta=1.0)
    outcome_of(lab, EvoSearch(population=3, offspring=2), sampler)
    grid = sampler.grid(lab.denoiser().path)
    stds = [math.sqrt(ancestral_variance(grid[stop], grid[stop + 1], 1.0)) for stop in (4, 6, 8)]
    assert seen == [(0.2, True)] * 2 + [(2, std) for std in stds]


def test_evosearch_full_tournament_is_won_by_the_path_to_the_best_image(lab, monkeypatch):
    parents: list = []
    jitter = Image.jitter
    monkeypatch.setattr(Image, "jitter", lambda image, ps, std: parents.extend(ps) or jitter(image, ps, std))
    log: list = []
    search = EvoSearch(population=6, offspring=3, subset=1.0, schedule=(0.0, 0.5))
    outcome_of(lab, lab.script(traced(search, log)), DDIM(steps=10, eta=0.0))
    rounds = [reply for request, reply in log if isinstance(request, Reward)]
    middles = [reply for request, reply in log if isinstance(request, Advance) and request.to[0] is not None]
    states = [p for reply in middles for p in reply if not p.is_start][:9]
    rewards = rounds[0] + rounds[1]
    assert [len(reply) for reply in rounds] == [6, 3, 3]
    winners = {id(p) for p, r in zip(states, rewards, strict=True) if r == max(rewards)}
    assert set(map(id, parents)) <= winners


def test_winners_are_the_best_of_random_shares_of_the_pool(lab):
    """Places of the winners among 10 with 3 drawn: P(best of 3 is in place k) = C(9 - k, 2) / C(10, 3)."""
    won: list = []

    def body(image):
        states = image.start(10)
        won.extend(states.index(p) for p in winners([(-float(k), p) for k, p in enumerate(states)], 0.25, 4000, image))
        yield reward((yield advance(states[:1])))

    outcome_of(lab, lab.script(body), DDIM(steps=2, eta=0.0))
    expected = [4000 * math.comb(9 - k, 2) / math.comb(10, 3) for k in range(8)]
    assert chisquare(np.bincount(won, minlength=8), expected).pvalue > 0.001


def test_evosearch_at_one_sampling_equals_plain_sampling(lab):
    plain, found = (outcome_of(lab, search, DDIM(steps=10, eta=0.0), cap=10) for search in (NoSearch(), EvoSearch()))
    assert (plain.reward, plain.image.tobytes()) == (found.reward, found.image.tobytes())


@pytest.mark.parametrize("steps", [1, 2, 5, 10])
def test_evosearch_spends_a_cap_to_within_a_fifth_of_a_sampling(lab, steps):
    for cap in range(steps, 12 * steps):
        found = outcome_of(lab, EvoSearch(), DDIM(steps=steps, eta=0.0), Always(-math.inf), cap=cap)
        assert cap - max(1, steps // 5) < found.ledger["nfe"] <= cap


@pytest.mark.parametrize("schedule", [[], [0.5, 0.2], [0.5, 0.5], [-0.1], [0.0, 1.0]], ids=str)
def test_evosearch_refuses_a_bad_schedule(schedule):
    with pytest.raises(ValueError, match=r"search\.schedule is \[.*it lists ascending shares"):
        EvoSearch(schedule=schedule)


@pytest.mark.parametrize("subset", [0.0, -0.5, 1.5], ids=str)
def test_evosearch_refuses_a_subset_of_none_or_more_than_all(subset):
    with pytest.raises(ValueError, match=r"search\.subset is .*above 0 and at most 1"):
        EvoSearch(subset=subset)
