"""A judge elsewhere: every score lands on its image whatever the host does, and what is on disk is not asked again."""

import contextlib
import gzip
import json
import math
import os
import random
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from its.disk.store import ANSWERS
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


def raw(content):
    return lambda handler: handler.wfile.write(content)


def sent(content, *headers, cut=0):
    """A whole response of these bytes, but for the last ones."""
    lines = ["HTTP/1.1 200 OK", *headers, f"Content-Length: {len(content)}", "", ""]
    return raw("\r\n".join(lines).encode() + content[: len(content) - cut])


def completion(text, **usage):
    return json.dumps({"choices": [{"message": {"content": text}}], "usage": usage}).encode()


def endless(handler):
    """Write on, a little at a time, so that no single read takes long."""
    handler.send_response(200)
    handler.end_headers()
    with contextlib.suppress(OSError):
        while True:
            handler.wfile.write(b" " * 64)
            handler.wfile.flush()
            time.sleep(0.02)


ATTACKS = {
    "endless": lambda number: endless,
    "huge": lambda number: sent(b" " * (20 << 20) + completion(answer_of(number, 7))),
    "bomb": lambda number: sent(gzip.compress(bytes(1 << 24)), "Content-Encoding: gzip"),
    "deep": lambda number: sent(b"[" * 100_000),
    "page": lambda number: sent(b"<html>Please log in", "Content-Type: text/html"),
    "no http": lambda number: raw(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "headers": lambda number: sent(b"{}", *[f"X-{k}: 1" for k in range(300)]),
    "cut short": lambda number: sent(completion(answer_of(number, 7)), cut=20),
    "nothing": lambda number: raw(b""),
    "no choice": lambda number: sent(b'{"choices": []}'),
    "two choices": lambda number: sent(b'{"choices": [{"message": {"content": "1"}}, {"message": {"content": "2"}}]}'),
    "declined": lambda number: sent(b'{"choices": [{"finish_reason": "content_filter", "message": {}}]}'),
    "parts": lambda number: sent(b'{"choices": [{"message": {"content": [{"text": "7"}]}}]}'),
    "no list": lambda number: sent(b'{"choices": 7, "usage": [1]}'),
    "large number": lambda number: answer_of(number, 7).replace("7", "1" + "0" * 400),
    "infinity": lambda number: answer_of(number, 7).replace("7", "1e999"),
    "half a letter": lambda number: sent(b'{"choices": [{"message": {"content": "\\ud83d"}}]}'),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.long if name in ("huge", "bomb") else ()) for name in ATTACKS]
)
def test_endpoint_outlives_hosts_that_send_anything(host, tmp_path, name):
    """Each picture's first attempt is answered so; it is asked again, and in no more than its time."""
    state, url = host
    state.behave = lambda attempt, number: ATTACKS[name](number) if attempt < 2 else None
    images, started = images_of(2), time.perf_counter()
    judge = judge_of(url, tmp_path, timeout_s=0.5 if name == "endless" else 5.0)
    assert judge.reward(images, prompts_of(2)).tolist() == expected(images)
    assert (state.calls, time.perf_counter() - started < 10) == (4, True)
    assert len((tmp_path / ANSWERS).read_bytes()) < 4000
    again = judge_of(url, tmp_path).reward(images, prompts_of(2)).tolist()
    assert (again, state.calls) == (expected(images), 4)


@pytest.mark.parametrize("tokens", [-3, 10**40, 1.5, "7", None, True])
def test_endpoint_counts_no_tokens_that_a_host_cannot_have_counted(host, tokens):
    state, url = host
    content = {"prompt_tokens": tokens, "completion_tokens": 3}
    state.behave = lambda attempt, number: sent(completion(answer_of(number, 7), **content))
    judge = judge_of(url)
    assert judge.reward(images_of(1), ["a"]).tolist() == [7]
    assert judge.judge_costs(images_of(1), ["a"]) == [{"judge_calls": 1, "judge_tokens": 3}]


def test_endpoint_takes_a_mark_of_byte_order(host):
    state, url = host
    state.behave = lambda attempt, number: sent(b"\xef\xbb\xbf" + completion(answer_of(number, 7)))
    assert judge_of(url).reward(images_of(1), ["a"]).tolist() == [7]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_endpoint_gives_its_key_to_no_other_host(host, monkeypatch, status):
    state, url = host
    monkeypatch.setenv("JUDGE_KEY", "s3cret-of-judge")
    with judge_server() as (other, elsewhere):
        state.behave = lambda attempt, number: (status, {"Location": f"{elsewhere}/chat/completions"})
        with pytest.raises(ValueError, match=f"it refuses: HTTP {status}"):
            judge_of(url, key_variable="JUDGE_KEY").reward(images_of(1), ["a"])
        assert other.requests == []


BEHIND = """
import sys
from its.verifier.chat import Chat
import numpy as np
print(Chat(sys.argv[1], "m", None, {}, 5.0).ask(np.zeros((2, 2, 3), np.uint8), "Picture 1234 was made").text)
"""


@pytest.mark.long
def test_endpoint_on_this_machine_is_behind_no_proxy(host):
    """Else the key of a server of one's own would go to the proxy, unencrypted."""
    _, url = host
    proxies = dict.fromkeys(("http_proxy", "HTTP_PROXY", "all_proxy"), "http://127.0.0.1:9")
    quiet = {key: value for key, value in os.environ.items() if key.lower() != "no_proxy"}
    given = [sys.executable, "-c", BEHIND, url]
    done = subprocess.run(given, cwd=ROOT, env={**quiet, **proxies}, capture_output=True, text=True)
    assert '"overall": 0.0' in done.stdout, done.stderr


def echoing(handler):
    """Send back what it was given, wherever a host can."""
    key = handler.headers["Authorization"]
    handler.wfile.write(f"HTTP/1.1 401 {key}\r\nX-Key: {key}\r\n\r\n{key} \x1b[31m {key}".encode())


@pytest.mark.parametrize(
    "act", [echoing, lambda handler: handler.wfile.write(f"{handler.headers['Authorization']}\r\n".encode())]
)
def test_endpoint_keeps_its_key_out_of_messages_and_files(host, tmp_path, monkeypatch, caplog, act):
    state, url = host
    monkeypatch.setenv("JUDGE_KEY", "s3cret-of-judge")
    state.behave = lambda attempt, number: act
    with pytest.raises(ValueError, match="<JUDGE_KEY>") as refusal:
        judge_of(url, tmp_path, key_variable="JUDGE_KEY", attempts=2).reward(images_of(2), prompts_of(2))
    told = f"{refusal.value} {caplog.text} {(tmp_path / ANSWERS).read_text()}"
    assert "s3cret" not in told
    assert "\x1b" not in told


@pytest.mark.parametrize("key", ["a\nb", "a b", "schlüssel"])
def test_endpoint_refuses_a_key_that_is_none_and_does_not_say_it(host, monkeypatch, key):
    state, url = host
    monkeypatch.setenv("JUDGE_KEY", key)
    with pytest.raises(ValueError, match="what the environment has as JUDGE_KEY is no key") as refusal:
        judge_of(url, key_variable="JUDGE_KEY").reward(images_of(1), ["x"])
    assert (key in str(refusal.value), state.calls) == (False, 0)


def test_endpoint_says_a_full_disk_and_asks_again_for_what_is_not_on_it(host, tmp_path, monkeypatch):
    state, url = host
    images, prompts = images_of(4), prompts_of(4)
    judge_of(url, tmp_path).reward(images[:2], prompts[:2])
    write = os.write
    monkeypatch.setattr("its.disk.lines.os.write", lambda file, content: write(file, content[: len(content) // 2]))
    with pytest.raises(OSError, match="No space left on device"):
        judge_of(url, tmp_path, in_flight=1).reward(images, prompts)
    for thread in [each for each in threading.enumerate() if each.name.startswith("judge")]:
        thread.join()  # it may have begun to ask before the first one failed
    monkeypatch.undo()
    asked = state.calls
    assert judge_of(url, tmp_path).reward(images, prompts).tolist() == expected(images)
    assert state.calls == asked + 2
    assert judge_of(url, tmp_path).reward(images, prompts).tolist() == expected(images)
    assert state.calls == asked + 2


def test_endpoint_of_two_workers_at_once_holds_to_the_first_answer(host, tmp_path):
    """The host says something else each time; both workers, and whoever comes later, have the same scores."""
    state, url = host
    state.behave = lambda attempt, number: answer_of(number, min(9, attempt))
    images, prompts = images_of(12), prompts_of(12)
    judges = [judge_of(url, tmp_path, in_flight=3) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        rewards = list(pool.map(lambda judge: judge.reward(images, prompts).tolist(), judges))
    assert state.calls > 12, "they asked at the same time"
    asked = state.calls
    judges.append(judge_of(url, tmp_path))
    rewards.append(judges[-1].reward(images, prompts).tolist())
    assert rewards[1:] == rewards[:-1]
    costs = [judge.judge_costs(images, prompts) for judge in judges]
    assert costs == [[{"judge_calls": 1, "judge_tokens": 13}] * 12] * 4
    assert state.calls == asked


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
    file = tmp_path / ANSWERS
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
        ({"url": "http://localhost#@judge.example/v1"}, "without a key in it"),
        ({"url": "http://localhost:port/v1"}, "it is http"),
        ({"url": "https://judge.example/v1 x"}, "it is http"),
        ({"key_variable": "sk-0123"}, r"key_variable of the judge is no name of a variable of the environment; export"),
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
    file = tmp_path / ANSWERS
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
