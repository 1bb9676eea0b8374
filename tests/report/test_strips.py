"""The same problems side by side."""

import io

import numpy as np
from PIL import Image

from its.budget import Cap
from its.report.runs import load_runs
from its.report.series import series_of
from its.report.strips import caps_of, strip_image, strip_png, strips_of
from tests.report.conftest import write_shard


def strips(folder):
    return strips_of(folder, series_of(load_runs(folder)))


def test_strip_shows_the_picked_image_at_each_cap(write_run, tmp_path):
    pick = np.random.default_rng(0).permutation(40).reshape(10, 4)
    images = write_shard(write_run("random", images=10), pick)
    write_run("none", images=10)
    (strip,) = strips(tmp_path / "demo")
    assert strip.classes == tuple(range(8))
    assert caps_of([strip]) == [Cap(5), Cap(10), Cap(20), Cap(40)]
    for column, cap in enumerate(strip.by_cap):
        np.testing.assert_array_equal(strip.by_cap[cap], images[pick[:8, column]])


def test_strip_shows_a_failed_image_as_white_in_its_place(write_run, tmp_path):
    pick = np.arange(16).reshape(4, 4)
    pick[1] = -1
    pick[:, 2] = -1
    images = write_shard(write_run("random", images=4), pick)
    (strip,) = strips(tmp_path / "demo")
    np.testing.assert_array_equal(strip.by_cap[Cap(5)][[0, 2, 3]], images[[0, 8, 12]])
    assert (strip.by_cap[Cap(5)][1] == 255).all()
    assert (strip.by_cap[Cap(20)] == 255).all()


def test_strips_are_all_of_one_seed(write_run, tmp_path):
    pick = np.arange(16).reshape(4, 4)
    shards = {
        (search, seed): write_shard(write_run(search, seed=seed, images=4), pick, seed)
        for search, seed in (("beam", 0), ("beam", 1), ("random", 1), ("ses", 10))
    }
    beam, random = strips(tmp_path / "demo")
    np.testing.assert_array_equal(beam.by_cap[Cap(5)], shards["beam", 1][::4])
    np.testing.assert_array_equal(random.by_cap[Cap(5)], shards["random", 1][::4])


def test_strip_image_enlarges_small_images_and_thins_large_ones():
    images = np.arange(2 * 8 * 8, dtype=np.uint8).reshape(2, 8, 8, 1)
    row = strip_image(images)
    assert row.shape == (32, 2 * 32 + 2, 1)
    np.testing.assert_array_equal(row[::4, :32:4], images[0])
    np.testing.assert_array_equal(row[::4, 34::4], images[1])
    assert strip_image(np.zeros((1, 512, 512, 3), np.uint8)).shape == (103, 103, 3)
    assert Image.open(io.BytesIO(strip_png(images))).mode == "L"
