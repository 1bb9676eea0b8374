"""The oracle: the judge's own probability of the class, and a refusal where the judge tells no classes apart."""

import math

import numpy as np
import pytest
import torch

from its.metric.extractor import Extractor
from its.metric.inception import InceptionFeatures
from its.metric.inception_classes import logits_of_classes
from its.pixels import from_uint8, to_uint8
from its.verifier.classifier import Classifier
from its.verifier.oracle_is import OracleIS
from tests.build import SMALL, arrays_in, blueprint_of, make_experiment, numbers


class Judge(Extractor):
    """An extractor of chosen arrays, which notes the images that it is given."""

    name = "judge"

    def __init__(self, **arrays):
        self.arrays, self.offers = arrays, frozenset({"features", *arrays})

    def __call__(self, images):
        self.images = images
        return {"features": images.reshape(len(images), -1).astype(np.float32), **self.arrays}


LOGITS = np.random.Generator(np.random.Philox(key=1)).normal(size=(3, 1008)).astype(np.float32)


def test_oracle_is_takes_imagenet_s_class_from_inception_s_1008_logits():
    judge = Judge(logits=LOGITS)
    judge.imagenet = logits_of_classes()
    images = torch.rand(3, 3, 4, 4) * 3 - 1.5
    rewards = OracleIS(judge, "imagenet").reward(images, [0, 388, 999])
    share = np.exp(LOGITS.astype(np.float64)) / np.exp(LOGITS.astype(np.float64)).sum(1, keepdims=True)
    np.testing.assert_allclose(rewards, [share[0, 449], share[1, 169], share[2, logits_of_classes()[999]]])
    assert (judge.images == to_uint8(images).numpy()).all(), "as the judge sees them: rounded and cut"


def test_oracle_is_takes_the_judge_s_own_classes_on_other_datasets():
    images = torch.zeros(3, 1, 2, 2)
    beside = OracleIS(Judge(logits=LOGITS, classes=LOGITS[:, :10]), ["cat"] * 10, output="logit")
    assert beside.reward(images, [1, 2, 3]).tolist() == LOGITS[range(3), [1, 2, 3]].astype(float).tolist()
    alone = Judge(logits=LOGITS[:, :10])
    alone.offers = frozenset({"features", "logits", "classes"})
    assert OracleIS(alone, output="logit").reward(images, [1, 2, 3])[0] == LOGITS[0, 1]
    with pytest.raises(ValueError, match=r"an image is asked for class 10, and .* tells 10 classes apart"):
        OracleIS(alone).reward(images, [1, 2, 10])


def test_oracle_is_refuses_a_judge_without_class_probabilities(inception_weights, monkeypatch):
    with pytest.raises(
        ValueError, match=r"dataset\.report \(judge, Judge\) has none for these classes; give it a class"
    ):
        OracleIS(Judge(logits=LOGITS), ["cat", "dog"])
    unknown = InceptionFeatures(str(inception_weights))
    with pytest.raises(ValueError, match=r"InceptionFeatures.* has none for these classes"):
        OracleIS(unknown, "imagenet")
    monkeypatch.setattr("its.metric.inception.SHA256", unknown.fingerprint)
    with pytest.raises(ValueError, match="has none for these classes"):
        OracleIS(unknown, ["airplane"] * 10)
    images = torch.zeros(2, 3, 32, 32)
    rewards = OracleIS(unknown, "imagenet", output="log_probability").reward(images, [0, 1])
    expected = torch.from_numpy(unknown(to_uint8(images).numpy())["logits"]).double().log_softmax(dim=1)
    torch.testing.assert_close(rewards, expected[[0, 1], [449, 450]], rtol=1e-3, atol=1e-4)


def test_oracle_is_selects_on_digits_by_the_report_network(tmp_path):
    words = ("verifier=oracle_is", "images=4", "shard=4", *SMALL)
    run = make_experiment(tmp_path, *words)
    run.run()
    arrays = arrays_in(run.files.shard(0))
    judge, images = run.instruments.extractor, arrays["images"]
    logits = torch.from_numpy(judge(images)["logits"]).double().softmax(dim=1)
    rows = arrays["pick"][:, -1]
    expected = [float(logits[row, label]) for row, label in zip(rows, arrays["label"], strict=True)]
    np.testing.assert_allclose(arrays["reward"][:, -1], expected, rtol=1e-4)
    assert {row["oracle"] for row in numbers(run.folder)} == {"1"}
    assert "/oracle_is/" in str(run.folder)
    plain = make_experiment(tmp_path, "images=4", *SMALL)
    assert "oracle" not in plain.run()[0], "a run without an oracle has no such column"
    flops, own = run._flops["verifier_calls"], plain._flops["verifier_calls"]
    assert 0 < flops < 10 * own, "of one image, and not of the judge's whole batch"


def test_oracle_is_gives_no_gradient(tmp_path):
    run = make_experiment(tmp_path, "guidance=tfg", "verifier@guide=oracle_is", "images=2", *SMALL)
    with pytest.raises(ValueError, match=r"verifier@guide is given .*oracle_is has no gradient, for the judge sees"):
        run.run()


def test_an_oracle_says_so_under_any_name(tmp_path):
    members = ["verifier=ensemble", "verifier@verifier.members.b=oracle_is"]
    assert blueprint_of(tmp_path, *members).label["verifier"] == "ensemble-oracle"
    assert blueprint_of(tmp_path, "verifier=ensemble").label["verifier"] == "ensemble"
    own = tmp_path / "conf" / "verifier" / "best.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("defaults:\n  - oracle_is\noutput: log_probability\n")
    words = [f"hydra.searchpath=[file://{tmp_path}/conf]", "verifier=best"]
    assert blueprint_of(tmp_path, *words).label["verifier"] == "best-oracle"
    assert list(blueprint_of(tmp_path, *words[:1], "+verifier@report.a=best").plain["report"]) == ["a-oracle"]


def test_oracle_is_is_bayes_rule_on_the_mixture(tmp_path):
    run = make_experiment(tmp_path, "dataset=mixture", "model=mixture", "verifier=oracle_is")
    assert isinstance(run.engine.verifiers["select"], OracleIS)
    bayes = Classifier(run.instruments.data.logits, output="probability")
    image = from_uint8(torch.full((1, 4, 4, 1), 120, dtype=torch.uint8))
    rewards = (verifier.reward(image, [2]).item() for verifier in (run.engine.verifiers["select"], bayes))
    assert math.isclose(*rewards, rel_tol=1e-3)


def test_what_an_oracle_asks_is_part_of_what_makes_the_images(tmp_path):
    oracle, plain = (blueprint_of(tmp_path, *words).sources for words in (["verifier=oracle_is"], []))
    judge = "its.metric.extractor"
    for sources, makes in ((oracle, True), (plain, False)):
        assert (judge in sources.images.digests) is makes
        assert (judge in sources.measures.digests) is not makes
