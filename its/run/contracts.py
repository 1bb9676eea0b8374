"""Checks what a dataset's, an extractor's and a metric's class must state; errors name class and attribute."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from its.dataset.image_set import Loaded
from its.metric.extractor import ARRAYS
from its.metric.metric import PARTS

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,79}")

BASES = {"dataset.images": "its.Classes", "dataset.report": "its.Extractor", "metric": "its.Metric"}
"""What an author's class inherits, by the part that it is for."""

Check = Callable[[Any], bool]


def check_dataset(data: Any) -> None:
    """Refuse a dataset that does not say its images' shape and what each is asked for.

    Raises:
        ValueError: naming class, attribute and remedy.
    """
    part = "dataset.images"
    _stated(part, data, "shape", _is_shape, "(channels, height, width) of its images, with 1 or 3 channels")
    _stated(part, data, "condition", callable, "a method: condition(index) returns image `index`'s class id, or None")
    condition = data.condition(0)
    if not (condition is None or isinstance(condition, str) or _is_count(condition, least=0)):
        _refuse(part, data, "condition(0)", condition, "the class id of image 0, a whole number from 0, or None")
    if hasattr(data, "num_classes"):
        _stated(part, data, "num_classes", _is_count, "how many classes there are, or 0")


def reference_of(data: Any) -> Loaded | None:
    """Return the real images that a dataset brings itself; None if they are kept elsewhere.

    Raises:
        ValueError: its `reference()` returns something else than images and class ids.
    """
    if getattr(data, "reference", None) is None:
        return None
    pair = data.reference()
    what = "(images, class ids): uint8 [n, H, W, C] and int64 [n], -1 for no class"
    if not isinstance(pair, tuple) or len(pair) != 2 or not all(isinstance(array, np.ndarray) for array in pair):
        _refuse("dataset.images", data, "reference()", _type(pair), what)
    images, labels = pair
    expected = (len(labels), *data.shape[1:], data.shape[0])
    for name, array, dtype, shape in (("images", images, np.uint8, expected), ("ids", labels, np.int64, labels.shape)):
        if array.dtype != dtype or array.shape != shape or labels.ndim != 1:
            kind = f"{name} of {array.dtype} and shape {list(array.shape)}"
            _refuse("dataset.images", data, "reference()", kind, f"{what}; here {list(expected)}")
    return Loaded("the dataset", images, labels)


def check_extractor(extractor: Any) -> None:
    """Refuse an extractor that does not state what it makes.

    Raises:
        ValueError: naming class, attribute and remedy.
    """
    part = "dataset.report"
    if extractor is None:
        raise ValueError(
            f"{part} is null, and it says what measures the images; choose one: dataset/report=inception, or a file of "
            "your own"
        )
    _stated(part, extractor, "name", _is_name, "a name for the folder of its features, another for other weights")
    _stated(part, extractor, "offers", _is_offer, f"the arrays that it makes, features and any of {', '.join(ARRAYS)}")
    _stated(part, extractor, "widths", lambda widths: isinstance(widths, Mapping), "a mapping; its.Extractor has {}")
    _stated(part, extractor, "fingerprint", _is_fingerprint, "a hash of its weights, or None; its.Extractor has None")
    if not callable(extractor):
        _refuse(part, extractor, "__call__", "missing", "a method: uint8 images [n, H, W, C] to arrays by name")


def check_metrics_stated(metrics: Any) -> None:
    """Refuse metrics, by their keys, that do not state what they read.

    Raises:
        ValueError: naming class, attribute and remedy.
    """
    if not isinstance(metrics, Mapping):
        raise ValueError(
            f"metric is {_type(metrics)}; it is metrics by name: indent the _target_ below a name, as fid: in "
            "conf/metric/fid.yaml"
        )
    for key, metric in metrics.items():
        part = f"metric.{key}"
        _stated(part, metric, "reads", ARRAYS.__contains__, f"the array that it needs: one of {', '.join(ARRAYS)}")
        _stated(part, metric, "against", PARTS.__contains__, f"what it compares with: one of {', '.join(PARTS)}")
        if not callable(metric):
            _refuse(part, metric, "__call__", "missing", "a method: (sample, reference) to numbers by column")


def check_arrays(extractor: Any, arrays: Any, images: int) -> dict[str, np.ndarray]:
    """Return an extractor's arrays of black images, if they are what it offers.

    Raises:
        ValueError: naming the array, its shape and type.
    """
    part, remedy = f"dataset.report ({extractor.name}, {type(extractor).__name__})", "correct its __call__"
    if not isinstance(arrays, Mapping):
        raise ValueError(f'{part} returns {_type(arrays)}; expected are arrays by name, {{"features": ...}}: {remedy}')
    for name in sorted({"features"} | set(extractor.offers) - {"classes"} | arrays.keys()):
        array = arrays.get(name)
        if name not in ARRAYS:
            raise ValueError(f"{part} makes {name!r}, which nothing reads; it makes {', '.join(ARRAYS)}: {remedy}")
        if not isinstance(array, np.ndarray) or array.ndim != 2 or len(array) != images or not array.shape[1]:
            shape = f"of shape {list(array.shape)}" if isinstance(array, np.ndarray) else f"as {_type(array)}"
            raise ValueError(
                f"{part} makes {name} {shape} of {images} images; expected is [{images}, width] of NumPy: {remedy}"
            )
        if array.dtype != np.float32 or not np.isfinite(array).all():
            raise ValueError(
                f"{part} makes {name} of {array.dtype} of black images, or some that are no numbers; expected is "
                f"float32: {remedy}"
            )
    return dict(arrays)


def _stated(part: str, thing: Any, name: str, fits: Check, what: str) -> None:
    if not hasattr(thing, name):
        _refuse(part, thing, name, "missing", what)
    if not fits(value := getattr(thing, name)):
        _refuse(part, thing, name, repr(value), what)


def _refuse(part: str, thing: Any, name: str, found: object, what: str) -> None:
    base = BASES[part.partition(".")[0] if part.startswith("metric") else part]
    raise ValueError(
        f"{part}: {name} of {type(thing).__name__} is {found}; it is {what}: correct the class, which inherits {base}"
    )


def _type(value: Any) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"


def _is_count(value: Any, least: int = 0) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(value >= least)


def _is_shape(value: Any) -> bool:
    return (
        isinstance(value, Sequence)
        and len(value) == 3
        and all(_is_count(size, least=1) for size in value)
        and value[0] in (1, 3)
    )


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and NAME.fullmatch(value) is not None


def _is_offer(value: Any) -> bool:
    return isinstance(value, frozenset | set | tuple | list) and "features" in value and set(value) <= set(ARRAYS)


def _is_fingerprint(value: Any) -> bool:
    return value is None or isinstance(value, str)
