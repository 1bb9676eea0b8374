"""Spatial FID, and FID of every class, against plain FID of the same numbers."""

import numpy as np
import pytest

from its.metric.class_fid import ClassFid
from its.metric.features import Features
from its.metric.fid import Fid
from its.metric.sfid import SFid


def side(seed: int) -> Features:
    rng = np.random.default_rng(seed)
    features, spatial = (rng.standard_normal((60, width)).astype(np.float32) for width in (5, 3))
    return Features(features + seed, np.zeros((60, 2), dtype=np.float32), np.arange(60) % 3, spatial - seed)


def test_sfid_equals_fid_of_the_spatial_features():
    sample, reference = side(0), side(1)
    found = SFid()(sample, reference.spatial_moments)
    plain = Fid()(*(Features(of.spatial, of.logits, of.labels) for of in (sample, reference)))
    assert found == {"sfid": plain["fid"], "sfid_se": plain["fid_se"]}
    assert found["sfid"] != Fid()(sample, reference)["fid"]


def test_sfid_refuses_features_without_spatial_ones():
    bare = Features(side(0).features, side(0).logits, side(0).labels)
    with pytest.raises(ValueError, match="spatial=true"):
        SFid()(bare, side(1).spatial_moments)


def test_class_fid_equals_fid_of_each_class_and_their_mean():
    sample, reference = side(0), side(1)
    pairs = [
        [Features(of.features[k::3], of.logits[k::3], of.labels[k::3]) for of in (sample, reference)] for k in range(3)
    ]
    by_hand = [Fid()(*pair)["fid"] for pair in pairs]
    found = ClassFid()(sample, reference)
    assert [found[f"fid_class_{k}"] for k in range(3)] == by_hand
    assert found["class_fid"] == pytest.approx(np.mean(by_hand))
    assert set(ClassFid(classes=[2])(sample, reference)) == {"class_fid", "fid_class_2"}


def test_class_fid_refuses_a_class_without_images():
    sample, reference = side(0), side(1)
    with pytest.raises(ValueError, match="class 5 has 0 generated and 0 real images"):
        ClassFid(classes=[5])(sample, reference)
    unknown = Features(reference.features, reference.logits, np.full(60, -1))
    with pytest.raises(ValueError, match=r"class 0 has 20 generated and 0 real images.*a reference with labels"):
        ClassFid()(sample, unknown)
    with pytest.raises(ValueError, match="class -1 has"):
        ClassFid()(unknown, unknown)
