"""OpenAI's reference batches, and the sentence that stands beside every FID."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from its.dataset.classes import Classes, ClassOrder
from its.dataset.folder import Folder
from its.metric.extractor import Extractor
from its.metric.features import Features, Moments
from its.metric.fid import Fid, frechet_distance
from its.metric.prc import PrecisionRecall
from its.metric.protocol import label_rule, protocol
from its.metric.reference_source import ReferenceSource, check_shape
from its.metric.sfid import SFid
from its.report.protocol import sentence


class Pixels(Extractor):
    """An extractor of the first five pixels, with the next three as spatial features."""

    name = "pixels"
    offers = frozenset({"features", "spatial"})

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        flat = images.astype(np.float32).reshape(len(images), -1)
        return {"features": flat[:, :5], "spatial": flat[:, 5:8]}


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    """A batch as OpenAI publishes them: statistics of the whole set, which its images are not."""
    random = np.random.default_rng(0)
    whole = random.normal(100, 30, (500, 8))
    moments = [Moments.of(part.astype(np.float32)) for part in (whole[:, :5], whole[:, 5:])]
    images = random.integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)
    names = (("mu", "sigma"), ("mu_s", "sigma_s"))
    statistics = {
        name: array
        for pair, part in zip(names, moments, strict=True)
        for name, array in zip(pair, (part.mean, part.covariance), strict=True)
    }
    return {"arr_0": images, "arr_1": np.arange(20) * 50, **statistics}


def source(tmp_path: Path, arrays: dict[str, np.ndarray]) -> ReferenceSource:
    np.savez(tmp_path / "VIRTUAL_imagenet8_labeled.npz", **arrays)
    return ReferenceSource.open(Pixels(), None, str(tmp_path / "VIRTUAL_imagenet8_labeled.npz"))


def test_openai_batch_gives_fid_by_its_statistics_and_precision_by_its_images(tmp_path: Path, arrays):
    images = np.random.default_rng(1).integers(0, 256, (30, 8, 8, 3), dtype=np.uint8)
    sample = Features.of(Pixels()(images), np.zeros(30, np.int64))
    reference = source(tmp_path, arrays).load()
    whole = [Moments(None, arrays[mean], arrays[sigma]) for mean, sigma in (("mu", "sigma"), ("mu_s", "sigma_s"))]
    fid = Fid()(sample, reference.part(Fid.against))["fid"]
    assert fid == pytest.approx(frechet_distance(sample.moments, whole[0]), rel=1e-9)
    sfid = SFid()(sample, reference.part(SFid.against))["sfid"]
    assert sfid == pytest.approx(frechet_distance(sample.spatial_moments, whole[1]), rel=1e-9)
    of_images = Features.of(Pixels()(arrays["arr_0"]), arrays["arr_1"])
    assert fid != pytest.approx(Fid()(sample, of_images)["fid"], rel=0.01)
    expected = PrecisionRecall()(sample, of_images)
    assert PrecisionRecall()(sample, reference.part(PrecisionRecall.against)) == expected


def test_openai_batch_of_another_resolution_is_refused(tmp_path: Path, arrays):
    with pytest.raises(
        ValueError, match=r"images of shape \(3, 8, 8\), and those that are measured have \(3, 16, 16\)"
    ):
        check_shape(source(tmp_path, arrays), (3, 16, 16), any_shape=False, option="dataset.any_shape=true")


@pytest.mark.parametrize(
    ("names", "reference"),
    [
        (
            ("arr_0", "arr_1", "mu", "sigma", "mu_s", "sigma_s"),
            "statistics VIRTUAL_imagenet8_labeled.npz at 8x8, image by image 20 images of "
            "VIRTUAL_imagenet8_labeled.npz at 8x8 (lossless)",
        ),
        (("mu", "sigma"), "statistics VIRTUAL_imagenet8_labeled.npz of a size that it does not say"),
        (("arr_0", "arr_1"), "20 images of VIRTUAL_imagenet8_labeled.npz at 8x8 (lossless)"),
    ],
)
def test_protocol_says_what_the_reference_is(tmp_path: Path, arrays, names, reference):
    entries = protocol("uniform", 50_000, (3, 8, 8), source(tmp_path, {name: arrays[name] for name in names}))
    assert entries["reference"] == reference
    assert sentence(entries) == f"labels uniform · 8x8 · features pixels · reference {reference}"
    assert entries["images"] == 50_000


@pytest.mark.parametrize(
    ("suffixes", "options", "form"),
    [
        (("png", "bmp"), {}, "lossless, as they are"),
        (("jpg", "JPEG"), {}, "JPEG, as they are"),
        (("jpg", "png", "webp"), {"crop": "adm", "size": 4}, "1 JPEG and 1 WebP and 1 lossless, by crop=adm"),
        (("jpg",), {"crop": "squash", "size": 4}, "JPEG, by crop=squash"),
    ],
)
def test_folder_form_says_format_and_crop(tmp_path: Path, suffixes, options, form):
    for k, suffix in enumerate(suffixes):
        Image.fromarray(np.full((8, 8, 3), k, np.uint8)).save(tmp_path / f"{k}.{suffix}")
    folder = Folder(str(tmp_path), **options)
    assert folder.form == form
    assert ("a JPEG of this very size moves FID" in folder.account) == (form == "JPEG, as they are")


def test_protocol_says_that_a_set_of_an_author_does_not_tell_its_format():
    class Mine:
        """Images of somebody's own class."""

        source, shape = "mine", (3, 4, 4)

        def __len__(self) -> int:
            return 2

    entries = protocol("none", 2, (3, 4, 4), ReferenceSource(Pixels(), Mine()))
    assert entries["reference"] == "2 images of mine at 4x4 (in a format that is not said)"


@pytest.mark.parametrize(
    ("classes", "rule"),
    [("balanced", "balanced"), ("uniform", "uniform"), (222, "class 222"), ([3, 5], "classes 3, 5 in turn")],
)
def test_label_rule_is_the_datasets(classes, rule):
    data = Classes((3, 4, 4), 1000, ClassOrder(classes))
    ids = np.array([data.condition(k) for k in range(9)])
    assert label_rule(ids, data) == rule


def test_label_rule_without_a_dataset_is_what_the_classes_tell():
    assert label_rule(np.full(4, -1)) == "none"
    assert label_rule(np.full(4, 7)) == "class 7"
    assert label_rule(np.arange(2000) % 1000) == "1,000 classes of 2"
    assert label_rule(np.array([0, 0, 1])) == "2 classes of 1 to 2"
