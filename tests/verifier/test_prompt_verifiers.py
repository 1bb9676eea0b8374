"""Verifiers of prompts in runs: they select, are held out and join ensembles, and a judge elsewhere marks its runs."""

import csv
import json
import math

import numpy as np
import pytest
import torch

from its.budget import LEDGER
from its.config.blueprint import Blueprint
from its.config.composed import composed
from its.config.identity import same_weights
from its.dataset.digits import Digits
from its.disk.store import ANSWERS
from its.moving.audit import audit, opened
from its.moving.pack import pack
from its.rerun.finished_run import FinishedRun
from its.rerun.rescore import rescore
from its.rerun.rescoring import Rescoring
from its.rerun.rescoring import words as rescored_by
from its.run.shards import ledger_of
from its.verifier.prompt_score import PromptScore
from its.verifier.verifier import require_verifier
from tests.build import blueprint_of, make_experiment
from tests.verifier.judge_server import judge_server

PROMPTS = ("a drawing of a seven", "an eight, in ink", "nothing")
SMALL = ("images=3", "shard=2", "sampler.steps=3", "budget.samplings=[1,2]", "batch=6", "smoke=true")
SMALL += tuple(f"~metric.{name}" for name in ("prc", "kid", "fid", "isc"))
BY_NETWORK = (
    "clip_score",
    "pick_score",
    "aesthetic",
    "image_reward",
    "hps",
    "hps_v20",
    "vlm",
    "hps3",
    "unified_reward",
)


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


OF_LIST = ("dataset=drawbench", "model=sd15", "sampler.steps=2", "images=2", "budget.samplings=[1,2]", "smoke=true")


@pytest.mark.long
@pytest.mark.parametrize("name", ["hps3", "soft_tifa", "unified_reward"])
def test_judges_of_pictures_select_and_are_held_out_on_a_list_of_prompts(tmp_path, monkeypatch, name):
    monkeypatch.undo()
    check(make_experiment(tmp_path, *OF_LIST, f"verifier={name}", "verifier@report=clip_score").run(), "reward_mean")
    rows = make_experiment(tmp_path, *OF_LIST, "verifier=clip_score", f"verifier@report={name}").run()
    check(rows, f"report_{name}")


def test_soft_tifa_refuses_prompts_without_questions_before_anything_is_sampled(tmp_path):
    """As a member, and held out: digits are asked for by prompts that its list does not have."""
    members = ["verifier@verifier.members.a=soft_tifa", "verifier@verifier.members.b=null_rewards"]
    for words in (["verifier=ensemble", *members], ["verifier=null_rewards", "verifier@report=soft_tifa"]):
        run = make_experiment(tmp_path, *SMALL, *words)
        run.engine.run = None
        with pytest.raises(ValueError, match=r"has none about the prompt 'a drawing of a seven'; soft_tifa is for"):
            run.run()


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


OF_PROMPTS = ("dataset=prompt", "prompt='a cat'", "model=sd15", "smoke=true")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["verifier=hps"],
            r"verifier \(PromptScore\) scores an image by its prompt, and dataset digits asks for classes",
        ),
        (["verifier=vlm_endpoint"], r"verifier \(Vlm\) scores an image by its prompt, .* or a dataset of prompts$"),
        (
            ["verifier@report=image_reward"],
            r"verifier@report image_reward \(PromptScore\) scores an image by its prompt",
        ),
        (
            ["verifier=ensemble", "verifier@verifier.members.a=clip_score", "verifier@verifier.members.b=null_rewards"],
            r"verifier \(PromptScore\) scores an image by its prompt",
        ),
        (
            [*OF_PROMPTS, "verifier=resnet18_cifar10", "verifier.network.classes=[a, b]"],
            r"verifier \(Classifier\) scores .* by its class, .* asks for prompts",
        ),
        ([*OF_PROMPTS, "verifier=aesthetic"], ""),
        ([*OF_PROMPTS, "verifier=pick_score"], ""),
        (["verifier=aesthetic"], ""),
    ],
    ids=str,
)
def test_plans_refuse_verifiers_of_prompts_on_classes_and_the_other_way_round(tmp_path, monkeypatch, words, sentence):
    monkeypatch.undo()
    if not sentence:
        blueprint_of(tmp_path, *words, planning=True)
        return
    with pytest.raises(ValueError, match=sentence):
        blueprint_of(tmp_path, *words, planning=True)


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
    lines = (run.folder / ANSWERS).read_text().splitlines()
    assert state.calls == len(lines) == 2 + 6, "two pictures to try the judge with, then two of each image"
    tokens = sum(json.loads(line)["cost"]["tokens_read"] + json.loads(line)["cost"]["tokens_written"] for line in lines)
    assert tokens == 8 * 13
    assert [(row["remote"], row["judge_calls"], row["judge_tokens"]) for row in rows] == [(1, 1, 13), (1, 2, 26)]
    with (run.folder / "curve.csv").open() as file:
        assert {row["remote"] for row in csv.DictReader(file)} == {"1"}

    # What is lost is made again without a question, and has cost what it cost.
    sorted((run.folder / "shards").iterdir())[0].unlink()
    again = make_experiment(tmp_path, *SMALL, *words).run()
    assert [{**row, "seconds": 0} for row in again] == [{**row, "seconds": 0} for row in rows]
    assert state.calls == 8


def test_remote_judge_is_charged_to_the_image_and_the_cap_that_it_was_asked_for(tmp_path, host):
    """The third picture that comes is answered at the fourth attempt, whose cost is that image's at that cap."""
    state, words = host
    state.behave = lambda attempt, number: 503 if number == state.requests[-1][3] and third(state, number) else None

    def third(state, number):
        different = list(dict.fromkeys(request[3] for request in state.requests))
        return different.index(number) == 4 and state.attempts[number] < 4

    run = make_experiment(tmp_path, *SMALL, *words, "verifier.judge.in_flight=1", "verify_batch=1")
    rows = run.run()
    ledgers = [ledger_of(run.files.store.read(name)) for name in run.files.shard_names]
    calls = np.concatenate(ledgers)[..., LEDGER.index("judge_calls")]
    assert state.calls == 2 + 6 + 3
    assert calls[:, 1].sum() == 6 + 3
    assert sorted((calls[:, 1] - calls[:, 0]).tolist() + calls[:, 0].tolist()) == [1, 1, 1, 1, 1, 4]
    assert [row["judge_calls"] for row in rows] == calls.mean(axis=0).tolist()
    assert rows[1]["judge_tokens"] == 2 * 13, "attempts without an answer have no tokens"


def test_remote_judge_among_members_is_charged(tmp_path, host):
    state, (_, *words) = host
    judge = [word.replace("verifier.judge", "verifier.members.a.judge") for word in words]
    members = [
        "verifier=ensemble",
        "verifier@verifier.members.a=vlm_endpoint",
        "verifier@verifier.members.b=null_rewards",
    ]
    rows = make_experiment(tmp_path, *SMALL, *members, *judge).run()
    assert [(row["remote"], row["judge_calls"], row["judge_tokens"]) for row in rows] == [(1, 1, 13), (1, 2, 26)]
    assert state.calls == 8


def test_remote_judge_is_asked_nothing_again_by_whoever_has_the_run_or_its_pack(tmp_path, host):
    state, words = host
    folder = make_experiment(tmp_path, *SMALL, *words, "keep_candidates=true")
    rows = folder.run()
    pack(FinishedRun.of(folder.folder), tmp_path / "run.tar")
    asked = state.calls
    with opened(tmp_path / "run.tar") as theirs:
        assert (theirs.folder / ANSWERS).read_bytes() == (folder.folder / ANSWERS).read_bytes()
        findings = audit(theirs, (), 3, seed=1)
        assert (findings.different, state.calls) == ([], asked)
        rescoring = Rescoring.of(theirs, Blueprint.of(*composed(rescored_by(theirs, []))))
        again = rescore(rescoring, tmp_path / "rescored", "a command")
        assert state.calls == asked
        for before, row in zip(rows, again, strict=True):
            assert {key: row[key] for key in row} == {key: before[key] for key in row}

        # Another rubric asks, once, and the run is whole none the less.
        judge = [word for word in words if word != "smoke=false"]
        other = Blueprint.of(*composed(rescored_by(theirs, [*judge, "verifier.aspects={finish: 'is it clean?'}"])))
        state.behave = lambda attempt, number: json.dumps({"picture": number, "finish": 5, "overall": 7})
        for _ in range(2):
            [first, second] = rescore(Rescoring.of(theirs, other), tmp_path / "other", "a command")
            assert (first["judge_calls"], second["judge_calls"], second["judge_tokens"]) == (1, 2, 26)
            assert state.calls == asked + 6
        assert theirs.files.is_whole(theirs.files.read_summary())


def test_remote_judge_that_stops_answering_ends_a_run_that_goes_on(tmp_path, host, monkeypatch, caplog):
    """And the key, which the host sends back with its errors, stands nowhere."""
    state, words = host
    monkeypatch.setenv("JUDGE_KEY", "s3cret-of-judge")
    words = [*words, "verifier.judge.attempts=2", "verifier.judge.in_flight=1", "verifier.judge.key_variable=JUDGE_KEY"]
    state.behave = lambda attempt, number: 503 if state.calls > 4 else None
    with pytest.raises(ValueError, match=r"gave no score to .* pictures .* it does not answer: HTTP 503"):
        make_experiment(tmp_path, *SMALL, *words).run()
    asked = state.calls
    state.behave = lambda attempt, number: None
    rows = make_experiment(tmp_path, *SMALL, *words).run()
    check(rows, "reward_mean")
    assert state.calls == asked + 4, "of eight questions four were answered"
    assert {request[1]["Authorization"] for request in state.requests} == {"Bearer s3cret-of-judge"}
    assert [path for path in tmp_path.rglob("*") if path.is_file() and b"s3cret" in path.read_bytes()] == []
    job = blueprint_of(tmp_path, *SMALL, *words).job()
    assert "s3cret" not in f"{caplog.text} {job.config}"
    assert "JUDGE_KEY" in str(job.config)


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
