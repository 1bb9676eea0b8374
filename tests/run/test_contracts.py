"""What an author's dataset, extractor or metric does not state is said by class and attribute."""

import numpy as np
import pytest

from its import Classes, Extractor, Metric
from its.metric.features import Features, Moments
from its.metric.reference import Reference
from its.run.contracts import check_arrays, check_dataset, check_extractor, check_metrics_stated, reference_of
from its.run.measure import columns_of

IMAGES, LABELS = np.zeros((4, 8, 8, 1), np.uint8), np.zeros(4, np.int64)
ROWS = np.zeros((2, 3), np.float32)


def made(title: str, /, *bases: type, **attributes: object) -> object:
    """An object of a class with these attributes."""
    return type(title, bases, attributes)()


def zero(self, index):
    return 0


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"condition": zero}, r"shape of Mine is missing; it is \(channels, height, width\) .* inherits its.Classes"),
        ({"shape": (8, 8, 1), "condition": zero}, r"shape of Mine is \(8, 8, 1\)"),
        ({"shape": (1, 8.0, 8), "condition": zero}, r"shape of Mine is \(1, 8.0, 8\)"),
        ({"shape": (1, 8, 8)}, r"condition of Mine is missing; it is a method: condition\(index\)"),
        ({"shape": (1, 8, 8), "condition": lambda self, k: 0.5}, r"condition\(0\) of Mine is 0.5; it is the class id"),
        ({"shape": (1, 8, 8), "condition": zero, "num_classes": "ten"}, r"num_classes of Mine is 'ten'"),
    ],
)
def test_check_dataset_names_class_and_attribute(attributes: dict, message: str):
    with pytest.raises(ValueError, match=f"dataset.images: {message}"):
        check_dataset(made("Mine", **attributes))


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        (IMAGES, "is a ndarray"),
        (None, "is nothing"),
        ((IMAGES / 255, LABELS), "is images of float64"),
        ((IMAGES.transpose(0, 3, 1, 2), LABELS), r"images of uint8 and shape \[4, 1, 8, 8\]; .*here \[4, 8, 8, 1\]"),
        ((IMAGES, LABELS[:3]), r"here \[3, 8, 8, 1\]"),
        ((IMAGES, LABELS.astype(np.int32)), "is ids of int32"),
    ],
)
def test_reference_of_refuses_what_is_no_pair_of_images_and_class_ids(pair: object, message: str):
    data = made("Mine", shape=(1, 8, 8), reference=lambda self: pair)
    with pytest.raises(ValueError, match=rf"reference\(\) of Mine .*{message}"):
        reference_of(data)


def test_reference_of_takes_what_a_class_brings_or_nothing():
    assert len(reference_of(made("Mine", shape=(1, 8, 8), reference=lambda self: (IMAGES, LABELS)))) == 4
    assert reference_of(Classes((1, 8, 8), 3)) is None
    check_dataset(Classes((1, 8, 8), 3))


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({}, "name of Mine is missing; .* correct the class, which inherits its.Extractor"),
        ({"name": "a/b"}, "name of Mine is 'a/b'"),
        ({"name": "mine", "offers": {"logit"}}, "offers of Mine is .*logit"),
        ({"name": "mine", "fingerprint": 3}, "fingerprint of Mine is 3"),
    ],
)
def test_check_extractor_names_class_and_attribute(attributes: dict, message: str):
    with pytest.raises(ValueError, match=f"dataset.report: {message}"):
        check_extractor(made("Mine", Extractor, **attributes))
    with pytest.raises(ValueError, match=r"dataset\.report is null"):
        check_extractor(None)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (None, r"\(mine, Mine\) returns nothing; expected are arrays by name"),
        (ROWS, "returns a ndarray"),
        ({"logits": ROWS}, "makes features as nothing of 2 images"),
        ({"features": ROWS}, "makes logits as nothing of 2 images"),
        ({"features": ROWS.tolist(), "logits": ROWS}, "makes features as a list"),
        ({"features": ROWS[0], "logits": ROWS}, r"makes features of shape \[3\] of 2 images; expected is \[2, width\]"),
        ({"features": ROWS[:, :0], "logits": ROWS}, r"makes features of shape \[2, 0\]"),
        ({"features": ROWS + np.nan, "logits": ROWS}, "or some that are no numbers"),
        ({"features": ROWS.astype(np.float64), "logits": ROWS}, "makes features of float64"),
        ({"features": ROWS, "logits": ROWS, "extra": ROWS}, "makes 'extra', which nothing reads"),
    ],
)
def test_check_arrays_names_the_array(arrays: object, message: str):
    extractor = made("Mine", Extractor, name="mine", offers=frozenset({"features", "logits", "classes"}))
    with pytest.raises(ValueError, match=message):
        check_arrays(extractor, arrays, 2)
    assert check_arrays(extractor, {"features": ROWS, "logits": ROWS}, 2).keys() == {"features", "logits"}


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({}, "reads of Mine is missing; it is the array that it needs: one of features, .* inherits its.Metric"),
        ({"reads": "feature", "against": "moments"}, "reads of Mine is 'feature'"),
        ({"reads": "features", "against": "reference"}, "against of Mine is 'reference'"),
    ],
)
def test_check_metrics_stated_names_key_class_and_attribute(attributes: dict, message: str):
    with pytest.raises(ValueError, match=f"metric.mine: {message}"):
        check_metrics_stated({"mine": made("Mine", Metric, **attributes)})


def test_check_metrics_stated_refuses_a_metric_without_a_name():
    with pytest.raises(ValueError, match="metric is a Mine; it is metrics by name: indent the _target_"):
        check_metrics_stated(made("Mine", Metric, reads="features", against="moments"))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (1.5, "Mine returns 1.5; a metric returns numbers by column"),
        (None, "Mine returns None"),
        ({"mine": np.zeros(3)}, "Mine returns {'mine': array"),
        ({"nfe": 1.0}, "Mine makes the column nfe, which is there already"),
        ({"twice": 1.0}, "Mine makes the column twice, which is there already"),
    ],
)
def test_columns_of_refuses_what_is_no_column(columns: object, message: str):
    first = made("First", Metric, against="nothing", __call__=lambda self, sample, reference: {"twice": 2})
    metric = made("Mine", Metric, against="nothing", __call__=lambda self, sample, reference: columns)
    sample, reference = Features.of({"features": ROWS}, LABELS[:2]), Reference(Moments.of(ROWS))
    with pytest.raises(ValueError, match=message):
        columns_of([first, metric], sample, reference)
    assert columns_of([first], sample, reference) == {"twice": 2.0}
