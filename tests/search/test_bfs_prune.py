import math

import pytest

from its.sampler.ddim import DDIM
from its.search.bfs_prune import BFSPrune
from its.search.parts.softmax_counts import increase
from its.search.random import Random
from its.verifier.null_rewards import NullRewards


def naive_run(alone, n: int, temperature: float) -> tuple[float, int]:
    """Best reward and evaluations of one population; checked after steps 2, 4, 6, 8 of 10."""
    rows, evaluations = [(alone.draw(alone.path(j)), alone.path(j)) for j in range(n)], 0
    for k in range(10):
        stepped = [(*alone.step(x, path, k), path) for x, path in rows]
        evaluations += len(rows)
        if k in (2, 4, 6, 8):
            scores = [alone.reward(guess) for _, guess, _ in stepped]
            weights = [math.exp(temperature * increase(alone.grid, k) * (s - max(scores))) for s in scores]
            stepped = [row for row, w in zip(stepped, weights, strict=True) if round(len(rows) * w / sum(weights)) > 0]
        rows = [(x, path) for x, _, path in stepped]
    return max(alone.reward(x) for x, _ in rows), evaluations


@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize("temperature", [0.02, 0.1, 10.0])
def test_against_one_image_at_a_time(naive, lab, temperature, eta):
    sampler = DDIM(steps=10, eta=eta)
    search = BFSPrune(temperature=temperature, particles=7, populations=1)
    outcome = lab.results(lab.engine(sampler), search, (math.inf,), [2])[2].outcomes[0]
    assert (outcome.reward, outcome.ledger["nfe"]) == naive_run(naive(sampler), 7, temperature)


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_at_temperature_0_it_is_best_of_n(lab, eta):
    def run(search):
        bits = lab.bits(lab.engine(DDIM(steps=10, eta=eta)), search, (10, 57), range(4))
        return {k: [(image, reward, ledger["nfe"]) for image, reward, ledger in v] for k, v in bits.items()}

    assert run(BFSPrune(temperature=0.0)) == run(Random())


def test_what_pruning_saves_buys_further_populations(lab):
    """With collapse after the third step: 5 cost 5 * 3 + 7, and leave enough of 50 for 2, and those for 1."""
    engine = lab.engine(DDIM(steps=10), verifier=NullRewards())
    nfe = lab.results(engine, BFSPrune(temperature=1e6, start=2, step_size=10), (50,), range(8))
    assert all(result.outcomes[0].ledger["nfe"] == 22 + 13 + 10 for result in nfe.values())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -1.0}, "at least 0"),
        ({"start": 0}, r"search\.start is 0"),
        ({"step_size": -2}, r"search\.step_size is -2"),
    ],
)
def test_what_makes_no_sense_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        BFSPrune(**options)
