"""The cache of encodings under what happens to folders: damage, kills, other processes, and no room."""

import gc
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from its.disk.cache import CACHE
from its.model import sd15, text_cache
from its.model.text_cache import HELD, TextCache
from its.twins.sd15 import write

pytestmark = pytest.mark.usefixtures("cache")

ODD = ["", " ", "a cat\0", "\N{ZERO WIDTH JOINER}\N{CAT FACE}", "a cat " * 5000, "../../etc", "a\nb"]


@pytest.fixture(name="cache")
def folder_of_encodings(text_cache) -> Path:
    return text_cache


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sd15")
    write(str(folder))
    return folder


def counted(made: list[str], width: int = 2):
    """A cache whose encodings are of the length of a prompt, and the prompts that were encoded."""
    return TextCache(
        {"by": "this"},
        lambda: lambda prompt: made.append(prompt) or {"states": torch.full((width,), float(len(prompt)))},
        "cpu",
    )


def test_text_cache_makes_damaged_encodings_again_and_holds_few(cache):
    made: list[str] = []
    prompts = ["x" * n for n in range(1, 51)]
    texts = counted(made)
    texts.prepare(prompts)
    assert [float(texts(prompt)["states"][0]) for prompt in prompts] == [*range(1, 51)]
    assert (len(made), texts._held.cache_info().currsize) == (50, HELD)
    for path in cache.rglob("*.text"):
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    again = counted(made)
    again.prepare(prompts)
    assert float(again("x")["states"][0]) == 1.0
    assert len(made) == 51
    assert TextCache({"by": "that"}, lambda: len, "cpu").folder != texts.folder


@pytest.mark.parametrize("damage", ["cut", "empty", "folder", "link", "unreadable"])
def test_text_cache_makes_what_stands_in_a_files_place_again(cache, damage):
    made: list[str] = []
    counted(made).prepare(["a cat"])
    [path] = cache.rglob("*.text")
    content = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage == "link":
        path.symlink_to("nowhere")
    else:
        path.write_bytes(content[:40] if damage != "empty" else b"")
        path.chmod(0o000 if damage == "unreadable" else 0o600)
    texts = counted(made)
    texts.prepare(["a cat"])
    assert float(texts("a cat")["states"][0]) == 5.0
    if os.getuid() or damage != "unreadable":
        assert path.read_bytes() == content
    assert len(made) == 2


def test_text_cache_keeps_prompts_of_any_text_apart():
    made: list[str] = []
    texts = counted(made)
    texts.prepare([*ODD, *ODD])
    assert made == ODD
    assert [float(texts(prompt)["states"][0]) for prompt in ODD] == [float(len(prompt)) for prompt in ODD]
    counted(made).prepare(ODD)
    assert made == ODD


@pytest.mark.parametrize("place", ["read-only", "a file", "full"])
def test_text_cache_without_room_holds_no_encodings_in_memory(cache, monkeypatch, caplog, place):
    """They lie in a folder that goes with the cache; as root a folder that cannot be written needs a stand-in."""
    write_atomic = text_cache.write_atomic

    def refusing(path, content):
        if cache in path.parents:
            raise OSError(28 if place == "full" else 30, "no")
        write_atomic(path, content)

    if place == "a file":
        cache.parent.mkdir()
        cache.write_text("mine")
    else:
        monkeypatch.setattr(text_cache, "write_atomic", refusing)
    made: list[str] = []
    texts = counted(made)
    prompts = [f"{n}" * n for n in range(1, 61)]
    texts.prepare(prompts)
    texts.prepare(prompts)
    assert [float(texts(prompt)["states"][0]) for prompt in prompts] == [float(len(prompt)) for prompt in prompts]
    assert made == prompts
    assert len([each for each in caplog.records if each.levelname == "WARNING"]) == 1
    scratch = Path(texts._scratch.name)
    assert len([*scratch.iterdir()]) == 60
    del texts
    gc.collect()
    assert not scratch.exists()
    if place == "a file":
        assert cache.read_text() == "mine"


def test_text_cache_says_what_to_do_where_nothing_can_be_written(monkeypatch):
    def refusing(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(text_cache, "write_atomic", refusing)
    with pytest.raises(OSError, match=r"No space left.*set ITS_CACHE to a folder with room"):
        counted([]).prepare(["a cat"])


def test_text_cache_of_two_processes_at_once_is_whole(cache):
    """Both write every entry."""
    made: list[str] = []
    prompts = [f"prompt {n}" for n in range(50)]
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(counted(made, 4096).prepare, prompts) for _ in range(4)]:
            done.result()
    assert len([*cache.rglob("*.text")]) == 50 == len([path for path in cache.rglob("*") if path.is_file()])
    made.clear()
    texts = counted(made)
    assert all(texts(prompt)["states"].shape == (4096,) for prompt in prompts)
    assert not made


KILLED = """
import sys, torch
from its.model.text_cache import TextCache
encode = lambda prompt: {"states": torch.full((262144,), float(len(prompt)))}
TextCache({"by": "this"}, lambda: encode, "cpu").prepare([f"prompt {n}" for n in range(100_000)])
"""


@pytest.mark.long
def test_text_cache_of_a_killed_process_is_whole(cache):
    """What is there is there to the last byte, and the rest is made."""
    process = subprocess.Popen([sys.executable, "-c", KILLED], env={**os.environ, CACHE: str(cache.parent)})
    while len([*cache.rglob("*.text")]) < 5:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    present = len([*cache.rglob("*.text")])
    made: list[str] = []
    texts = counted(made)
    for number in range(present + 1):
        texts(f"prompt {number}")
    assert made == [f"prompt {present}"]


def test_text_cache_goes_by_the_content_of_encoders_and_tokenizers(pipeline, tmp_path):
    """Another path is the same encoder; another word of the tokenizer is another, and so is another type."""
    there = tmp_path / "there"
    shutil.copytree(pipeline, there)
    one, other = (sd15.load(str(folder), size=32)._texts.folder for folder in (pipeline, there))
    assert one == other
    assert sd15.load(str(there), size=32, text_dtype="bfloat16")._texts.folder != one
    merges = there / "tokenizer" / "tokenizer_config.json"
    merges.write_text(json.dumps(json.loads(merges.read_text()) | {"model_max_length": 50}))
    assert sd15.load(str(there), size=32)._texts.folder != one


def test_text_cache_refuses_a_prompt_that_is_no_text():
    made: list[str] = []
    with pytest.raises(
        ValueError, match=r"the prompt 'a\\udcffcat' has '\\udcff', which is no character; write it in UTF-8"
    ):
        counted(made).prepare(["a cat", "a\udcffcat"])
    assert not made


@pytest.mark.parametrize("prompt", ODD)
def test_prompts_of_any_text_are_encoded(pipeline, prompt):
    texts = sd15.load(str(pipeline), size=32)._texts
    assert texts(prompt)["states"].isfinite().all()
