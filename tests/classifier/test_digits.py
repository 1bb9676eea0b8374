"""The embedded digits weights: integrity, recorded accuracy, architecture and gradients."""

import hashlib
import json
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import its.classifier.digits
from its.classifier.digits import ReportNet, VerifierNet, load
from its.dataset.digits import Digits

WEIGHTS = Path(its.classifier.digits.__file__).parents[1] / "weights" / "digits"
CLASSIFIERS = [("VerifierNet", "verifier"), ("ReportNet", "report")]


def readme() -> str:
    return (WEIGHTS / "README.md").read_text()


def half(split):
    images, class_ids = Digits().images(split)
    x_0 = torch.tensor(images, dtype=torch.float32).permute(0, 3, 1, 2) / 127.5 - 1
    return x_0, torch.tensor(class_ids)


def recorded_accuracy(name):
    row = re.search(rf"^\| {name} \| {name} half \| (\w+) half \| ([\d.]+) \|$", readme(), re.M)
    return row[1], float(row[2])


def test_digits_weights_pages_record_the_sha256_of_every_file():
    recorded = {
        path: digest
        for page in WEIGHTS.glob("*.md")
        for digest, path in re.findall(r"^ +([0-9a-f]{64})  (\S+)$", page.read_text(), re.M)
    }
    files = [p for p in WEIGHTS.rglob("*") if p.is_file() and p.suffix != ".md"]
    actual = {p.relative_to(WEIGHTS).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}
    assert actual == recorded
    assert {p.suffix for p in files} == {".json", ".safetensors"}


def test_digits_weights_are_small_enough_to_embed():
    size = {p.stem: p.stat().st_size for p in WEIGHTS.rglob("*.safetensors")}
    assert set(size) == {"diffusion_pytorch_model", "verifier", "report", "noisy"}
    assert sum(size.values()) < 4e6
    assert size["verifier"] + size["report"] < 1e6


@pytest.mark.parametrize(("cls_name", "name"), CLASSIFIERS)
def test_digits_classifier_accuracy_on_the_unseen_half_is_as_recorded(cls_name, name):
    split, recorded = recorded_accuracy(name)
    assert split == {"verifier": "report", "report": "verifier"}[name]
    x_0, class_ids = half(split)
    accuracy = (load(cls_name, WEIGHTS / f"{name}.safetensors")(x_0).argmax(1) == class_ids).float().mean()
    assert accuracy > 0.93
    # Two images of 898: another CPU may round a near tie the other way.
    assert accuracy.item() == pytest.approx(recorded, abs=2 / 898)


@pytest.mark.parametrize(("cls_name", "name"), CLASSIFIERS)
def test_digits_classifier_errs_and_is_less_sure_when_wrong(cls_name, name):
    x_0, class_ids = half(recorded_accuracy(name)[0])
    probability, guess = load(cls_name, WEIGHTS / f"{name}.safetensors")(x_0).softmax(1).max(1)
    wrong = guess != class_ids
    assert wrong.any()
    assert probability[wrong].mean() < probability[~wrong].mean() - 0.1


@pytest.mark.parametrize(("cls_name", "name"), CLASSIFIERS)
def test_digits_classifier_is_frozen_deterministic_and_differentiable(cls_name, name):
    network = load(cls_name, WEIGHTS / f"{name}.safetensors")
    x_0 = half("report")[0][:10].requires_grad_()
    logits = network(x_0)
    assert logits.shape == (10, 10)
    torch.testing.assert_close(network(x_0), logits, rtol=0, atol=0)
    assert not any(p.requires_grad for p in network.parameters())
    (gradient,) = torch.autograd.grad(logits.log_softmax(1)[:, 3].sum(), x_0)
    assert gradient.isfinite().all()
    assert (gradient.flatten(1).norm(dim=1) > 0).all()


def test_report_net_head_of_its_features_equals_the_logits():
    network = load("ReportNet", WEIGHTS / "report.safetensors")
    x_0 = half("verifier")[0]
    features = network.features(x_0)
    assert features.shape == (len(x_0), ReportNet.num_features)
    torch.testing.assert_close(network.head(features), network(x_0))
    assert (features.std(0) > 1e-3).all(), "a dead feature makes the covariance singular"


def test_verifier_net_and_report_net_differ_in_architecture():
    shapes = [sorted(tuple(p.shape) for p in c().parameters()) for c in (VerifierNet, ReportNet)]
    assert shapes[0] != shapes[1]


def test_digits_classifier_load_refuses_unknown_names_and_misfits(tmp_path):
    with pytest.raises(ValueError, match=r"'Net'.*VerifierNet, ReportNet"):
        load("Net", WEIGHTS / "report.safetensors")
    with pytest.raises(ValueError, match="Missing key"):
        load("VerifierNet", WEIGHTS / "report.safetensors")
    state = load_file(WEIGHTS / "report.safetensors")
    save_file({**state, "extra": torch.zeros(1)}, tmp_path / "extra.safetensors")
    with pytest.raises(ValueError, match=r"Unexpected key.*extra"):
        load("ReportNet", str(tmp_path / "extra.safetensors"))
    with pytest.raises(OSError, match="absent"):
        load("ReportNet", str(tmp_path / "absent.safetensors"))


def test_digits_generator_schedule_is_the_one_of_training():
    config = json.loads((WEIGHTS / "generator" / "scheduler_config.json").read_text())
    wanted = {
        "_class_name": "DDIMScheduler",
        "num_train_timesteps": 1000,
        "beta_schedule": "squaredcos_cap_v2",
        "prediction_type": "v_prediction",
        "clip_sample": True,
        "clip_sample_range": 1.0,
    }
    assert {key: config.get(key) for key in wanted} == wanted


@pytest.fixture(autouse=True)
def one_thread():
    # Two threads wait for each other at every small layer: 7 times slower where a core is busy.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def generator():
    from diffusers import UNet2DModel

    return UNet2DModel.from_pretrained(WEIGHTS / "generator", local_files_only=True).eval()


def test_digits_generator_has_ten_classes_and_a_null_class(generator):
    assert generator.config.sample_size == 8
    assert (generator.config.in_channels, generator.config.out_channels) == (1, 1)
    assert generator.config.num_class_embeds == 11
    assert generator.dtype == torch.float32


@torch.inference_mode()
def sample(generator, condition, steps=10):
    from diffusers import DDIMScheduler

    scheduler = DDIMScheduler.from_pretrained(WEIGHTS / "generator", timestep_spacing="trailing")
    scheduler.set_timesteps(steps)
    x_t = torch.randn(len(condition), 1, 8, 8, generator=torch.Generator().manual_seed(1))
    for t in scheduler.timesteps:
        velocity = generator(x_t, t, class_labels=condition).sample
        x_t = scheduler.step(velocity, t, x_t).prev_sample
    return x_t.clamp(-1, 1)


def test_digits_generator_gives_the_wanted_class_in_ten_ddim_steps(generator):
    wanted = torch.arange(200) % 10
    guess = load("ReportNet", WEIGHTS / "report.safetensors")(sample(generator, wanted)).argmax(1)
    # True share 0.96 or more: standard error 0.014 for 200 samples, four of them below.
    assert (guess == wanted).float().mean() > 0.96 - 4 * 0.014


def test_digits_generator_with_the_null_class_gives_every_class(generator):
    wanted = torch.arange(200) % 10
    null = torch.full_like(wanted, 10)
    probability = load("ReportNet", WEIGHTS / "report.safetensors")(sample(generator, null)).softmax(1)
    guess = probability.argmax(1)
    # Chance 0.1: standard error 0.021 for 200 samples, four of them either side.
    assert (guess == wanted).float().mean().item() == pytest.approx(0.1, abs=4 * 0.021)
    assert set(guess.tolist()) == set(range(10))
    assert probability.max(1).values.median() > 0.7, "most null samples look like some digit"
