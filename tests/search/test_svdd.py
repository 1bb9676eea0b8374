import math

import pytest

from its.particles.keys import Verb, fold
from its.sampler.ddim import DDIM
from its.search.none import NoSearch
from its.search.svdd import SVDD

SAMPLER = DDIM(steps=10, eta=1.0)


def children(path: int, level, n: int) -> list[int]:
    return [path] + [fold(path, Verb.ADVANCE, level.key, k) for k in range(1, n)]


def naive_run(alone, m: int, every: int) -> float:
    """The best of M children by the guess at the level that they reach."""
    path = alone.path(0)
    x = alone.draw(path)
    for k in range(10):
        n = m if k % every == 0 and k < 9 else 1
        found = []
        for child in children(path, alone.grid[k], n):
            y, _ = alone.step(x, child, k)
            value = alone.reward(alone.step(y, child, k + 1)[1]) if n > 1 else 0.0
            found.append((value, y, child))
        _, x, path = max(found, key=lambda entry: entry[0])
    return alone.reward(x)


@pytest.mark.parametrize(("m", "every"), [(3, 1), (4, 3)])
def test_against_one_image_at_a_time(naive, lab, m, every):
    outcome = lab.results(lab.engine(SAMPLER), SVDD(children=m, every=every), (math.inf,), [2])[2].outcomes[0]
    assert outcome.reward == naive_run(naive(SAMPLER), m, every)
    assert outcome.ledger["nfe"] == 10 + (m - 1) * len(range(0, 9, every))


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_one_child_is_plain_sampling(lab, eta):
    assert not SVDD(children=1).needs_noise

    def run(search):
        bits = lab.bits(lab.engine(DDIM(steps=10, eta=eta)), search, (math.inf,), range(5))
        return {k: [(image, reward, ledger["nfe"]) for image, reward, ledger in v] for k, v in bits.items()}

    assert run(SVDD(children=1)) == run(NoSearch())


@pytest.mark.parametrize("every", [1, 0.3, 4])
def test_a_cap_is_spent_to_the_last_evaluation(lab, every):
    caps = (10, 11, 19, 20, 33, 57)
    for result in lab.results(lab.engine(SAMPLER), SVDD(every=every), caps, range(3)).values():
        assert tuple(o.ledger["nfe"] for o in result.outcomes) == caps


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match=r"search\.every is 0; it is steps"):
        SVDD(every=0)
    with pytest.raises(ValueError, match=r"search\.children is 0; it is at least 1"):
        SVDD(children=0)
