import math

import pytest

from its.sampler.ddim import DDIM
from its.search.none import NoSearch
from its.search.svdd import SVDD

SAMPLER = DDIM(steps=10, eta=1.0)


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_svdd_with_one_child_equals_plain_sampling(lab, eta):
    assert not SVDD(children=1).needs_noise

    def run(search):
        bits = lab.bits(lab.engine(DDIM(steps=10, eta=eta)), search, (math.inf,), range(5))
        return {k: [(image, reward, ledger["nfe"]) for image, reward, ledger in v] for k, v in bits.items()}

    assert run(SVDD(children=1)) == run(NoSearch())


@pytest.mark.parametrize("every", [1, 0.3, 4])
def test_svdd_spends_a_cap_to_the_last_evaluation(lab, every):
    caps = (10, 11, 19, 20, 33, 57)
    for result in lab.results(lab.engine(SAMPLER), SVDD(every=every), caps, range(3)).values():
        assert tuple(o.ledger["nfe"] for o in result.outcomes) == caps


def test_svdd_refuses_bad_parameters():
    with pytest.raises(ValueError, match=r"search\.every is 0; it is steps"):
        SVDD(every=0)
    with pytest.raises(ValueError, match=r"search\.children is 0; it is a whole number of at least 1"):
        SVDD(children=0)
