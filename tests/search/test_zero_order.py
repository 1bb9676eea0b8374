import pytest

from its.particles.keys import Verb, fold
from its.particles.moves import Rotate
from its.sampler.ddim import DDIM
from its.search.zero_order import ZeroOrder

NEIGHBORS = 3


def scored(alone, mode: str, rounds: int) -> list[float]:
    """Rewards in the order in which they are paid for, one image at a time."""
    rewards, starts, pivot = [], 0, None
    for _ in range(rounds):
        if pivot is None:
            step = own = alone.path(starts)
            x, moves, starts = alone.draw(own), 0, starts + 1
            pivot, best = x, alone.reward(alone.sample(x, step))
            rewards.append(best)
        candidates = []
        for _ in range(NEIGHBORS):
            path = fold(own, Verb.MOVE, moves)
            moves += 1
            neighbor = Rotate(0.9)(pivot, alone.draw(path))
            candidates.append((alone.reward(alone.sample(neighbor, step)), path, neighbor))
        rewards += [candidate[0] for candidate in candidates]
        top = max(candidates, key=lambda candidate: candidate[0])
        if top[0] > best or mode == "paper":
            (best, own, pivot), moves = top, 0
        elif mode == "peer":
            pivot = None
    return rewards


@pytest.mark.parametrize("mode", ["paper", "keep", "peer"])
@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_against_one_image_at_a_time(naive, rewards, mode, eta):
    sampler = DDIM(steps=6, eta=eta)
    each = scored(naive(sampler), mode, rounds=6)
    caps = (6, 7, 23, 24, 25, 59, 84, 103)
    search = ZeroOrder(cosine=0.9, neighbors=NEIGHBORS, pivot=mode)
    assert rewards(sampler, search, caps) == [max(each[: cap // 6]) for cap in caps]


def test_modes_differ_and_keep_never_leaves_its_best(naive):
    alone = naive(DDIM(steps=6))
    runs = {mode: scored(alone, mode, rounds=6) for mode in ("paper", "keep", "peer")}
    assert len({tuple(run) for run in runs.values()}) == 3


@pytest.mark.parametrize("mode", ["paper", "keep", "peer"])
def test_a_number_of_rounds_ends_it(lab, mode):
    search = ZeroOrder(neighbors=2, rounds=3, pivot=mode)
    [outcome] = lab.results(lab.engine(DDIM(steps=5)), search, (float("inf"),), [0])[0].outcomes
    samplings = outcome.ledger["nfe"] / 5
    assert samplings == outcome.ledger["verifier_calls"]
    assert samplings == 7 if mode != "peer" else 7 <= samplings <= 9


@pytest.mark.parametrize(
    ("options", "message"),
    [({"cosine": 1.0}, "strictly between"), ({"neighbors": 0}, "at least 1"), ({"pivot": "best"}, "choose one of")],
)
def test_what_makes_no_sense_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ZeroOrder(**options)
