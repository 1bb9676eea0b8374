"""The digits data: values, halves, and the class schedule."""

from collections import Counter

import numpy as np
import pytest
from sklearn.datasets import load_digits

from its.dataset.digits import Digits


def keys(images):
    return Counter(image.tobytes() for image in images)


@pytest.mark.parametrize(("split", "size"), [("all", 1797), ("verifier", 899), ("report", 898)])
def test_digits_images_have_the_documented_shape_and_type(split, size):
    images, class_ids = Digits().images(split)
    assert images.shape == (size, 8, 8, 1)
    assert images.dtype == np.uint8
    assert class_ids.shape == (size,)
    assert class_ids.dtype == np.int64
    assert set(class_ids) == set(range(10))


def test_digits_values_are_the_source_scaled_to_a_full_byte():
    images, class_ids = Digits().reference()
    source = load_digits()
    assert (images.min(), images.max()) == (0, 255)
    np.testing.assert_allclose(images[..., 0], source.images * 255 / 16, atol=0.5)
    np.testing.assert_array_equal(class_ids, source.target)


def test_digits_halves_are_disjoint_and_complete():
    (real, _), (first, _), (second, _) = (Digits().images(split) for split in ("all", "verifier", "report"))
    assert len(keys(real)) == 1797, "duplicate images would make 'disjoint' ambiguous"
    assert not keys(first) & keys(second)
    assert keys(first) + keys(second) == keys(real)


def test_digits_halves_keep_the_label_of_each_image():
    images, class_ids = Digits().reference()
    label = {image.tobytes(): class_id for image, class_id in zip(images, class_ids, strict=True)}
    for split in ("verifier", "report"):
        images, class_ids = Digits().images(split)
        assert [label[image.tobytes()] for image in images] == class_ids.tolist()


def test_digits_halves_are_stratified():
    first, second = (np.bincount(Digits().images(s)[1]) for s in ("verifier", "report"))
    assert np.abs(first - second).max() <= 1


def test_digits_halves_are_shuffled_but_fixed():
    images, class_ids = Digits().images("verifier")
    again, class_ids_again = Digits().images("verifier")
    np.testing.assert_array_equal(images, again)
    np.testing.assert_array_equal(class_ids, class_ids_again)
    chosen, (real, labels) = keys(images), Digits().images("all")
    member = np.array([image.tobytes() in chosen for image in real])
    repeats = [m[1:] == m[:-1] for m in (member[labels == class_id] for class_id in range(10))]
    # Chance 0.5 with standard error 0.012; taking every second image of a class would give 0.
    assert np.concatenate(repeats).mean() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("start", [0, 7, 49_990])
def test_digits_hold_every_class_once_in_any_ten_problems_in_a_row(start):
    dataset = Digits()
    assert sorted(dataset.condition(index) for index in range(start, start + 10)) == list(range(10))


def test_digits_shape_is_that_of_one_image():
    channel, height, width = Digits().shape
    assert Digits().images("all")[0].shape[1:] == (height, width, channel)


def test_digits_refuse_bad_parameters():
    with pytest.raises(ValueError, match=r"'train'.*all, verifier, report"):
        Digits().images("train")
    with pytest.raises(ValueError, match=r"num_classes is 7.*exactly 10"):
        Digits(num_classes=7)
