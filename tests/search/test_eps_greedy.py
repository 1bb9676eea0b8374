import math

import pytest
import torch

from its.levels import ancestral_variance
from its.particles.moves import Ball
from its.particles.verbs import advance, reward
from its.sampler.ddim import DDIM
from its.search.eps_greedy import EpsGreedy
from tests.search.trace import Always, outcome_of

SAMPLER = DDIM(steps=10, eta=1.0)


def drawn(lab, parent, child) -> torch.Tensor:
    """The z of one DDIM step at eta 1, worked back from its ends."""
    t, s = parent.level, child.level
    variance = ancestral_variance(t, s, eta=1.0)
    x0, eps = lab.guesses([parent])
    return (lab.rows([child]) - s.alpha * x0 - math.sqrt(s.sigma**2 - variance) * eps) / math.sqrt(variance)


def test_advance_uses_given_noise_in_the_first_step_only(lab):
    """It replaces that draw alone: later steps have their own, and particles without one are left as they are."""

    def body(image):
        [parent] = yield advance(image.start(), to=image.grid[3])
        noises = image.noise(2)
        noises += image.move(noises[0], Ball(0.5), 2)
        children = yield advance([parent] * 4, to=image.grid[4], noise=noises)
        for noise, child in zip(noises, children, strict=True):
            torch.testing.assert_close(drawn(lab, parent, child), lab.rows([noise]), rtol=0, atol=1e-9)
        [far] = yield advance([parent], to=image.grid[5], noise=noises[:1])
        [near] = yield advance(children[:1], to=image.grid[5])
        yield reward([far, near])
        assert not torch.equal(lab.rows([far]), lab.rows([near]))
        [own] = yield advance([parent], to=image.grid[4])
        assert (drawn(lab, parent, own) - lab.rows(noises)).abs().max(dim=1).values.min() > 0.1
        [done] = yield advance([own])
        return done

    lab.play(body)


def test_advance_gives_each_image_its_own_noise_in_a_shared_batch(lab):
    """Images that draw their own, are given noise and end at the same time each get what they get alone."""

    def body(image):
        [parent] = yield advance(image.start(), to=image.grid[-2])
        yield reward([parent])
        kind = image.problem.index % 3
        if kind == 2:
            yield advance([parent])
        [child] = yield advance([parent], to=image.level(0.01), noise=image.noise() if kind == 0 else None)
        [done] = yield advance([child])
        yield reward([done])
        return done

    alone = [lab.bits(lab.engine(SAMPLER), lab.script(body, anytime=False), (math.inf,), [k])[k] for k in range(6)]
    together = lab.bits(lab.engine(SAMPLER), lab.script(body, anytime=False), (math.inf,), range(6))
    assert [together[k] for k in range(6)] == alone
    assert len({outcome[0] for [outcome] in alone}) == 6


def test_advance_refuses_fewer_noises_than_particles(lab):
    def body(image):
        yield advance(image.start(2), noise=image.noise())

    with pytest.raises(ValueError, match="2 particles and 1 noises"):
        lab.play(body)


def test_ball_keeps_the_norm_and_stays_near(lab):
    def body(image):
        [pivot] = image.noise()
        moved = image.move(pivot, Ball(0.15), 400)
        yield reward([pivot, *moved])
        x, y = lab.rows([pivot]), lab.rows(moved)
        torch.testing.assert_close(y.norm(dim=1), x.norm(dim=1).expand(400), rtol=1e-12, atol=0)
        angles = torch.arccos(((y @ x.T).squeeze(1) / x.norm() ** 2).clamp(-1, 1))
        assert angles.max() < 2 * 0.15 * 4 / x.norm()
        assert angles.min() < 0.2 * angles.max()
        [done] = yield advance(image.start())
        return done

    lab.play(body)


@pytest.mark.parametrize(("rounds", "candidates"), [(0, 4), (2, 3)])
def test_eps_greedy_natural_cost_counts_rounds_and_candidates(lab, rounds, candidates):
    outcome = outcome_of(lab, EpsGreedy(rounds=rounds, candidates=candidates), SAMPLER)
    assert outcome.ledger["nfe"] == 10 + 9 * rounds * candidates


@pytest.mark.parametrize("cap", [10, 11, 19, 28, 57])
@pytest.mark.parametrize("epsilon", [0.0, 0.4, 1.0])
def test_eps_greedy_spends_a_cap_to_the_last_evaluation(lab, cap, epsilon):
    assert outcome_of(lab, EpsGreedy(epsilon=epsilon), SAMPLER, cap=cap).ledger["nfe"] == cap


def test_eps_greedy_survives_rewards_of_minus_infinity(lab):
    assert outcome_of(lab, EpsGreedy(), SAMPLER, Always(-math.inf), cap=40).reward == -math.inf


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"radius": 0.0}, "radius is 0"),
        ({"candidates": 0}, r"search\.candidates is 0"),
        ({"epsilon": -1}, "at least 0"),
    ],
)
def test_eps_greedy_refuses_bad_parameters(options, message):
    with pytest.raises(ValueError, match=message):
        EpsGreedy(**options)
