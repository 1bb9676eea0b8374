"""Files of reference statistics: every format there and back, and what is no statistics."""

from pathlib import Path

import numpy as np
import pytest

from its.dataset.image_set import Loaded
from its.metric.features import Features, Moments
from its.metric.reference import Reference
from its.metric.statistics_file import image_arrays, read_statistics, write_statistics

N, WIDTH = 40, 6


@pytest.fixture
def reference() -> Reference:
    rng = np.random.default_rng(0)
    features = Features(
        rng.standard_normal((N, WIDTH)).astype(np.float32), np.zeros((N, 0), dtype=np.float32), np.arange(N) % 4
    )
    return Reference(features.moments, Moments.of(rng.standard_normal((N, 9))), features)


@pytest.fixture
def images() -> Loaded:
    pixels = np.random.default_rng(1).integers(0, 256, (N, 4, 4, 3), dtype=np.uint8)
    return Loaded("noise", pixels, np.arange(N) % 4)


def test_statistics_file_in_our_format_holds_everything(tmp_path: Path, reference, images):
    write_statistics(tmp_path / "a.npz", "its", reference, images, "print")
    found = read_statistics(tmp_path / "a.npz")
    for own, written in ((found.moments, reference.moments), (found.spatial, reference.spatial)):
        assert own.count == N
        np.testing.assert_array_equal(own.mean, written.mean)
        np.testing.assert_array_equal(own.covariance, written.covariance)
    np.testing.assert_array_equal(found.images.features, reference.images.features)
    np.testing.assert_array_equal(found.images.labels, reference.images.labels)
    assert found.extractor == "print"


@pytest.mark.parametrize("form", ["edm", "pytorch-fid", "openai"])
def test_statistics_file_in_other_formats_is_read_by_numpy_and_here(tmp_path: Path, reference, images, form):
    write_statistics(tmp_path / "a.npz", form, reference, images, "print")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        wanted = {"mu", "sigma"} | ({"arr_0", "arr_1", "mu_s", "sigma_s"} if form == "openai" else set())
        assert set(file) == wanted
        np.testing.assert_array_equal(file["sigma"], np.float64(reference.moments.covariance))
        if form == "openai":
            np.testing.assert_array_equal(file["arr_0"], images.images)
            np.testing.assert_array_equal(file["arr_1"], images.labels)
    found = read_statistics(tmp_path / "a.npz")
    assert found.moments.count is None
    assert (found.spatial is not None) == (form == "openai")
    assert found.images is None


def test_statistics_file_covariance_agrees_with_numpy(tmp_path: Path, reference, images):
    write_statistics(tmp_path / "a.npz", "edm", reference, images, "print")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        expected = np.cov(reference.images.features.astype(float), rowvar=False)
        np.testing.assert_allclose(file["sigma"], expected, rtol=1e-9)


@pytest.mark.parametrize("most", [None, 7, 100])
def test_image_arrays_are_cut_to_the_number_asked_for(images, most, monkeypatch):
    monkeypatch.setattr("its.metric.statistics_file.ROWS", 3)
    arrays = image_arrays(images, most)
    n = min(N, most or N)
    assert arrays["arr_0"].shape == (n, 4, 4, 3)
    np.testing.assert_array_equal(np.concatenate(list(arrays["arr_0"].blocks)), images.images[:n])
    np.testing.assert_array_equal(arrays["arr_1"], images.labels[:n])


def test_image_arrays_leave_out_unknown_labels(images):
    assert "arr_1" not in image_arrays(Loaded("noise", images.images, images.labels - 1))


good = {"mu": np.zeros(3), "sigma": np.eye(3)}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"mu": good["mu"]}, "holds one of mu and sigma"),
        ({**good, "mu": np.zeros(4)}, "take both from one file"),
        ({**good, "sigma": np.triu(np.ones((3, 3)))}, "must be symmetric"),
        ({**good, "sigma": -np.eye(3)}, "eigenvalues from -1 to -1, but must be positive semi-definite"),
        ({**good, "mu": np.array([0, np.nan, 0])}, "NaN or Inf"),
        ({**good, "mu": np.zeros(3, dtype=int)}, "it is of floats"),
        ({**good, "mu": np.zeros((3, 1))}, "it is of floats, with 1 axes"),
        ({**good, "mu": np.zeros(3, np.float16)}, "mu of .* is float16 .* of 32 bits or more"),
        ({**good, "sigma": np.ones(3)}, r"sigma of .* of shape \(3,\); it is of floats, with 2 axes"),
        ({"mu": np.zeros(0), "sigma": np.zeros((0, 0))}, r"mu of .* of shape \(0,\)"),
        ({**good, "sigma": np.eye(3) + 2 * np.eye(3)[::-1]}, "must be positive semi-definite"),
        ({"mean": good["mu"], "cov": good["sigma"]}, r"holds cov, mean, which is not known here.*np\.savez"),
        ({**good, "resolution": np.array(32)}, "holds resolution, which is not known here"),
        ({**good, "features": np.zeros((2, 3))}, "features is float64"),
        ({**good, "count": np.array(50.0)}, r"a.npz: count is float64 of shape \(\); it is one whole number"),
    ],
)
def test_read_statistics_refuses_invalid_statistics(tmp_path: Path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        read_statistics(tmp_path / "a.npz")
