"""Accuracy by counting."""

import numpy as np
import pytest

from its.metric.accuracy import Accuracy
from its.metric.features import Features


def classified(logits: list[list[float]], labels: list[int]) -> Features:
    features = np.zeros((len(labels), 1), dtype=np.float32)
    return Features(features, np.array(logits, dtype=np.float32), np.array(labels, dtype=np.int64))


def test_accuracy_counts_the_images_of_the_class_asked_for() -> None:
    logits = [[-1.0, -2.0, -3.0], [0.0, 5.0, 1.0], [0.0, 0.0, 0.1], [9.0, 0.0, 0.0]]
    found = Accuracy()(classified(logits, [0, 1, 2, 2]))
    assert found == pytest.approx({"accuracy": 0.75, "accuracy_se": (0.75 * 0.25 / 4) ** 0.5})


def test_accuracy_of_all_or_none_has_no_error() -> None:
    logits = [[1.0, 0.0], [1.0, 0.0]]
    assert Accuracy()(classified(logits, [0, 0])) == {"accuracy": 1, "accuracy_se": 0}
    assert Accuracy()(classified(logits, [1, 1])) == {"accuracy": 0, "accuracy_se": 0}


def test_accuracy_takes_the_first_class_on_equal_logits() -> None:
    assert Accuracy()(classified([[2.0, 2.0]], [0]))["accuracy"] == 1
    assert Accuracy()(classified([[2.0, 2.0]], [1]))["accuracy"] == 0


def test_accuracy_does_not_depend_on_the_reference(digits: Features, take) -> None:
    sample = take(digits, slice(0, 100))
    assert Accuracy()(sample) == Accuracy()(sample, digits)
    assert Accuracy()(sample)["accuracy"] > 0.8


@pytest.mark.parametrize("label", [-1, 2, 999])
def test_accuracy_refuses_classes_unknown_to_the_classifier(label: int) -> None:
    with pytest.raises(ValueError, match=f"image 1 was asked for class {label}"):
        Accuracy()(classified([[1.0, 0.0], [1.0, 0.0]], [0, label]))


def test_accuracy_refuses_an_empty_set() -> None:
    empty = Features(np.zeros((0, 1), np.float32), np.zeros((0, 3), np.float32), np.zeros(0, int))
    with pytest.raises(ValueError, match="accuracy is given 0 images, but needs 1"):
        Accuracy()(empty)
