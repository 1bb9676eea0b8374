"""The Inception extractor against torch-fidelity's own entry point, on real images and random weights."""

from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch

from its.dataset.image_set import Loaded
from its.metric import inception
from its.metric.features import Features, Moments
from its.metric.fid import Fid
from its.metric.inception import NAMES, InceptionFeatures, find_weights, load_network
from its.metric.isc import InceptionScore
from its.metric.kid import Kid
from its.metric.prc import PrecisionRecall
from its.metric.reference import extract_features, extract_reference

pytestmark = pytest.mark.long

N = 16


@pytest.fixture(scope="module")
def extractor(inception_weights: Path) -> InceptionFeatures:
    return InceptionFeatures(str(inception_weights), spatial=True, rows=8)


@pytest.fixture(scope="module")
def sets(cifar) -> tuple[Loaded, Loaded]:
    """Test images against training images, the first of both."""
    return (Loaded("test", cifar["test"][:N], np.arange(N) % 2), Loaded("train", cifar["train"][:N], np.arange(N) % 2))


@pytest.fixture(scope="module")
def measured(extractor, sets) -> tuple[Features, Features]:
    return extract_features(sets[0], extractor), extract_features(sets[1], extractor)


class Rows(torch.utils.data.Dataset):
    """Images as torch-fidelity takes them."""

    def __init__(self, images: np.ndarray) -> None:
        self.images = torch.from_numpy(images).movedim(-1, 1)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.images[index]


def by_torch_fidelity(inception_weights: Path, sets: tuple[Loaded, Loaded], **metrics: object) -> dict[str, float]:
    import torch_fidelity

    return torch_fidelity.calculate_metrics(
        input1=Rows(sets[0].images),
        input2=Rows(sets[1].images),
        feature_extractor="inception-v3-compat",
        feature_extractor_weights_path=str(inception_weights),
        cuda=False,
        cache=False,
        verbose=False,
        save_cpu_ram=True,
        batch_size=N,
        **metrics,
    )


def test_inception_features_give_the_metrics_of_torch_fidelity(inception_weights, sets, measured):
    theirs = by_torch_fidelity(
        inception_weights, sets, isc=True, kid=True, prc=True, isc_splits=3, kid_subsets=7, kid_subset_size=12
    )
    sample, reference = measured
    ours = {**InceptionScore(splits=3)(sample), **Kid(7, 12)(sample, reference), **PrecisionRecall()(sample, reference)}
    names = {
        "isc": "inception_score_mean",
        "kid": "kernel_inception_distance_mean",
        "precision": "precision",
        "recall": "recall",
    }
    assert abs(theirs[names["kid"]]) > 1e-4, "random weights must tell the sets apart"
    assert theirs[names["isc"]] > 1.002, "and images"
    for name, name_there in names.items():
        assert ours[name] == pytest.approx(theirs[name_there], rel=1e-5), name


@pytest.mark.long
def test_inception_features_give_the_fid_of_torch_fidelity(inception_weights, sets, measured):
    """Its eigenvalues of a product of 2,048 x 2,048 matrices take most of a minute."""
    theirs = by_torch_fidelity(inception_weights, sets, fid=True)["frechet_inception_distance"]
    assert theirs > 0.01
    assert Fid()(*measured)["fid"] == pytest.approx(theirs, rel=1e-5)


def test_inception_features_take_spatial_ones_from_a_branch_of_mixed_6(inception_weights, sets, measured):
    network = load_network(inception_weights.read_bytes(), "")
    seen = []
    network.Mixed_6d.branch1x1.register_forward_hook(lambda module, inputs, output: seen.append(output))
    with torch.inference_mode():
        network(torch.from_numpy(sets[0].images[:2]).movedim(-1, 1))
    places_first = seen[0][:, :7].permute(0, 2, 3, 1).reshape(2, -1)
    assert places_first.shape == (2, 17 * 17 * 7)
    np.testing.assert_allclose(measured[0].spatial[:2], places_first, rtol=1e-4, atol=1e-5)


def test_extract_reference_in_blocks_equals_the_whole(extractor, sets, measured, monkeypatch):
    monkeypatch.setattr("its.metric.reference.ROWS", 7)
    monkeypatch.setattr("its.metric.reference.BLOCK_ROWS", 14)
    monkeypatch.setattr(type(extractor), "__call__", lambda self, images: rows_of(images))
    rows = {image.tobytes(): k for k, image in enumerate(sets[1].images)}

    def rows_of(images):
        chosen = [rows[image.tobytes()] for image in images]
        return {
            "features": measured[1].features[chosen],
            "logits": measured[1].logits[chosen],
            "spatial": measured[1].spatial[chosen],
        }

    found = extract_reference(sets[1], extractor)
    for own, whole in ((found.moments, measured[1].moments), (found.spatial, Moments.of(measured[1].spatial))):
        assert own.count == N
        np.testing.assert_allclose(own.mean, whole.mean, rtol=1e-12)
        np.testing.assert_allclose(own.covariance, whole.covariance, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(found.images.labels, sets[1].labels)


def test_inception_features_repeat_gray_images_as_colour(extractor):
    gray = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 1), dtype=np.uint8)
    for name, array in extractor(gray).items():
        np.testing.assert_array_equal(array, extractor(gray.repeat(3, axis=3))[name])


def test_inception_features_take_classes_from_a_held_out_classifier(inception_weights):
    class Mean(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.mean(dim=(2, 3))

    extractor = InceptionFeatures(str(inception_weights), classifier=Mean(), rows=2)
    images = np.zeros((1, 8, 8, 3), dtype=np.uint8)
    images[..., 1] = 255
    found = extractor(images)
    np.testing.assert_allclose(found["classes"], [[-1, 1, -1]])
    assert "classes" in extractor.offers
    assert extractor.name != InceptionFeatures(str(inception_weights)).name


def test_find_weights_takes_path_then_environment_then_hub_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.delenv("ITS_INCEPTION", raising=False)
    with pytest.raises(ValueError, match="load_state_dict_from_url"):
        find_weights(None)
    (tmp_path / "checkpoints").mkdir()
    cached = tmp_path / "checkpoints" / NAMES[1]
    cached.touch()
    assert find_weights(None) == cached
    (tmp_path / "other.pth").touch()
    monkeypatch.setenv("ITS_INCEPTION", str(tmp_path / "other.pth"))
    assert find_weights(None) == tmp_path / "other.pth"
    assert find_weights(str(cached)) == cached
    with pytest.raises(ValueError, match="no Inception weights at"):
        find_weights(str(tmp_path / "none.pth"))
    with pytest.raises(ValueError, match="not the file that its name says"):
        InceptionFeatures(str(cached))


def test_inception_features_fetch_weights_once_and_check_the_hash(tmp_path, monkeypatch):
    (tmp_path / "published").write_bytes(b"weights")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("ITS_INCEPTION", raising=False)
    monkeypatch.setattr(inception, "URL", (tmp_path / "published").as_uri())
    with pytest.raises(RuntimeError, match="invalid hash value"):
        InceptionFeatures.fetch()
    monkeypatch.setattr(inception, "SHA256", sha256(b"weights").hexdigest())
    InceptionFeatures.fetch(spatial=True)
    (tmp_path / "published").unlink()
    InceptionFeatures.fetch()
    assert find_weights(None).read_bytes() == b"weights"
    assert find_weights(None).is_relative_to(tmp_path / "torch")


class Evil:
    def __reduce__(self):
        return print, ("this would have been code",)


def test_inception_features_refuse_pickled_code_and_misfit_weights(tmp_path, capsys):
    torch.save({"fc.weight": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(ValueError, match="does not hold weights alone"):
        InceptionFeatures(str(tmp_path / "evil.pth"))
    assert not capsys.readouterr().out
    torch.save({"fc.weight": torch.zeros(2, 2)}, tmp_path / "small.pth")
    with pytest.raises(ValueError, match=r"does not fit the Inception network.*Missing"):
        InceptionFeatures(str(tmp_path / "small.pth"))
