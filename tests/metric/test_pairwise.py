"""Mean pairwise distance: against SciPy's, prompt by prompt."""

import math

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from its.metric.features import Features
from its.metric.metric import shortages
from its.metric.pairwise import PairwiseDistance, distances_within

PROMPTS = np.array([2, 0, 2, 1, 0, 2, 3])


@pytest.fixture
def sample() -> Features:
    features = np.random.default_rng(0).normal(size=(len(PROMPTS), 5)).astype(np.float32)
    return Features.of({"features": features}, np.full(len(PROMPTS), -1), PROMPTS)


def test_pairwise_distance_is_scipys_of_each_prompt(sample):
    row = PairwiseDistance()(sample, None)
    means = [pdist(sample.features[k == PROMPTS].astype(float)).mean() / math.sqrt(5) for k in (0, 2)]
    assert row["pairwise"] == pytest.approx(np.mean(means)), "prompts of one image have none"
    assert row["pairwise_se"] == pytest.approx(np.std(means, ddof=1) / math.sqrt(2))


def test_pairwise_distance_of_an_image_is_that_from_its_prompts_others(sample):
    distances = distances_within(sample)
    assert np.isnan(distances).tolist() == [False, False, False, True, False, False, True]
    apart = np.linalg.norm(sample.features[[2, 5]] - sample.features[0], axis=1) / math.sqrt(5)
    assert distances[0] == pytest.approx(apart.mean())


def test_pairwise_distance_goes_by_classes_where_there_are_no_prompts(sample):
    of_classes = Features.of({"features": sample.features}, PROMPTS)
    assert PairwiseDistance()(of_classes, None) == PairwiseDistance()(sample, None)


def test_pairwise_distance_says_what_it_lacks():
    metrics, none = {"pairwise": PairwiseDistance()}, np.full(3, -1)
    assert "needs two images of a prompt" in shortages(metrics, none, np.arange(3))["pairwise"]
    assert shortages(metrics, none, np.array([0, 1, 1])) == {}
    assert "asked for neither" in shortages(metrics, none)["pairwise"], "images of whatever are not alike for that"
