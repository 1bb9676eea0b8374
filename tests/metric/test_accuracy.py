"""Accuracy by counting."""

import numpy as np
import pytest

from its.metric.accuracy import Accuracy
from its.metric.features import Features


def classified(logits: list[list[float]], labels: list[int]) -> Features:
    features = np.zeros((len(labels), 1), dtype=np.float32)
    return Features(features, np.array(logits, dtype=np.float32), np.array(labels, dtype=np.int64))


def test_counts_the_images_that_are_what_was_asked_for() -> None:
    logits = [[-1.0, -2.0, -3.0], [0.0, 5.0, 1.0], [0.0, 0.0, 0.1], [9.0, 0.0, 0.0]]
    found = Accuracy()(classified(logits, [0, 1, 2, 2]))
    assert found == pytest.approx({"accuracy": 0.75, "accuracy_se": (0.75 * 0.25 / 4) ** 0.5})


def test_all_or_none_has_no_error() -> None:
    logits = [[1.0, 0.0], [1.0, 0.0]]
    assert Accuracy()(classified(logits, [0, 0])) == {"accuracy": 1, "accuracy_se": 0}
    assert Accuracy()(classified(logits, [1, 1])) == {"accuracy": 0, "accuracy_se": 0}


def test_equal_logits_count_for_the_first_class() -> None:
    assert Accuracy()(classified([[2.0, 2.0]], [0]))["accuracy"] == 1
    assert Accuracy()(classified([[2.0, 2.0]], [1]))["accuracy"] == 0


def test_the_reference_has_no_part_in_it(digits: Features, take) -> None:
    sample = take(digits, slice(0, 100))
    assert Accuracy()(sample) == Accuracy()(sample, digits)
    assert Accuracy()(sample)["accuracy"] > 0.8


@pytest.mark.parametrize("label", [-1, 2, 999])
def test_a_class_that_the_classifier_does_not_know_is_refused(label: int) -> None:
    with pytest.raises(ValueError, match=f"image 1 was asked for class {label}"):
        Accuracy()(classified([[1.0, 0.0], [1.0, 0.0]], [0, label]))


def test_no_images_are_refused() -> None:
    empty = Features(np.zeros((0, 1), np.float32), np.zeros((0, 3), np.float32), np.zeros(0, int))
    with pytest.raises(ValueError, match="accuracy is given 0 images, but needs 1"):
        Accuracy()(empty)
