"""Mean ranks, against SciPy's."""

import numpy as np
import pytest
from scipy.stats import rankdata

from its.particles.order import Components, order


@pytest.mark.parametrize("members", [1, 2, 3, 5])
@pytest.mark.parametrize("n", [1, 2, 7, 60])
def test_components_are_ordered_by_mean_rank(members, n):
    random = np.random.default_rng(n * members)
    rewards = random.integers(-3, 4, (n, members)).astype(float)
    rewards[random.random((n, members)) < 0.1] = -np.inf
    ours = order([Components(row) for row in rewards])
    assert ours == pytest.approx(-rankdata(-rewards, axis=0).mean(axis=1), rel=0, abs=1e-12)


def test_order_gives_equal_mean_ranks_equal_numbers():
    """Thirds do not round apart: nothing but the turn decides between the two."""
    first, _, last = order([Components(row) for row in [(3, 2, 1), (2, 3, 2), (1, 1, 3)]])
    assert order([Components((2, 1, 3)), Components((1, 3, 2)), Components((3, 2, 1))]) == [-2.0] * 3
    assert first != last


def test_order_of_floats_is_the_floats_themselves():
    assert order([0.5, -np.inf, 3.0]) == [0.5, -np.inf, 3.0]
    assert order([]) == []


@pytest.mark.parametrize("compare", [max, min, sorted, lambda pair: pair[0] < pair[1], lambda pair: pair[0] >= pair[1]])
def test_components_refuse_direct_comparison(compare):
    with pytest.raises(TypeError, match=r"compare them with image\.order"):
        compare([Components((1.0, 2.0)), Components((2.0, 1.0))])
