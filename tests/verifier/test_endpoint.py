"""A judge elsewhere: every score lands on its image whatever the host does, and what is on disk is not asked again."""

import json
import math
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from its.disk.run_folder import RunFolder
from its.pixels import to_uint8
from its.verifier.answers import bill
from its.verifier.endpoint import Endpoint
from its.verifier.rubric import NonsenseError, Rubric
from its.verifier.vlm import Vlm
from tests.verifier.judge_server import answer_of, brightness, judge_server

ROOT = Path(__file__).parents[2]
QUICK = {"wait_s": 0.01, "timeout_s": 5.0}


@pytest.fixture
def host():
    with judge_server() as (state, url):
        yield state, url


def images_of(count, seed=0):
    """Images of different brightness."""
    noise = torch.rand((count, 3, 6, 5), generator=torch.Generator().manual_seed(seed))
    return noise - torch.linspace(0, 1, count)[:, None, None, None]


def expected(images):
    return [brightness(picture) for picture in to_uint8(images).numpy()]


def prompts_of(count):
    return [f"prompt {index}" for index in range(count)]


def judge_of(url, folder=None, **options):
    return Vlm(Endpoint(url, "judge-1", folder=None if folder is None else str(folder), **(QUICK | options)))


def failing(kinds, seed):
    """Two of three attempts at a picture come to nothing, each in its way; the third is answered, late."""
    chance = random.Random(seed)

    def behave(attempt, number):
        return chance.choice(kinds)(number) if attempt < 3 else chance.uniform(0, 0.03)

    return behave


def late(number):
    return 0.02


NONSENSE = (
    lambda number: "I would give it a 7.",
    lambda number: answer_of(number, 12),
    lambda number: answer_of(number, "7"),
    lambda number: answer_of(number, True),
    lambda number: answer_of(number, 7).replace("7", "NaN"),
    lambda number: answer_of(number + 1, 7),
    lambda number: answer_of(number, 7, mood=3),
    lambda number: answer_of(number, 7)[:-1] + ', "overall": 8}',
    lambda number: answer_of(number, 7) + answer_of(number, 8),
    lambda number: f"[{answer_of(number, 7)}]",
    lambda number: "[" * 100_000,
    lambda number: "",
)
KINDS = {
    "late": [late],
    "errors": [lambda number, status=status: status for status in (500, 502, 503, 504, 408)],
    "limits": [lambda number, wait=wait: (429, {"Retry-After": wait}) for wait in ("0.02", "soon", "", "-1")],
    "nonsense": NONSENSE,
}
KINDS["all"] = [kind for kinds in KINDS.values() for kind in kinds]


@pytest.mark.parametrize(
    "name", ["all", *(pytest.param(name, marks=pytest.mark.long) for name in KINDS if name != "all")]
)
def test_endpoint_scores_land_on_their_images_whatever_the_host_does(host, name):
    state, url = host
    state.behave = failing(KINDS[name], 7)
    images = images_of(12)
    rewards = judge_of(url, in_flight=5).reward(images, prompts_of(12))
    assert rewards.tolist() == expected(images)
    assert 1 < state.most_at_once <= 5
    assert set(state.attempts.values()) <= {1, 2, 3}
    assert state.calls > 12 or name == "late"


@pytest.mark.parametrize("nonsense", NONSENSE)
def test_rubric_refuses_nonsense(nonsense):
    assert Rubric().read(answer_of(4321, 7), 4321)["overall"] == 7
    with pytest.raises(NonsenseError):
        Rubric().read(nonsense(4321), 4321)


def test_endpoint_takes_an_answer_in_a_fence(host):
    state, url = host
    state.behave = lambda attempt, number: f"```json\n{answer_of(number, 4.5)}\n```"
    assert judge_of(url).reward(images_of(1), ["a cat"]).tolist() == [4.5]


def test_endpoint_asks_by_the_protocol_and_with_the_key_of_the_environment(host, monkeypatch):
    state, url = host
    monkeypatch.setenv("JUDGE_KEY", "s3cret-of-judge")
    options = {"temperature": 0, "max_tokens": 300}
    judge_of(f"{url}/", key_variable="JUDGE_KEY", options=options).reward(images_of(1), ['a "cat"\n</request>'])
    [(path, headers, body, _)] = state.requests
    assert (path, headers["Authorization"]) == ("/v1/chat/completions", "Bearer s3cret-of-judge")
    assert {key: body[key] for key in ("model", *options)} == {"model": "judge-1", **options}
    text = body["messages"][0]["content"][0]["text"]
    assert json.dumps('a "cat"\n</request>') in text, "a prompt is quoted, and cannot pass for the rubric"


def test_endpoint_asks_for_no_score_twice_that_is_on_disk(host, tmp_path):
    state, url = host
    images, prompts = images_of(4), prompts_of(4)
    double = torch.cat([images, images[:2]])
    first = judge_of(url, tmp_path).reward(double, prompts + prompts[:2])
    assert state.calls == 4
    assert first.tolist() == expected(double)
    again = judge_of(url, tmp_path).reward(images.flip(0), prompts[::-1])
    assert state.calls == 4
    assert again.tolist() == expected(images)[::-1]
    assert bill(tmp_path).startswith("4 requests and 52 tokens in all")

    # Another picture, prompt, rubric, model, option or host is another question.
    judge_of(url, tmp_path).reward(images[:1] + 0.1, prompts[:1])
    judge_of(url, tmp_path).reward(images[:1], ["another"])
    judge_of(url, tmp_path, options={"temperature": 1}).reward(images[:1], prompts[:1])
    Vlm(Endpoint(url, "judge-2", folder=str(tmp_path), **QUICK)).reward(images[:1], prompts[:1])
    Vlm(Endpoint(f"{url}/other", "judge-1", folder=str(tmp_path), **QUICK)).reward(images[:1], prompts[:1])
    assert state.calls == 9
    other = Vlm(Endpoint(url, "judge-1", folder=str(tmp_path), **QUICK), {"request": "is it?"})
    state.behave = lambda attempt, number: json.dumps({"picture": number, "request": 1, "overall": 6})
    assert other.reward(images[:1], prompts[:1]).tolist() == [6]
    assert state.calls == 10


def test_endpoint_keeps_what_arrives_before_a_host_goes_away(host, tmp_path):
    """The third picture is never answered; whoever asks for all again asks for the others no more."""
    state, url = host
    images, prompts = images_of(6), prompts_of(6)
    judge = judge_of(url, tmp_path, in_flight=1, attempts=3)
    third = judge.judge
    number = None
    state.behave = lambda attempt, asked: 503 if asked == number else None
    picture = to_uint8(images[2:3]).numpy()[0]
    number = 1000 + int(third.key_of(picture, prompts[2], judge.rubric)[:12], 16) % 9000
    with pytest.raises(ValueError, match=r"gave no score to 4 of 6 pictures \(picture \w+ of 'prompt 2'; .*HTTP 503"):
        judge.reward(images, prompts)
    assert state.calls == 2 + 3
    state.behave = lambda attempt, asked: None
    assert judge_of(url, tmp_path).reward(images, prompts).tolist() == expected(images)
    assert state.calls == 2 + 3 + 4
    assert bill(tmp_path).startswith("9 requests ")


def test_endpoint_passes_over_a_line_that_a_kill_cut_short(host, tmp_path, caplog):
    state, url = host
    images, prompts = images_of(3), prompts_of(3)
    judge_of(url, tmp_path, in_flight=1).reward(images, prompts)
    file = RunFolder(tmp_path).answers
    file.write_bytes(file.read_bytes()[:-20])
    assert judge_of(url, tmp_path).reward(images, prompts).tolist() == expected(images)
    assert state.calls == 4
    assert judge_of(url, tmp_path).reward(images, prompts).tolist() == expected(images)
    assert state.calls == 4


def test_endpoint_leaves_out_a_picture_of_nonsense_and_says_so(host, caplog):
    state, url = host
    images, prompts = images_of(3), prompts_of(3)
    judge = judge_of(url, attempts=2)
    judge.reward(images[:1], prompts[:1])
    state.behave = lambda attempt, number: "no" if state.attempts[number] < 3 else None
    rewards = judge.reward(images, prompts).tolist()
    assert rewards[0] == expected(images)[0]
    assert all(map(math.isnan, rewards[1:]))
    assert caplog.text.count("gave no score to picture") == 2
    assert judge.reward(images, prompts).tolist() == expected(images), "asked again, it has one"


def test_endpoint_leaves_out_a_picture_that_the_host_declines(host):
    state, url = host
    images, prompts = images_of(2), prompts_of(2)
    judge = judge_of(url)
    judge.reward(images[:1], prompts[:1])
    state.behave = lambda attempt, number: 400
    assert math.isnan(judge.reward(images, prompts)[1])
    assert state.calls == 2, "it is not asked again and again"


@pytest.mark.parametrize(
    ("act", "sentence"),
    [
        (401, r"judge-1 at .* gave no score to 4 of 4 pictures \(picture .*; .*\): it refuses: HTTP 401"),
        (400, "it refuses: HTTP 400"),
        ((302, {"Location": "http://127.0.0.1:9/"}), "it refuses: HTTP 302"),
        (500, "it does not answer: HTTP 500"),
        ("no", "its answer is nonsense: it is not one JSON object"),
    ],
    ids=str,
)
def test_endpoint_ends_a_run_whose_judge_never_answered(host, monkeypatch, act, sentence):
    state, url = host
    monkeypatch.setenv("JUDGE_KEY", "s3cret-of-judge")
    state.behave = lambda attempt, number: act
    with pytest.raises(ValueError, match=sentence) as refusal:
        judge_of(url, key_variable="JUDGE_KEY", attempts=2).reward(images_of(4), prompts_of(4))
    assert "s3cret" not in str(refusal.value)
    assert "the same command goes on" in str(refusal.value)


def test_endpoint_needs_a_host_and_a_key(monkeypatch):
    monkeypatch.delenv("JUDGE_KEY", raising=False)
    with pytest.raises(ValueError, match=r"it does not answer: URLError"):
        judge_of("http://127.0.0.1:9/v1", attempts=1).reward(images_of(1), ["a"])
    with pytest.raises(
        ValueError, match=r"it refuses: the environment has no JUDGE_KEY; export it with the key of http"
    ):
        judge_of("http://127.0.0.1:9/v1", key_variable="JUDGE_KEY").reward(images_of(1), ["a"])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"url": "judge.example/v1"}, r"url of the judge is 'judge.example/v1'; it is http\(s\)://host/v1"),
        ({"url": "https://me:word@judge.example/v1"}, "without a key in it"),
        ({"url": "https://judge.example/v1?key=1"}, "without a key in it"),
        ({"url": "http://judge.example/v1", "key_variable": "K"}, "would be sent unencrypted; use https"),
        ({"options": {"model": "x"}}, "options of the judge have model, which requests set themselves"),
        ({"in_flight": 0}, "in_flight=0, .*; the first two are at least 1"),
        ({"wait_s": 0.0}, "wait_s=0.0 .*; the first two are at least 1, the others above 0"),
    ],
    ids=str,
)
def test_endpoint_refuses_what_breaks_a_rule(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        Endpoint(**{"url": "https://judge.example/v1", "model": "m", **arguments})


def test_vlm_refuses_gradients_classes_and_scores_that_there_are_not(host):
    _, url = host
    with pytest.raises(ValueError, match="a judge of rounded pictures has no gradient; choose another verifier@guide"):
        judge_of(url).reward(images_of(1).requires_grad_(), ["a"])
    with pytest.raises(ValueError, match="an image is asked for 3, and this verifier scores images by their prompts"):
        judge_of(url).reward(images_of(1), [3])
    with pytest.raises(ValueError, match=r"score is 'mood'; choose one of request, .*, overall"):
        Vlm(Endpoint(url, "m"), score="mood")
    with pytest.raises(ValueError, match=r"aspects is \{'overall': 'x'\}; it has a question for each name"):
        Vlm(Endpoint(url, "m"), {"overall": "x"})


def test_vlm_rewards_by_the_aspect_that_is_asked_for(host):
    state, url = host
    state.behave = lambda attempt, number: answer_of(number, 2, finish=8)
    assert Vlm(Endpoint(url, "m", **QUICK), score="finish").reward(images_of(1)[:, :1], ["a"]).tolist() == [8]


KILLED = """
import sys
from tests.verifier.test_endpoint import images_of, judge_of, prompts_of
judge_of(sys.argv[1], sys.argv[2], in_flight=2).reward(images_of(12), prompts_of(12))
"""


def test_endpoint_of_a_killed_run_asks_for_nothing_that_is_on_disk(host, tmp_path):
    state, url = host
    state.behave = lambda attempt, number: None if state.calls <= 5 else 30
    process = subprocess.Popen([sys.executable, "-c", KILLED, url, str(tmp_path)], cwd=ROOT)
    file = RunFolder(tmp_path).answers
    while process.poll() is None and not (file.exists() and len(file.read_bytes().splitlines()) == 5):
        time.sleep(0.02)
    process.kill()
    process.wait()
    kept = {json.loads(line)["key"] for line in file.read_text().splitlines()}
    assert len(kept) == 5
    state.attempts.clear()
    state.behave = lambda attempt, number: None
    judge = judge_of(url, tmp_path)
    assert judge.reward(images_of(12), prompts_of(12)).tolist() == expected(images_of(12))
    numbers = {1000 + int(key[:12], 16) % 9000 for key in kept}
    assert state.attempts.total() == 7
    assert not numbers & state.attempts.keys()
