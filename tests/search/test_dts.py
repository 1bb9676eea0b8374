import math
from statistics import fmean

import numpy as np
import pytest

from its.dataset.mixture import Mixture
from its.particles.host_random import HostRandom
from its.particles.verbs import Advance
from its.sampler.ddim import DDIM
from its.search.dts import DTS
from its.search.none import NoSearch
from its.search.parts.tree import Node, inverse_temperature, soft_mean
from its.search.random import Random
from tests.conftest import Lab
from tests.search.trace import Always, Scripted, outcome_of, traced

SAMPLER = DDIM(steps=10, eta=1.0)


def bits(lab, search, caps, images: int = 5) -> dict:
    return lab.bits(lab.engine(SAMPLER, rows=8192), search, caps, range(images))


def test_dts_of_one_rollout_equals_plain_sampling(lab):
    assert bits(lab, DTS(rollouts=1), (math.inf,)) == bits(lab, NoSearch(), (math.inf,))


@pytest.mark.parametrize("every", [1, 0.2, 20])
def test_dts_that_widens_with_every_visit_equals_best_of_n(lab, every):
    """The root takes a child at every walk, and each is a starting point."""
    caps = (10, 30, 80)
    assert bits(lab, DTS(every=every, growth=1.0), caps) == bits(lab, Random(), caps)


@pytest.mark.parametrize("greedy", [False, True])
def test_authors_widening_begins_with_36_starting_points(lab, greedy):
    """The root has k children at visit k + 1, and 37 are no fewer than 2 * 38^0.8."""
    search = DTS(width=2.0, growth=0.8, greedy=greedy)
    assert all(k < 2 * (k + 1) ** 0.8 for k in range(36))
    assert not 36 < 2 * 37**0.8
    assert bits(lab, search, (360,), 1) == bits(lab, Random(), (360,), 1)
    assert bits(lab, search, (369,), 1) != bits(lab, Random(), (369,), 1)


def test_dts_star_walks_as_by_hand(lab):
    """All rewards are equal, so that the first child is the best; four steps, all of which join the tree."""
    log: list = []
    search = DTS(every=1, greedy=True, rollouts=7)
    outcome = outcome_of(lab, lab.script(traced(search, log)), DDIM(steps=4, eta=1.0), Always(0.0))
    advances = [request.particles[0] for request, _ in log if isinstance(request, Advance)]
    rewarded = [k for k, (request, _) in enumerate(log) if not isinstance(request, Advance)]
    tails = np.diff([-1, *rewarded]) - 1
    assert tails.tolist() == [4, 4, 3, 2, 4, 1, 3], "requests, of which the one to a starting point's own level is free"
    assert len(advances) == sum(tails)
    assert outcome.ledger["nfe"] == sum(tails), "an evaluation for each but the first of a branch, and two for the last"


def test_soft_mean_lies_between_mean_and_maximum():
    values = [-3.0, 0.5, 2.0]
    assert soft_mean(values, 1e-6) == pytest.approx(fmean(values), abs=1e-5)
    assert soft_mean(values, 1e6) == pytest.approx(max(values), abs=1e-5)
    assert soft_mean(values, 2.0) == pytest.approx(math.log(fmean(math.exp(2 * v) for v in values)) / 2)
    assert soft_mean([-math.inf, 0.0], 1.0) == pytest.approx(math.log(0.5))
    assert soft_mean([-math.inf, -math.inf], 1.0) == -math.inf
    assert soft_mean([math.inf, 0.0], 1.0) == math.inf


def test_inverse_temperature_is_of_finite_rewards_that_differ():
    assert inverse_temperature([0.0, 1.0, 5.0]) == pytest.approx(1 / np.std([0.0, 1.0, 5.0]))
    assert inverse_temperature([-math.inf, 1.0, math.inf, 2.0]) == 2.0
    assert inverse_temperature([0.1] * 10) == inverse_temperature([5.0]) == inverse_temperature([-math.inf]) == 1.0


@pytest.mark.parametrize("rollouts", [7, 25])
def test_dts_values_are_soft_means_throughout_the_tree(lab, monkeypatch, rollouts):
    """Also beside the last walk, where lambda has changed since."""
    nodes: list[Node] = []
    monkeypatch.setattr("its.search.dts.Node", lambda *parts: nodes.append(Node(*parts)) or nodes[-1])
    outcome_of(lab, DTS(rollouts=rollouts), SAMPLER)
    images = [node for node in nodes if not node.children]
    strength = inverse_temperature([image.value for image in images[:10]])
    assert len(images) == rollouts
    assert len({image.value for image in images}) > 2
    for node in nodes:
        if node.children:
            assert node.value == pytest.approx(soft_mean([child.value for child in node.children], strength))


def test_dts_draws_children_by_their_values(lab):
    values = [0.0, 1.0, -math.inf, 2.0]

    class Drawing:
        random = HostRandom(0, 0)

    nodes = [Node(value=value) for value in values]
    drawn = [nodes.index(DTS()._selected(nodes, 0.5, Drawing)) for _ in range(4000)]
    weights = np.exp(0.5 * np.array(values))
    np.testing.assert_allclose(np.bincount(drawn, minlength=4) / 4000, weights / weights.sum(), atol=0.03)


@pytest.mark.parametrize("greedy", [False, True])
@pytest.mark.parametrize(
    "rule",
    [
        lambda k: -math.inf,
        lambda k: math.nan if k % 2 else 1.0,
        lambda k: math.inf if k == 3 else float(k % 3),
        lambda k: -1e300 if k % 2 else 1e-300,
    ],
)
def test_dts_survives_rewards_that_are_no_numbers(lab, rule, greedy):
    rewards = [rule(k) for k in range(30)]
    outcome = outcome_of(lab, DTS(greedy=greedy, rollouts=30), SAMPLER, Scripted(rule))
    assert outcome.ledger["verifier_calls"] == 30
    assert outcome.reward == max(-math.inf if math.isnan(reward) else reward for reward in rewards)


@pytest.mark.long
@pytest.mark.parametrize("greedy", [False, True])
def test_dts_gains_on_best_of_n_at_equal_nfe(greedy):
    """How close 100 NFE come to an image, over 200 problems of wide components."""

    class Near:
        absolute = True

        def reward(self, images, conditions):
            return -images.double().flatten(1).square().sum(1)

    lab = Lab(Mixture(std=0.5))

    def rewards(search):
        results = lab.results(lab.engine(SAMPLER, None, Near(), batch=64, rows=65536), search, (100,), range(200))
        return np.array([results[index].outcomes[0].reward for index in range(200)])

    gain = rewards(DTS(greedy=greedy, strength=10.0)) - rewards(Random())
    assert gain.mean() > 3 * gain.std() / math.sqrt(200)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every": 0}, r"search\.every is 0; it is steps"),
        ({"width": 0.0}, r"search\.width is 0.0; it is above 0"),
        ({"growth": 0.0}, r"search\.growth is 0.0; it is a share, above 0"),
        ({"growth": 1.5}, r"search\.growth is 1.5"),
        ({"strength": 0.0}, r"search\.strength is 0.0; it is above 0"),
        ({"rollouts": 0}, r"search\.rollouts is 0"),
    ],
)
def test_dts_refuses_bad_parameters(options, message):
    with pytest.raises(ValueError, match=message):
        DTS(**options)
