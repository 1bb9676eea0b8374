"""Rank ensembles: the best by mean rank over all candidates, though only images on the Pareto front are kept."""

import os
import signal
import time
from hashlib import sha256

import numpy as np
import pytest
import torch
from scipy.stats import rankdata

from its.engine.front import ParetoFront
from its.engine.search_run import Contender
from its.particles.order import Components
from its.sampler.ddim import DDIM
from its.search.random import Random
from its.verifier.classifier import Classifier
from its.verifier.ensemble import Ensemble
from its.verifier.null_rewards import NullRewards
from tests.build import contents, make_experiment
from tests.contract.conftest import SEARCHES
from tests.forked import FORKS

CAPS = (25, 57, 104)
RETURNING = ("none", "more_steps", "svdd", "svdd-every", "eps_greedy")
"""Searches that choose their image themselves."""

RELATIVE = {name: search for name, search in SEARCHES.items() if not search.needs_absolute}
PAIRS = [
    pytest.param(search, DDIM(steps=10, eta=eta), id=f"{name}-eta{eta:.0f}")
    for name, search in RELATIVE.items()
    for eta in (0.0, 1.0)
    if eta or not search.needs_noise
]


def ensemble(lab, **members) -> Ensemble:
    return Ensemble({"classifier": Classifier(lab.logits), "null": NullRewards(), **members})


def by_brute_force(candidates: list[tuple[Components, float]], cap: float) -> Components:
    """The best mean rank of all candidates within the cap; of equals the first."""
    rewards = np.array([reward for reward, clock in candidates if clock <= cap])
    return Components(rewards[np.argmin(np.round(rankdata(-rewards, axis=0).sum(axis=1) * 2))])


@pytest.mark.parametrize(("search", "sampler"), PAIRS)
def test_pareto_front_holds_the_best_of_all_candidates_at_every_cap(lab, search, sampler, monkeypatch):
    entries: dict[int, list] = {}
    enter = ParetoFront.enter
    monkeypatch.setattr(
        ParetoFront,
        "enter",
        lambda front, contender, clock: (
            entries.setdefault((contender.value.run.image.problem.index, *front._caps), []).append(
                (contender.reward, clock)
            ),
            enter(front, contender, clock),
        ),
    )
    results = lab.results(lab.engine(sampler, verifier=ensemble(lab), batch=8), search, CAPS, range(2))
    returning = search in [SEARCHES[name] for name in RETURNING]
    for index, result in results.items():
        for cap, outcome in zip(CAPS, result.outcomes, strict=True):
            candidates = entries[(index, *(CAPS if search.anytime else (cap,)))]
            if returning:
                assert outcome.reward in [reward for reward, _ in candidates]
            else:
                assert outcome.reward == by_brute_force(candidates, cap)


@pytest.mark.parametrize(
    ("search", "sampler"), [pair for pair in PAIRS if pair.values[0].anytime and not pair.values[1].eta]
)
def test_ensemble_run_for_all_caps_equals_a_run_for_each(lab, search, sampler):
    def bits(caps):
        results = lab.results(lab.engine(sampler, verifier=ensemble(lab), batch=8), search, caps, range(2))
        return {k: [(o.image.tobytes(), o.reward, dict(o.ledger)) for o in r.outcomes] for k, r in results.items()}

    together = bits(CAPS)
    for at, cap in enumerate(CAPS):
        assert {k: outcomes[at : at + 1] for k, outcomes in together.items()} == bits((cap,)), f"cap {cap}"


A, B, C, D, E = (5.0, 1.0), (1.0, 5.0), (0.0, 3.0), (3.0, 0.0), (2.0, 0.5)
LEADERS = [A, A, B, A, A]
"""C, which B dominates, puts B ahead of A; D and E, which A dominates, bring A back."""


class Scripted:
    """The k-th image it sees gets the k-th of the rewards above."""

    absolute = False
    members = ("a", "b")

    def __init__(self) -> None:
        self.known: dict[bytes, int] = {}

    def reward(self, images, conditions):
        turns = [self.known.setdefault(row.numpy().tobytes(), len(self.known)) for row in images]
        return torch.tensor([(A, B, C, D, E)[turn] for turn in turns], dtype=torch.float64)


def test_pareto_front_lets_a_past_winner_win_again(lab):
    """All in one run, and each cap in a run of its own."""
    batch = lab.denoiser().slots
    engine = lab.engine(DDIM(steps=10, eta=0.0), verifier=Scripted(), batch=batch)
    caps = [n * engine.prices.sampling for n in range(1, 6)]
    [result] = lab.results(engine, Random(block=1), caps, [0]).values()
    assert [outcome.reward for outcome in result.outcomes] == LEADERS
    assert len({outcome.image.tobytes() for outcome in result.outcomes}) == 2
    alone = [
        lab.results(lab.engine(DDIM(steps=10, eta=0.0), verifier=Scripted(), batch=batch), Random(block=1), (cap,), [0])
        for cap in caps
    ]
    assert [result[0].outcomes[0].reward for result in alone] == LEADERS


@pytest.mark.parametrize("members", [1, 2, 3])
def test_pareto_front_drops_no_image_that_could_win(members):
    random = np.random.default_rng(members)
    for _ in range(200):
        # Enter random rewards, of which many tie.
        front, candidates = ParetoFront((1, 2, 3)), []
        for turn in range(random.integers(1, 30)):
            reward, clock = Components(random.integers(0, 6, members).astype(float)), int(random.integers(1, 5))
            candidates.append((reward, clock))
            front.enter(Contender(reward, turn, None), clock)

        # The best at each cap is that of all candidates, and the first of equals.
        for cap in (1, 2, 3):
            winner = front.best(cap - 1)
            within = [(reward, clock) for reward, clock in candidates if clock <= cap]
            assert (winner is None) == (not within)
            if winner is not None:
                best = by_brute_force(within, cap)
                first = next(k for k, (reward, clock) in enumerate(candidates) if reward == best and clock <= cap)
                assert (winner.reward, winner.value) == (best, first)

        # Whatever no other dominates is there.
        rewards = {reward for reward, clock in candidates if clock == 1}
        undominated = [reward for reward in rewards if not any(dominates(other, reward) for other in rewards)]
        assert len(front) >= len(undominated)


def dominates(a: Components, b: Components) -> bool:
    return a != b and all(x >= y for x, y in zip(a, b, strict=True))


class Moody(Classifier):
    """NaN for one class."""

    def reward(self, images, conditions):
        rewards = super().reward(images, conditions)
        return rewards.masked_fill(torch.tensor(conditions) == 3, torch.nan)


def test_ensemble_counts_a_nan_member_and_gives_it_no_say(lab):
    """All images are equal to a member that answers NaN, so the other member alone decides."""

    def run(verifier):
        return lab.results(lab.engine(DDIM(steps=10, eta=0.0), verifier=verifier), Random(block=3), CAPS, range(4))

    sick = run(Ensemble({"moody": Moody(lab.logits), "null": NullRewards()}))
    well, other = run(ensemble(lab)), run(NullRewards())
    for index in range(3):
        assert sick[index].nan_rewards == 0
        assert [o.reward for o in sick[index].outcomes] == [o.reward for o in well[index].outcomes]
    assert sick[3].nan_rewards == CAPS[-1] // lab.engine(DDIM(steps=10, eta=0.0)).prices.sampling
    assert [o.reward for o in sick[3].outcomes] == [(-np.inf, o.reward) for o in other[3].outcomes]
    assert all((a.image == b.image).all() for a, b in zip(sick[3].outcomes, other[3].outcomes, strict=True))


def test_engine_refuses_an_ensemble_whose_columns_and_members_differ(lab):
    broken = ensemble(lab)
    broken.members = ("classifier",)
    with pytest.raises(ValueError, match=r"shape \[32, 2\] .*for 32 images; .* of shape \[32, 1\]"):
        lab.results(lab.engine(DDIM(steps=10, eta=0.0), verifier=broken), Random(), CAPS, range(2))


SMALL = (
    "images=30",
    "shard=5",
    "sampler.steps=4",
    "budget.samplings=[1,2,4]",
    "batch=32",
    "search=zero_order",
    "verifier=ensemble",
    "~metric.kid",
    "~metric.isc",
    "~metric.prc",
)


def digests(folder) -> dict[str, str]:
    return {name: sha256(content).hexdigest() for name, content in contents(folder).items()}


def work(out_dir) -> None:
    torch.set_num_threads(1)
    make_experiment(out_dir, *SMALL).run()


def test_ensemble_run_gives_the_same_files_when_killed_and_resumed(tmp_path):
    whole, again = (make_experiment(tmp_path / name, *SMALL) for name in ("whole", "again"))
    rows = whole.run()
    again.run()
    assert {"reward_a_mean", "reward_a_mean_se", "reward_b_mean", "reward_b_mean_se"} <= set(rows[0])
    assert "reward_mean" not in rows[0]
    killed = FORKS.Process(target=work, args=(tmp_path / "killed",))
    killed.start()
    folder = make_experiment(tmp_path / "killed", *SMALL).folder
    while not list(folder.glob("shards/*.safetensors")) and killed.is_alive():
        time.sleep(0.002)
    os.kill(killed.pid, signal.SIGKILL)
    killed.join()
    assert len(list(folder.glob("shards/*.safetensors"))) < 6, "killed before it was through"
    make_experiment(tmp_path / "killed", *SMALL).run()
    assert digests(whole.folder) == digests(again.folder) == digests(folder)
