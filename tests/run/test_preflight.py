"""What does not fit is said by name before anything is sampled, and the look leaves no trace."""

import json
import random
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from its.dataset.digits import Digits
from its.metric.extractor import NetworkFeatures
from its.run.preflight import check_fit
from tests.build import make_experiment

QUICK = ("search=none", "sampler.steps=2", "budget.samplings=[1]", "images=4", "shard=4", "verifier=null_rewards")


def digits_in(folder: Path, count: int = 12) -> Path:
    """Real digits as a folder of grey pictures, by class."""
    for k, (image, label) in enumerate(zip(*Digits().images(), strict=True)):
        if k == count:
            return folder
        (folder / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[..., 0]).save(folder / str(label) / f"{k:03d}.png")
    raise AssertionError


def folder_words(folder: Path, *more: str) -> tuple[str, ...]:
    """Digits with a folder as the reference; the report network of digits measures."""
    node = {"_target_": "its.dataset.folder.Folder", "path": str(folder), "channels": 1}
    words = [f"+dataset.reference.{key}={value}" for key, value in node.items()]
    return (*QUICK, "model=digits", "metric=fid", *words, *more)


@pytest.fixture
def run(tmp_path: Path):
    """A run whose engine must not be asked for an image."""

    def make(*words: str, **parts):
        run = make_experiment(tmp_path / "out", *words)
        for role, part in parts.items():
            run.engine.verifiers = {**run.engine.verifiers, role: part}
        run.engine.run = lambda *_: pytest.fail("it was sampled")
        return run

    return make


class Rewards:
    """A verifier that gives whatever a function makes of images."""

    absolute = True

    def __init__(self, function) -> None:
        self.function = function

    def reward(self, images, conditions):
        return self.function(images)


def colour_network(images):
    return torch.nn.Conv2d(3, 1, 3)(images)


SELECTS = {
    "three channels of one": (colour_network, r"\[2, 1, 8, 8\] images, asked for 3, and cannot .* to have 3 channels"),
    "one reward for all": (lambda images: images.mean(), r"rewards of shape \[\] .* tensor of shape \[2\]"),
    "one reward kept": (lambda images: images.mean().reshape(1), r"rewards of shape \[1\] .* tensor of shape \[2\]"),
    "a column": (lambda images: images.flatten(1).sum(1, keepdim=True), r"rewards of shape \[2, 1\]"),
    "no tensor": (lambda images: [0.0, 0.0], "returned a list for 2 images"),
    "half a float": (lambda images: images.bfloat16().mean((1, 2, 3)), "torch.bfloat16 for 2 images; expected is"),
    "complex": (lambda images: images.mean((1, 2, 3)) * 1j, "torch.complex64 for 2 images; expected is"),
    "training mode": (lambda images: torch.nn.BatchNorm2d(1)(images).sum((1, 2, 3)), "BatchNorm2d is in training mode"),
    "dropout": (lambda images: torch.nn.Dropout(0.5)(images).sum((1, 2, 3)), "Dropout is in training mode"),
}


@pytest.mark.parametrize(("function", "message"), SELECTS.values(), ids=SELECTS)
def test_check_fit_names_a_verifier_that_does_not_fit(run, function, message):
    with pytest.raises(ValueError, match=rf"verifier(@select| Rewards) .*{message}"):
        run(*QUICK, "model=digits", select=Rewards(function)).run()


def test_check_fit_names_a_guide_without_gradient(run):
    words = (*QUICK, "model=digits", "guidance=dps")
    with pytest.raises(
        ValueError, match=r"verifier@guide is given \[2, 1, 8, 8\] rows, asked for 3, .* does not require"
    ):
        run(*words, guide=Rewards(lambda images: images.detach().sum((1, 2, 3)))).run()


@pytest.mark.parametrize("shape", [(2, 3, 8, 8), (1, 1, 8, 8), (2, 1, 1, 1)], ids=["channels", "rows", "pixels"])
def test_check_fit_names_the_model_and_the_shape_it_makes(run, shape):
    broken = run(*QUICK, "model=digits")
    broken.engine.model.network = lambda x, time, label: torch.zeros(shape)
    words = rf"model is given \[2, 1, 8, 8\] rows, .* the network makes {re.escape(str(list(shape)))} of rows"
    with pytest.raises(ValueError, match=words):
        broken.run()


def test_check_fit_gives_the_decoder_a_latent_and_names_it(run):
    decoded = run(*QUICK, "model=digits")

    class Decoder:
        shape = (1, 8, 8)

        def __call__(self, latents):
            return latents[:, :, ::2, ::2]

    decoded.engine.model.decoder = Decoder()
    with pytest.raises(ValueError, match=r"model.decoder makes images of shape \[2, 1, 4, 4\] .* \[2, 1, 8, 8\]"):
        decoded.run()


CUTS = {"detach": lambda latents: latents.detach(), "no_grad": torch.no_grad()(lambda latents: latents + 1)}
"""Decoders that no gradient passes."""


@pytest.mark.parametrize("name", CUTS)
def test_check_fit_refuses_a_guidance_through_a_decoder_that_no_gradient_passes(run, name):
    guided = run(*QUICK, "model=digits", "guidance=dps")

    class Decoder:
        shape = (1, 8, 8)

        def __call__(self, latents):
            return CUTS[name](latents)

    guided.engine.model.decoder = Decoder()
    with pytest.raises(ValueError, match=r"model.decoder is given \[2, 1, 8, 8\] latents, for a gradient"):
        guided.run()


def test_check_fit_gives_a_guide_of_a_latent_model_what_the_decoder_makes(run):
    guided = run(*QUICK, "model=digits", "guidance=mpgd", "budget.samplings=[1]")

    class Decoder:
        shape = (1, 8, 8)

        def __call__(self, latents):
            return latents.clamp(-1, 1) + 7

    guided.engine.model.decoder, least = Decoder(), []
    reward = guided.engine.verifiers["guide"].reward

    def seen(images, conditions):
        least.append(float(images.detach().min()))
        return reward(images, conditions)

    guided.engine.verifiers["guide"].reward = seen
    with pytest.raises(pytest.fail.Exception, match="it was sampled"):
        guided.run()
    assert min(least) >= 6


def test_check_fit_names_a_classifier_that_knows_fewer_classes(run):
    ten = run(*QUICK, "model=digits", "metric=standard", "dataset.classes=[3,9]")
    whole = ten.instruments.extractor
    few = type("Few", (), {"offers": whole.offers, "name": "few", "fingerprint": None, "widths": {}})()
    call = lambda images: {name: array[:, :9] for name, array in whole(images).items()}  # noqa: E731
    type(few).__call__ = lambda self, images: call(images)
    object.__setattr__(ten.instruments, "extractor", few)
    with pytest.raises(ValueError, match=r"metric.accuracy asks dataset.report for class 9, and it tells 9 apart"):
        ten.run()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda features: features.astype(np.float64), "features of float64 of black images"),
        (lambda features: features * np.nan, "features of float32 of black images, or some that are no numbers"),
        (lambda features: features[:1], r"makes features of shape \[1, 48\] .* expected is \[2, width\]"),
    ],
)
def test_check_fit_names_an_extractor_that_makes_other_arrays(run, monkeypatch, change, message):
    broken = run(*QUICK, "model=digits")
    extractor = type(broken.instruments.extractor)
    whole = extractor.__call__

    def changed(self, images):
        arrays = whole(self, images)
        return {**arrays, "features": change(arrays["features"])}

    monkeypatch.setattr(extractor, "__call__", changed)
    with pytest.raises(ValueError, match=message):
        broken.run()


def test_check_fit_refuses_a_decoder_of_bytes(run):
    decoded = run(*QUICK, "model=digits")

    class Decoder:
        shape = (1, 8, 8)

        def __call__(self, latents):
            return (127.5 * (latents + 1)).to(torch.uint8)

    decoded.engine.model.decoder = Decoder()
    with pytest.raises(ValueError, match=r"model.decoder makes images of torch.uint8; expected is torch.float32"):
        decoded.run()


def test_check_fit_reads_a_grey_reference_and_refuses_one_in_colour(tmp_path: Path, run):
    folder = digits_in(tmp_path / "digits")
    rows = make_experiment(tmp_path / "grey", *folder_words(folder)).run()
    assert np.isfinite(rows[0]["fid"])
    photo = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(photo).save(folder / "0" / "photo.png")
    with pytest.raises(ValueError, match=r"photo.png cannot be read as an image \(it is in colour"):
        run(*folder_words(folder)).run()


def test_instruments_refuse_a_reference_of_another_size_unless_it_is_meant(tmp_path: Path):
    folder = digits_in(tmp_path / "digits")
    larger = folder_words(folder, "+dataset.reference.crop=squash", "+dataset.reference.size=16")
    with pytest.raises(ValueError, match=r"shape \(1, 16, 16\), .* have \(1, 8, 8\): .*set dataset.any_shape=true if"):
        make_experiment(tmp_path / "out", *larger)
    with pytest.raises(ValueError, match=r"shape \(3, 8, 8\), and those that are measured have \(1, 8, 8\)"):
        make_experiment(tmp_path / "out", *folder_words(folder, "++dataset.reference.channels=3"))
    meant = make_experiment(tmp_path / "out", *larger, "dataset.any_shape=true")
    with pytest.raises(ValueError, match=r"dataset.report is given \[1, 16, 16, 1\] of the reference .* set a dataset"):
        meant.run()
    with pytest.raises(ValueError, match=r"dataset.shape is \[1, 9, 9\], .* set dataset.shape=\[1,8,8\]"):
        make_experiment(tmp_path / "out", *QUICK, "dataset.shape=[1,9,9]")


def test_check_fit_refuses_class_folders_that_the_dataset_has_not(tmp_path: Path, run):
    folder = digits_in(tmp_path / "digits")
    (folder / "9").rename(folder / "10")
    with pytest.raises(ValueError, match=r"the reference has class 10, and the dataset has 10, counted from 0"):
        run(*folder_words(folder)).run()


def test_check_fit_refuses_a_reference_with_too_few_images(tmp_path: Path, run):
    folder = digits_in(tmp_path / "digits", count=3)
    words = [word for word in folder_words(folder) if not word.startswith("metric")]
    with pytest.raises(ValueError, match=r"metric.prc needs 4 images, and there are 3 in the reference; .*~metric.prc"):
        run(*words, "metric=standard").run()
    with pytest.raises(
        ValueError, match=r"metric.class_fid needs 2 images of each class, and of class 0 there are 1 in"
    ):
        run(*words, "metric=per_class").run()


def test_check_fit_refuses_a_reference_whose_images_have_other_features(tmp_path: Path, run):
    mean, features = np.zeros(48), np.random.default_rng(0).normal(size=(20, 5)).astype(np.float32)
    np.savez(tmp_path / "other.npz", mu=mean, sigma=np.eye(48), features=features)
    with pytest.raises(ValueError, match=r"features of the reference have width 5, and those .* have 48"):
        run(*QUICK, "model=digits", "metric=standard", f"+dataset.statistics={tmp_path / 'other.npz'}").run()


def test_experiment_makes_the_curve_without_metrics_that_need_more_images(tmp_path: Path, caplog):
    words = (*QUICK, "model=digits", "metric=standard")
    (row,) = make_experiment(tmp_path, *words).run()
    assert "metric.isc needs 10 images, and there are 4; the curve is made without it" in caplog.text
    assert {"fid", "kid", "precision", "accuracy"} < set(row)
    assert "isc" not in row
    (summary,) = tmp_path.rglob("metrics.json")
    assert json.loads(summary.read_text())["left_out"] == {"isc": "needs 10 images, and there are 4"}
    (row,) = make_experiment(tmp_path, *words, "images=10").run()
    assert "isc" in row


def test_check_fit_leaves_no_trace(tmp_path: Path, monkeypatch):
    """Bits, ledgers and FLOPs are those of a run without the look; random numbers and batch statistics stay."""
    words = ("model=digits", "search=random", "budget.samplings=[2]", "sampler.steps=2", "images=4", "guidance=dps")
    with_look = make_experiment(tmp_path / "with", *words)
    norm = torch.nn.BatchNorm2d(1).eval()
    draws = lambda n: torch.rand(n) + np.random.rand() + random.random()  # noqa: E731, NPY002
    drawn = Rewards(lambda images: norm(images).sum((1, 2, 3)) + draws(len(images)))
    counts = norm.num_batches_tracked.clone()
    rows = with_look.run()
    engine = with_look.engine
    engine.verifiers = {**engine.verifiers, "select": drawn}
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    check_fit(engine, with_look.instruments, [0, 1])
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.array_equal(np.random.get_state()[1], states[1])  # noqa: NPY002
    assert random.getstate() == states[2]
    assert torch.equal(norm.num_batches_tracked, counts)

    monkeypatch.setattr("its.run.experiment.check_fit", lambda *_: None)
    without = make_experiment(tmp_path / "without", *words).run()
    timeless = [{key: value for key, value in row.items() if key != "seconds"} for (row,) in (rows, without)]
    assert timeless[0] == timeless[1]
    shards = [next((tmp_path / name).rglob("00000000.safetensors")).read_bytes() for name in ("with", "without")]
    assert shards[0] == shards[1]


def test_check_fit_names_a_batch_that_fits(run):
    short = run(*QUICK, "model=digits")
    network = short.engine.model.network

    def small(x, time, label):
        if len(x) > 40:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return network(x, time, label)

    short.engine.model.network = small
    with pytest.raises(ValueError, match=r"batch=128 does not fit in the memory of cpu \(CUDA .*\); batch=32 does$"):
        short.run()


def test_check_fit_gives_each_part_no_more_rows_than_its_batch(run):
    """A verifier of very large images may have room for one alone."""
    seen = []
    one = Rewards(lambda images: seen.append(len(images)) or images.mean((1, 2, 3)))
    short = run(*QUICK, "model=digits", "verify_batch=1", select=one)
    check_fit(short.engine, short.instruments, [0, 1])
    assert seen == [1, 1]


def test_try_extractor_names_rows_that_fit(run, tmp_path: Path, monkeypatch):
    whole = NetworkFeatures.__call__

    def small(self, images):
        if self.rows > 100:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return whole(self, images)

    monkeypatch.setattr(NetworkFeatures, "__call__", small)
    with pytest.raises(ValueError, match=r"^dataset.report.rows=256 does not fit .*; \+\+dataset.report.rows=64 does$"):
        make_experiment(tmp_path, *QUICK)
    make_experiment(tmp_path, *QUICK, "++dataset.report.rows=64")
    monkeypatch.setattr(NetworkFeatures, "__call__", lambda *_: torch.empty(2**50))
    with pytest.raises(ValueError, match=r"^dataset.report does not fit in memory \(.*; take a smaller network"):
        make_experiment(tmp_path, *QUICK, "++dataset.report.rows=2")


def test_check_fit_is_not_made_where_nothing_is_sampled(tmp_path: Path, monkeypatch):
    words = (*QUICK, "model=digits", "metric=fid")
    make_experiment(tmp_path, *words).run()
    monkeypatch.setattr("its.run.experiment.check_fit", lambda *_: pytest.fail("a row was evaluated"))
    make_experiment(tmp_path, *words).run()
    make_experiment(tmp_path, *words, "metric=standard").run()
