import pytest

from its.sampler.ddim import DDIM
from its.search.bfs_prune import BFSPrune
from its.search.random import Random
from its.verifier.null_rewards import NullRewards


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_bfs_prune_at_temperature_0_equals_best_of_n(lab, eta):
    def run(search):
        bits = lab.bits(lab.engine(DDIM(steps=10, eta=eta)), search, (10, 57), range(4))
        return {k: [(image, reward, ledger["nfe"]) for image, reward, ledger in v] for k, v in bits.items()}

    assert run(BFSPrune(temperature=0.0)) == run(Random())


def test_bfs_prune_spends_its_savings_on_further_populations(lab):
    """With collapse after the third step: 5 cost 5 * 3 + 7, and leave enough of 50 for 2, and those for 1."""
    engine = lab.engine(DDIM(steps=10, eta=0.0), verifier=NullRewards())
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
def test_bfs_prune_refuses_bad_parameters(options, message):
    with pytest.raises(ValueError, match=message):
        BFSPrune(**options)
