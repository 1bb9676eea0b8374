"""Verifiers of prompts in runs: they select, are held out and join ensembles, and a judge elsewhere marks its runs."""

import csv
import json
import math

import pytest
import torch

from its.config.identity import same_weights
from its.dataset.digits import Digits
from its.verifier.answers import FILE
from its.verifier.prompt_score import PromptScore
from its.verifier.verifier import require_verifier
from tests.build import blueprint_of, make_experiment
from tests.verifier.judge_server import judge_server

PROMPTS = ("a drawing of a seven", "an eight, in ink", "nothing")
SMALL = ("images=3", "shard=2", "sampler.steps=3", "budget.samplings=[1,2]", "batch=6", "smoke=true")
SMALL += tuple(f"~metric.{name}" for name in ("prc", "kid", "fid", "isc"))
BY_NETWORK = ("clip_score", "pick_score", "aesthetic", "image_reward", "hps", "hps_v20", "vlm")


@pytest.fixture(autouse=True)
def prompts(monkeypatch):
    """Digits that are asked for by prompts."""
    monkeypatch.setattr(Digits, "condition", lambda self, index: PROMPTS[index % len(PROMPTS)])


@pytest.fixture
def host():
    with judge_server() as (state, url):
        words = ["verifier=vlm_endpoint", f"verifier.judge.url={url}", "verifier.judge.key_variable=null"]
        yield state, [*words, "verifier.judge.wait_s=0.01", "smoke=false"]


def check(rows, *columns):
    assert len(rows) == 2
    assert all(math.isfinite(row[column]) for row in rows for column in (*columns, "reward_mean") if column in row)
    assert set(columns) <= rows[0].keys()


@pytest.mark.parametrize("name", ["clip_score", *(pytest.param(n, marks=pytest.mark.long) for n in BY_NETWORK[1:])])
def test_prompt_verifiers_select(tmp_path, name):
    check(make_experiment(tmp_path, *SMALL, f"verifier={name}").run(), "reward_mean")


@pytest.mark.long
def test_prompt_verifiers_join_an_ensemble_and_are_held_out(tmp_path):
    members = [f"verifier@verifier.members.{key}={name}" for key, name in zip("ab", BY_NETWORK, strict=False)]
    members += [f"+verifier@verifier.members.{key}={name}" for key, name in zip("cd", BY_NETWORK[2:], strict=False)]
    held_out = [f"+verifier@report.{name}={name}" for name in ("hps", "vlm")]
    rows = make_experiment(tmp_path, *SMALL, "verifier=ensemble", *members, *held_out).run()
    check(rows, "reward_a_mean", "reward_d_mean", "report_hps", "report_vlm", "report_hps_se")


def test_prompt_verifiers_share_tokenizers_and_no_networks(tmp_path):
    """Else one of them could not be held out beside another."""
    words = ("verifier=hps", "verifier@report=hps")
    with pytest.raises(ValueError, match=r"hps is held out, and the verifier that selects is the same"):
        blueprint_of(tmp_path, *words, planning=True)
    node = {"_target_": "its.classifier.hps.load", "version": "2.1"}
    tokenizer, one, other = (tmp_path / name for name in ("tokenizer.json", "one.pt", "other.pt"))
    for file in (tokenizer, one, other):
        file.write_text(file.name)
    first, second = ({**node, "weights": str(weights), "tokenizer": str(tokenizer)} for weights in (one, other))
    assert same_weights(first, second) == []
    assert same_weights(first, first) == [str(one)]


def test_prompt_verifiers_refuse_classes_before_any_compute(tmp_path, monkeypatch):
    monkeypatch.setattr(Digits, "condition", lambda self, index: index % 3)
    run = make_experiment(tmp_path, *SMALL, "verifier=clip_score")
    run.engine.run = None
    with pytest.raises(ValueError, match=r"asked for 2, and this verifier scores images by their prompts"):
        run.run()


def test_prompt_score_is_a_verifier():
    class Lengths:
        def scores(self, images, prompts):
            return torch.tensor([len(prompt) for prompt in prompts], dtype=torch.float32)

    verifier = PromptScore(Lengths())
    require_verifier(verifier)
    assert verifier.reward(torch.zeros(2, 3, 2, 2), ["ab", "abc"]).tolist() == [2, 3]


def test_remote_judge_marks_its_run_and_keeps_its_answers_there(tmp_path, host):
    state, words = host
    run = make_experiment(tmp_path, *SMALL, *words)
    rows = run.run()
    check(rows, "reward_mean")
    lines = (run.folder / FILE).read_text().splitlines()
    assert state.calls == len(lines) == 2 + 6, "two pictures to try the judge with, then two of each image"
    tokens = sum(json.loads(line)["cost"]["tokens_read"] + json.loads(line)["cost"]["tokens_written"] for line in lines)
    assert [(row["remote"], row["judge_calls"], row["judge_tokens"]) for row in rows] == [(1, 8 / 3, tokens / 3)] * 2
    with (run.folder / "curve.csv").open() as file:
        assert {row["remote"] for row in csv.DictReader(file)} == {"1"}

    # What is lost is made again without a question.
    sorted((run.folder / "shards").iterdir())[0].unlink()
    again = make_experiment(tmp_path, *SMALL, *words)
    assert [row["reward_mean"] for row in again.run()] == [row["reward_mean"] for row in rows]
    assert state.calls == 8


def test_remote_judge_that_stops_answering_ends_a_run_that_goes_on(tmp_path, host):
    state, words = host
    words = [*words, "verifier.judge.attempts=2", "verifier.judge.in_flight=1"]
    state.behave = lambda attempt, number: 503 if state.calls > 4 else None
    with pytest.raises(ValueError, match=r"gave no score to .* pictures .* it does not answer: HTTP 503"):
        make_experiment(tmp_path, *SMALL, *words).run()
    answered = {number for number, _ in state.attempts.items()}
    asked = state.calls
    state.behave = lambda attempt, number: None
    rows = make_experiment(tmp_path, *SMALL, *words).run()
    check(rows, "reward_mean")
    assert state.calls == asked + 4, "of eight questions four were answered"
    assert len(answered) == 5


@pytest.mark.long
def test_remote_judge_is_held_out(tmp_path, host):
    _, words = host
    words = [word.replace("verifier.judge", "report.judge").replace("verifier=", "verifier@report=") for word in words]
    rows = make_experiment(tmp_path, *SMALL, "verifier=null_rewards", *words).run()
    check(rows, "report_vlm_endpoint")
    assert rows[0]["remote"] == 1
    assert blueprint_of(tmp_path, *SMALL, "verifier=null_rewards", *words).finished


def test_remote_judge_is_the_same_run_whatever_decides_no_score(tmp_path, host):
    _, words = host
    quick = ["verifier.judge.in_flight=9", "verifier.judge.attempts=2", "verifier.judge.timeout_s=5.0"]
    plain = blueprint_of(tmp_path, *words, planning=True)
    assert plain.folder == blueprint_of(tmp_path, *words, *quick, planning=True).folder
    assert plain.folder != blueprint_of(tmp_path, *words, "verifier.judge.model=other", planning=True).folder
    placed = plain.with_twins()["verifier"]["judge"]["folder"]
    assert placed == str(plain.folder)
    assert "folder" not in plain.plain["verifier"]["judge"]
