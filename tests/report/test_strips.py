"""The same problems side by side."""

import io

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save

from its.report.runs import load_runs
from its.report.series import series_of
from its.report.strips import caps_of, strip_image, strip_png, strips_of


@pytest.fixture
def strips(write_run, tmp_path):
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (40, 8, 8, 1), dtype=np.uint8)
    pick = random.permutation(40).reshape(10, 4)
    folder = write_run("random", images=10)
    (folder / "shards").mkdir()
    (folder / "shards" / "00000000.safetensors").write_bytes(save({"images": images, "pick": pick}))
    write_run("none", images=10)
    return images, pick, strips_of(tmp_path / "demo", series_of(load_runs(tmp_path / "demo")))


def test_a_strip_is_what_was_picked_at_each_cap(strips):
    images, pick, (strip,) = strips
    assert caps_of([strip]) == [5, 10, 20, 40]
    for column, cap in enumerate(strip.by_cap):
        np.testing.assert_array_equal(strip.by_cap[cap], images[pick[:8, column]])


def test_small_images_are_enlarged_exactly_and_large_ones_thinned():
    images = np.arange(2 * 8 * 8, dtype=np.uint8).reshape(2, 8, 8, 1)
    row = strip_image(images)
    assert row.shape == (32, 2 * 32 + 2, 1)
    np.testing.assert_array_equal(row[::4, :32:4], images[0])
    np.testing.assert_array_equal(row[::4, 34::4], images[1])
    assert strip_image(np.zeros((1, 512, 512, 3), np.uint8)).shape == (103, 103, 3)
    assert Image.open(io.BytesIO(strip_png(images))).mode == "L"
