"""Where references come from: the cache by content, files, and metrics that a reference cannot serve."""

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from its.dataset.image_set import Loaded
from its.metric.accuracy import Accuracy
from its.metric.fid import Fid
from its.metric.kid import Kid
from its.metric.reference_source import ReferenceSource, check_metrics
from its.metric.sfid import SFid
from its.metric.statistics_file import read_statistics, write_statistics
from its.process import source_files
from its.rerun.image_sets import open_reference


class Mean:
    """An extractor that counts how often it is asked."""

    name = "mean-1"
    fingerprint = "1"
    widths: ClassVar = {"moments": 5, "spatial": 2}

    def __init__(self, *more: str) -> None:
        self.offers = frozenset({"features", "logits", *more})
        self.asked = 0

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        self.asked += 1
        features = images.astype(np.float32).reshape(len(images), -1)[:, :5]
        more = {"spatial": features[:, :2]} if "spatial" in self.offers else {}
        return {"features": features, "logits": features, **more}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setenv("ITS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def images() -> Loaded:
    pixels = np.random.default_rng(1).integers(0, 256, (30, 4, 4, 3), dtype=np.uint8)
    return Loaded("noise", pixels, np.arange(30) % 4)


def test_reference_source_measures_images_once_by_content(images, cache):
    extractor = Mean()
    first = ReferenceSource(extractor, images)
    found = first.load()
    assert extractor.asked == 1
    again = ReferenceSource(extractor, Loaded("elsewhere", images.images.copy(), images.labels)).load()
    assert extractor.asked == 1
    np.testing.assert_array_equal(found.moments.covariance, again.moments.covariance)
    np.testing.assert_array_equal(again.images.labels, images.labels)
    ReferenceSource(extractor, Loaded("noise", images.images + 1, images.labels)).load()
    ReferenceSource(Mean("spatial"), images).load()
    assert extractor.asked == 2
    assert len(list(cache.rglob("*.npz"))) == 3


def test_reference_source_remakes_a_damaged_cache_file(images, cache, caplog):
    whole = ReferenceSource(Mean(), images).load()
    (kept,) = cache.rglob("*.npz")
    kept.write_bytes(kept.read_bytes()[:-40])
    again = ReferenceSource(Mean(), images).load()
    assert "made again" in caplog.text
    np.testing.assert_array_equal(again.moments.mean, whole.moments.mean)


def test_reference_source_warns_of_a_cache_that_cannot_be_written_and_extracts_once(images, monkeypatch, caplog):
    monkeypatch.setenv("ITS_CACHE", "/proc/nowhere")
    extractor = Mean()
    source = ReferenceSource(extractor, images)
    loaded = source.load()
    assert loaded is source.load()
    assert extractor.asked == 1
    assert "/proc/nowhere" in caplog.text
    assert "cannot be written" in caplog.text


def test_reference_source_extracts_again_with_another_extractors_code(images, cache, monkeypatch):
    extractor = Mean()
    ReferenceSource(extractor, images).load()
    monkeypatch.setattr(source_files, "digest_of", lambda module: "edited")
    ReferenceSource(extractor, images).load()
    assert extractor.asked == 2
    assert len(list((cache / "references").iterdir())) == 2


def test_reference_source_caches_nothing_without_a_fingerprint(images, cache):
    extractor = Mean()
    extractor.fingerprint = None
    source = ReferenceSource(extractor, images)
    source.load()
    source.load()
    assert extractor.asked == 1
    assert not cache.exists()


def test_reference_source_keeps_given_statistics_beside_images(tmp_path: Path, images):
    extractor = Mean()
    np.savez(tmp_path / "given.npz", arr_0=images.images, mu=np.ones(5), sigma=np.eye(5))
    source = ReferenceSource.open(extractor, None, str(tmp_path / "given.npz"))
    assert source.offers == {"nothing", "moments", "images"}
    found = source.load()
    np.testing.assert_array_equal(found.moments.mean, np.ones(5))
    np.testing.assert_array_equal(found.images.features, Mean()(images.images)["features"])
    np.savez(tmp_path / "alone.npz", mu=np.ones(5), sigma=np.eye(5))
    both = ReferenceSource.open(extractor, images, str(tmp_path / "alone.npz"))
    assert both.offers == {"nothing", "moments", "images"}
    assert both.fingerprint != ReferenceSource(extractor, images).fingerprint


def test_write_statistics_keeps_given_moments_in_another_format(tmp_path: Path, images):
    """As scripts/prepare_reference.py does: OpenAI's and EDM's numbers stand, features of arr_0 are added."""
    mean, covariance = np.arange(5.0), np.diag([1.0, 2.0, 3.0, 4.0, 5.0])
    np.savez(tmp_path / "openai.npz", arr_0=images.images, arr_1=images.labels, mu=mean, sigma=covariance)
    np.savez(tmp_path / "edm.npz", mu=mean, sigma=covariance)
    extractor = Mean()
    for name in ("openai", "edm"):
        source = open_reference(extractor, str(tmp_path / f"{name}.npz"))
        write_statistics(tmp_path / f"{name}-its.npz", "its", source.load(), source.images, extractor.fingerprint)
        found = read_statistics(tmp_path / f"{name}-its.npz")
        np.testing.assert_array_equal(found.moments.mean, mean)
        np.testing.assert_array_equal(found.moments.covariance, covariance)
        assert found.moments.count is None, "nobody knows of how many images"
        assert (found.images is None, found.extractor) == ((True, None) if name == "edm" else (False, "1"))
    with pytest.raises(ValueError, match="format openai holds the images"):
        write_statistics(tmp_path / "x.npz", "openai", source.load(), source.images, extractor.fingerprint)


def test_check_metrics_refuses_kid_and_sfid_on_moments_alone(tmp_path: Path):
    np.savez(tmp_path / "alone.npz", mu=np.ones(5), sigma=np.eye(5))
    source = ReferenceSource.open(Mean("spatial"), None, str(tmp_path / "alone.npz"))
    check_metrics({"fid": Fid()}, source)
    with pytest.raises(
        ValueError,
        match=r"metric.kid needs the features of every image.*alone.npz has moments only.*"
        r"prepare_reference.py makes of them, or leave it out: ~metric.kid",
    ):
        check_metrics({"fid": Fid(), "kid": Kid()}, source)
    with pytest.raises(ValueError, match=r"metric.sfid needs spatial statistics.*--spatial"):
        check_metrics({"sfid": SFid()}, source)


def test_check_metrics_refuses_metrics_the_extractor_cannot_serve(images):
    source = ReferenceSource(Mean(), images)
    with pytest.raises(ValueError, match=r"reads spatial.*dataset.report.spatial=true, or leave it out: ~metric.sfid"):
        check_metrics({"sfid": SFid()}, source)
    with pytest.raises(ValueError, match=r"reads classes.*held-out dataset.report.classifier"):
        check_metrics({"accuracy": Accuracy()}, source)


def test_reference_source_refuses_other_weights_and_no_reference(tmp_path: Path, images):
    with pytest.raises(ValueError, match=r"^metric.fid compares with real images.* no reference.*out: ~metric.fid$"):
        check_metrics({"fid": Fid()}, ReferenceSource(Mean()))
    np.savez(tmp_path / "narrow.npz", mu=np.ones(4), sigma=np.eye(4))
    with pytest.raises(ValueError, match=r"moments of .*narrow.npz are of 4 features, and mean-1 makes 5"):
        ReferenceSource.open(Mean(), None, str(tmp_path / "narrow.npz"))
    write_statistics(tmp_path / "other.npz", "its", ReferenceSource(Mean(), images).load(), images, "another network")
    with pytest.raises(ValueError, match=r"made with weights of sha256 another network.*prepare_reference.py"):
        ReferenceSource.open(Mean(), None, str(tmp_path / "other.npz"))
