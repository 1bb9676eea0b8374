"""Class schedules: what each problem asks for."""

from collections import Counter
from itertools import pairwise

import pytest

from its.dataset.classes import Classes, ClassOrder
from its.dataset.digits import Digits
from its.dataset.mixture import Mixture


@pytest.mark.parametrize("start", [0, 7, 49_990])
def test_class_order_balanced_takes_every_class_in_turn(start):
    assert sorted(ClassOrder().condition(index, 10) for index in range(start, start + 10)) == list(range(10))


def test_class_order_uniform_is_keyed_by_seed_and_problem():
    one, other = ClassOrder("uniform", seed=1), ClassOrder("uniform", seed=2)
    forward = [one.condition(index, 10) for index in range(3000)]
    assert [one.condition(index, 10) for index in reversed(range(3000))] == forward[::-1]
    assert sum(one.condition(k, 10) == other.condition(k, 10) for k in range(3000)) == pytest.approx(300, abs=60)
    counts = Counter(forward)
    # 3,000 draws of ten classes: 300 each with standard deviation 16; in turn they would be 300 exactly.
    assert set(counts) == set(range(10))
    assert 0 < max(abs(n - 300) for n in counts.values()) < 80
    repeats = sum(a == b for a, b in pairwise(forward))
    assert repeats == pytest.approx(300, abs=80), "neighbours are independent"


def test_class_order_takes_one_class_or_a_list():
    assert [ClassOrder(3).condition(index, 10) for index in range(3)] == [3, 3, 3]
    assert [ClassOrder([5, 1]).condition(index, 10) for index in range(4)] == [5, 1, 5, 1]


@pytest.mark.parametrize("classes", ["random", -1, [], [1, -2], [1.5], True, ["a"]])
def test_class_order_refuses_bad_parameters(classes):
    with pytest.raises(ValueError, match="it is balanced, uniform, one class"):
        ClassOrder(classes)


@pytest.mark.parametrize(
    "of",
    [
        lambda s: Classes((3, 4, 4), 10, s),
        lambda s: Digits(class_order=s),
        lambda s: Mixture(classes=10, class_order=s),
    ],
    ids=["classes", "digits", "mixture"],
)
def test_class_order_is_followed_by_every_dataset(of):
    assert [of(ClassOrder([9, 2])).condition(index) for index in range(3)] == [9, 2, 9]
    with pytest.raises(ValueError, match="asks for class 10, and the dataset has 10"):
        of(ClassOrder([2, 10]))


def test_classes_give_no_condition_when_there_are_none():
    assert Classes([3, 4, 4], 0).condition(7) is None


def test_classes_refuse_a_shape_that_is_no_image():
    for shape in ([4, 4], [2, 4, 4], [3, 0, 4]):
        with pytest.raises(ValueError, match="shape is"):
            Classes(shape, 10)
