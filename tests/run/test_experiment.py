"""What a run makes of numbers that are none: failed images are made again, strange rewards are counted and said."""

import contextlib
import csv
import json
import logging
import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from its.engine.verdicts import kinds_of
from its.levels import Guess
from its.process.workers import Worker
from its.run import shards
from its.verifier.classifier import Classifier
from its.verifier.ensemble import Ensemble
from its.verifier.null_rewards import NullRewards
from tests.build import contents, make_experiment

WORDS = (
    "dataset=mixture",
    "model=mixture",
    "search=random",
    "images=6",
    "shard=2",
    "batch=4",
    "sampler.steps=3",
    "budget.samplings=[1,2]",
    "~metric.kid",
    "~metric.prc",
    "~metric.isc",
)
SICK = 3
"""The image, in the second of three shards."""


class Ill:
    """A network that returns NaN for one condition, or for none."""

    def __init__(self, model, condition):
        self.model, self.condition = model, condition

    def __getattr__(self, name):
        return getattr(self.model, name)

    def __call__(self, x, levels, conditions):
        guess = self.model(x, levels, conditions)
        ill = torch.tensor([condition == self.condition for condition in conditions])
        return Guess(guess.x0.masked_fill(ill.reshape(-1, 1, 1, 1), torch.nan), guess.eps)


def made(tmp_path, *words, ill=False, verifier=None):
    run = make_experiment(tmp_path, *WORDS, *words)
    if ill:
        run.engine.model = Ill(run.engine.model, run.condition(SICK))
    if verifier is not None:
        run.engine.verifiers = {"select": verifier}
    return run


def shards_of(run):
    return {name: content for name, content in contents(run.folder).items() if name.startswith("shards/")}


def counts(run):
    """How often each shard was made."""
    firsts = [note["first"] for note in run.files.store.notes()]
    return {first: firsts.count(first) for first in sorted(set(firsts))}


@pytest.fixture(autouse=True)
def _distinct(monkeypatch):
    """Give every image a condition of its own, so that one can be ill."""
    from its.run.experiment import Experiment

    monkeypatch.setattr(Experiment, "condition", lambda self, index: index % 4)


def test_experiment_makes_failed_images_again_when_the_command_is_repeated(lab, tmp_path):
    well = made(tmp_path / "well")
    well.run()

    run = made(tmp_path, ill=True)
    with pytest.raises(ValueError, match=r"^1 of 6 images failed.*: 3\nimage 3 \(condition 3\): Ill returned NaN"):
        run.run()
    assert counts(run) == {0: 1, 2: 1, 4: 1}

    again = made(tmp_path)
    again.run()
    assert counts(again) == {0: 1, 2: 2, 4: 1}, "only the shard with the failed image"
    assert shards_of(again) == shards_of(well)
    again.run()
    assert counts(again) == {0: 1, 2: 2, 4: 1}


def test_experiment_fails_again_where_an_image_fails_again(lab, tmp_path, caplog):
    for attempt in (1, 2, 3):
        run = made(tmp_path, ill=True)
        with pytest.raises(ValueError, match="1 of 6 images failed"):
            run.run()
        assert counts(run) == {0: 1, 2: attempt, 4: 1}
    assert "1 shards hold images that failed" in caplog.text


def test_experiment_leaves_failed_images_to_the_next_command(lab, tmp_path):
    run = made(tmp_path, ill=True)
    for retry in (True, False):
        with pytest.raises(ValueError, match="1 of 6 images failed"):
            run.run(retry=retry)
    assert counts(run) == {0: 1, 2: 1, 4: 1}


def test_experiment_lets_one_worker_alone_make_a_failed_shard_again(lab, tmp_path):
    for rank in (None, 0, 1):
        run = made(tmp_path, ill=True)
        if rank is not None:
            run.worker = Worker(rank, 2)
        with pytest.raises(ValueError, match="1 of 6 images failed"):
            run.run()
    assert counts(run) == {0: 1, 2: 2, 4: 1}


def test_experiment_shares_failed_shards_whatever_other_workers_have_mended(lab, tmp_path):
    """Worker 1 of 2 begins late, when worker 0 has made its shards again: the one between is still its own."""
    run = made(tmp_path)
    run.engine.model = Ill(run.engine.model, 1)  # images 1 and 5, in the first and the last shard
    with pytest.raises(ValueError, match="2 of 6 images failed"):
        run.run()
    for rank in (0, 1, 2):
        run = made(tmp_path)
        run.worker = Worker(rank, 3)
        with contextlib.suppress(ValueError):
            run.run()
    assert counts(run) == {0: 2, 2: 1, 4: 2}
    made(tmp_path).run(retry=False)


def test_experiment_measures_what_another_worker_mends_meanwhile(lab, tmp_path):
    """It has taken the shard with the failed image, which is not its own to make again."""
    with pytest.raises(ValueError, match="1 of 6 images failed"):
        made(tmp_path, ill=True).run()
    run = made(tmp_path, "images=8")
    run.worker = Worker(0, 2)
    engine_run = run.engine.run

    def meanwhile(*args):
        made(tmp_path).run()
        yield from engine_run(*args)

    run.engine.run = meanwhile
    assert run.run()[0]["images"] == 8
    assert counts(run) == {0: 1, 2: 2, 4: 1, 6: 1}


@dataclass
class Moody:
    """A verifier that gives a number of no use to some conditions."""

    value: float
    conditions: tuple[int, ...]
    absolute = True

    def reward(self, images, conditions):
        ill = torch.tensor([condition in self.conditions for condition in conditions])
        return images.flatten(1).mean(1).masked_fill(ill, self.value)


def strict(text):
    """Read JSON as other programs do."""
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


@pytest.mark.parametrize(
    ("value", "column", "words"),
    [
        (math.nan, "nan_select", "NaN"),
        (math.inf, "inf_select", "an infinite reward"),
        pytest.param(-math.inf, "inf_select", "an infinite reward", marks=pytest.mark.long),
    ],
)
def test_experiment_says_how_many_rewards_were_no_numbers(lab, tmp_path, caplog, value, column, words):
    from its.report.terminal import run_table

    run = made(tmp_path, verifier=Moody(value, (SICK,)))
    with caplog.at_level(logging.WARNING):
        run.run()
    assert f"verifier Moody (select) gave {words} to image 3;" in caplog.text
    assert f"verifier Moody (select) gave {words} to 1 of 6 images" in caplog.text

    summary = strict(run.files.summary.read_text())
    assert summary["nan_rewards"] == (2 if math.isnan(value) else 0)
    with run.files.curve.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row, cells in zip(summary["curve"], rows, strict=True):
        assert row["reward_mean"] is None
        assert row[column] == 1
        assert (cells["reward_mean"], cells[column]) == ("", "1")
        assert math.isfinite(row["fid"])
    table = run_table(run.files)
    assert {"nan_select": "NaN rewards", "inf_select": "±inf rewards"}[column] in table


@pytest.mark.parametrize("guidance", ["dps", "tfg", "mpgd"])
def test_experiment_says_how_many_scores_of_the_guide_were_no_numbers(lab, tmp_path, caplog, guidance):
    """A score that is NaN may have a gradient of 0, under which nothing is guided and no image fails."""
    run = made(tmp_path, f"guidance={guidance}")
    run.engine.verifiers = {**run.engine.verifiers, "guide": Moody(math.nan, (SICK,))}
    with caplog.at_level(logging.WARNING):
        rows = run.run()
    assert "verifier Moody (guide) gave NaN to image 3" in caplog.text
    assert "verifier Moody (guide) gave NaN to 1 of 6 images" in caplog.text
    assert [row["nan_guide"] for row in rows] == [1, 1]


def test_experiment_says_nothing_of_rewards_that_are_numbers(lab, tmp_path, caplog):
    run = made(tmp_path)
    with caplog.at_level(logging.WARNING):
        [row, _] = run.run()
    assert "gave" not in caplog.text
    assert not {"nan_select", "inf_select", "nan_guide", "inf_guide"} & set(row)


@pytest.mark.parametrize("value", [math.nan, *(pytest.param(x, marks=pytest.mark.long) for x in (math.inf, -math.inf))])
def test_experiment_refuses_a_verifier_that_never_gives_a_number(lab, tmp_path, value):
    message = r"verifier classifier \(Moody\) gave no finite reward to any of 6 images"
    run = made(tmp_path, verifier=Moody(value, (0, 1, 2, 3)))
    with pytest.raises(ValueError, match=message):
        run.run()
    assert not run.files.summary.exists()

    again = made(tmp_path, verifier=Moody(value, (0, 1, 2, 3)))
    with pytest.raises(ValueError, match=message):
        again.run()
    assert counts(again) == {0: 2, 2: 2, 4: 2}

    healed = made(tmp_path)
    healed.run()
    assert shards_of(healed) == shards_of(_run(made(tmp_path / "well")))


def _run(run):
    run.run()
    return run


def test_never_finite_names_a_member_that_never_gives_a_number():
    given = np.zeros((2, 2, 3), bool)
    given[:, 0, 1] = True
    arrays = {"verdicts": given, "reward": np.array([[[1.0, -math.inf]], [[2.0, -math.inf]]])}
    assert shards.never_finite([(range(2), arrays)], ("a", "b")) == ["b"]
    with pytest.raises(ValueError, match=r"^b of verifier ensemble \(Ensemble\) gave no finite reward to any of 2"):
        shards.refuse_blind([(range(2), arrays)], "ensemble", Ensemble({"b": NullRewards(), "a": NullRewards(1)}))


def test_verdicts_read_shards_of_a_version_that_counted_nan_alone():
    old = {"index": np.arange(3), "nan_rewards": np.array([0, 2, 5]), "reward": np.array([[1.0], [-math.inf], [2.0]])}
    assert shards.verdicts([(range(2), old)]).tolist() == [[[1, 0, 0], [0, 0, 0]], [[0, 1, 0], [0, 0, 0]]]


def test_kinds_of_rewards_are_those_of_their_worst_member():
    assert kinds_of(np.array([1.0, math.nan, -math.inf, math.inf])) == ["finite", "nan", "inf", "inf"]
    assert kinds_of(np.array([[1.0, 2.0], [math.inf, math.nan], [0.0, math.inf]])) == ["finite", "nan", "inf"]


def test_engine_fails_an_image_that_the_decoder_returns_as_nan(lab):
    from its.engine import Engine
    from its.sampler.ddim import DDIM
    from its.search.none import NoSearch

    model = lab.denoiser()

    class Decoder:
        shape = model.shape

        def __call__(self, latents):
            return latents.where(latents.flatten(1).sum(1).reshape(-1, 1, 1, 1) > 0, latents.new_tensor(math.nan))

    model.decoder = Decoder()
    engine = Engine(model, DDIM(steps=4, eta=0.0), {"select": Classifier(lab.data.logits)}, seed=0, batch=4)
    results = lab.results(engine, NoSearch(), (math.inf,), range(8))
    failures = {index: result.failure for index, result in results.items() if result.failure}
    assert 0 < len(failures) < 8
    assert all("Decoder returned NaN or Inf" in failure for failure in failures.values())
