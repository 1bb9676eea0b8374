"""Images handed out to a judge, and its verdicts read back: one for each image, or nothing is written."""

import json
import os
import re
import shutil
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from its.disk.verdicts import read_verdicts, verdict_files
from its.moving.pack import pack
from its.rerun.finished_run import FinishedRun
from its.rerun.hand_out import Layout, hand_out
from its.rerun.verdict_lines import Line, read_lines, verdicts_of
from tests.build import arrays_in, blueprint_of, make_experiment
from tests.run.test_prompts import PAINTER

ROWS = (
    {"tag": "counting", "include": [{"class": "cow", "count": 2}], "prompt": "a photo of two cows"},
    {"tag": "colors", "include": [{"class": "cup", "count": 1, "color": "red"}], "prompt": "a photo of a red cup"},
    {"tag": "counting", "include": [{"class": "cow", "count": 3}], "prompt": "a photo of three cows 夜"},
)


@pytest.fixture(scope="module")
def words(tmp_path_factory) -> tuple[str, ...]:
    """Words of a run of two images a prompt, of a list as GenEval's."""
    path = tmp_path_factory.mktemp("lists") / "geneval.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return (*PAINTER, "dataset=geneval", f"dataset.path={path}", "dataset.images_per_prompt=2", "shard=4")


@pytest.fixture(scope="module")
def whole(words, tmp_path_factory):
    run = make_experiment(tmp_path_factory.mktemp("whole"), *words)
    run.run()
    return run


@pytest.fixture
def run(whole, tmp_path) -> FinishedRun:
    """A copy of the finished run."""
    return FinishedRun.of(Path(shutil.copytree(whole.folder, tmp_path / whole.folder.name)))


def judged(folder: Path) -> list[dict]:
    """What GenEval's evaluation writes of a folder that it walks: every second sample is correct."""
    results = []
    for sub in os.listdir(folder):
        if (folder / sub).is_dir() and sub.isdigit():
            metadata = json.loads((folder / sub / "metadata.jsonl").read_text())
            for name in os.listdir(folder / sub / "samples"):
                assert re.fullmatch(r"\d+\.png", name)
                entry = {"filename": str(folder / sub / "samples" / name), "correct": name == "0001.png"}
                rest = {"reason": "", "metadata": json.dumps(metadata), "details": "{}"}
                results.append({**entry, "tag": metadata["tag"], "prompt": metadata["prompt"], **rest})
    return results


def lines_of(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "list.jsonl").read_text().splitlines()]


def written(path: Path, entries) -> Path:
    path.write_text("\n".join(entry if isinstance(entry, str) else json.dumps(entry) for entry in entries))
    return path


@pytest.mark.parametrize("cap", [0, 1])
def test_hand_out_writes_the_chosen_images_as_geneval_reads_them(run, tmp_path, cap):
    handed = hand_out(run, tmp_path / "out", cap)
    assert handed.cap == run.summary["caps"][cap]
    listed = lines_of(tmp_path / "out")
    for problem, line in enumerate(listed):
        first, k = problem // 4 * 4, problem % 4
        arrays = arrays_in(run.files.shard(first))
        file = tmp_path / "out" / line["file"]
        assert line["file"] == f"{problem % 3:05d}/samples/{problem // 3:04d}.png"
        assert np.array_equal(np.asarray(Image.open(file)), arrays["images"][arrays["pick"][k, cap]])
        assert line["sha256"] == sha256(file.read_bytes()).hexdigest() == handed.files[problem]
        assert (line["prompt"], line["tag"]) == (ROWS[problem % 3]["prompt"], ROWS[problem % 3]["tag"])
    assert len(listed) == 6
    assert [json.loads((tmp_path / "out" / f"{k:05d}/metadata.jsonl").read_text()) for k in range(3)] == list(ROWS)


def test_hand_out_of_equal_pictures_gives_files_that_differ(run, tmp_path):
    first, last = (hand_out(run, tmp_path / str(cap), cap) for cap in (0, 1))
    assert not {*first.files} & {*last.files}, "a file is of one cap and one problem"
    assert hand_out(run, tmp_path / "again", 0) == first


def test_hand_out_refuses_before_anything_is_written(run, words, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    (other := tmp_path / "geneval.jsonl").write_text(json.dumps(ROWS[0]))
    with pytest.raises(ValueError, match=r"geneval.jsonl is another list than .* was made of; give that as --list"):
        hand_out(run, tmp_path / "out", -1, str(other))
    with pytest.raises(FileNotFoundError, match=r"is not at nowhere.jsonl; give it as --list"):
        hand_out(run, tmp_path / "out", -1, "nowhere.jsonl")
    with pytest.raises(FileExistsError, match=r"is there already"):
        hand_out(run, other, -1)
    with pytest.raises(ValueError, match=r"cap is 2, and .* has 2; they are counted from 0"):
        hand_out(run, tmp_path / "out", 2)
    other.unlink()
    assert sorted(tmp_path.rglob("*")) == before


def test_layout_of_text_lists_and_of_one_prompt(tmp_path):
    (path := tmp_path / "lists").mkdir()
    (path / "a.txt").write_text("one\ntwo")
    words = (*PAINTER, "dataset=prompts", f"dataset.path={path}", "dataset.category=file")
    for given, metadata in (
        (words, [{"tag": "a", "file": "a", "prompt": "one"}, {"tag": "a", "file": "a", "prompt": "two"}]),
        ((*PAINTER, "dataset=prompt", "prompt='sketch, a cat'"), [{"prompt": "sketch, a cat"}]),
    ):
        made = make_experiment(tmp_path, *given)
        made.run()
        assert list(Layout.of(FinishedRun.of(made.folder), None).metadata) == metadata


def test_verdicts_of_genevals_results_are_read_by_file(run, tmp_path):
    handed = hand_out(run, tmp_path / "out", -1)
    results = written(tmp_path / "results.jsonl", judged(tmp_path / "out"))
    verdicts = verdicts_of(run, read_lines(results, by_file=True), "geneval", "source")
    assert (verdicts.correct, verdicts.tags) == ((0, 0, 0, 1, 1, 1), ("counting", "colors", "counting") * 2)
    assert (verdicts.cap, verdicts.hand_out) == (handed.cap, handed.name)
    (tmp_path / "out" / "00000" / "samples" / "0000.png").unlink()
    with pytest.raises(ValueError, match=r"filename is .*0000.png', which is not there; read the results where"):
        read_lines(results, by_file=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "out" / "00000" / "samples" / "0000.png")
    with pytest.raises(ValueError, match=r"is the sha256 of no image that was handed out with the others"):
        verdicts_of(run, read_lines(results, by_file=True), "geneval", "source")


def test_verdicts_are_kept_once_and_never_overwritten(run, words, tmp_path):
    hand_out(run, tmp_path / "out", -1)
    entries = [{**line, "correct": 0.25 * k / 2} for k, line in enumerate(lines_of(tmp_path / "out"))]
    path = written(tmp_path / "verdicts.jsonl", entries)
    verdicts = verdicts_of(run, read_lines(path), "vqa", "source")
    before = {each: each.read_bytes() for each in run.folder.rglob("*") if each.is_file()}
    assert verdicts.keep(run.files)
    kept = verdicts.place(run.files).read_bytes()
    assert not verdicts.keep(run.files), "the same again is nothing to do"
    assert read_verdicts(run.files) == [verdicts]
    other = verdicts_of(run, read_lines(written(path, [{**each, "correct": 1} for each in entries])), "vqa", "other")
    with pytest.raises(ValueError, match=r"vqa-6-6.json has other verdicts of vqa .* another --name"):
        other.keep(run.files)
    assert verdicts.place(run.files).read_bytes() == kept
    assert {each: each.read_bytes() for each in before} == before, "nothing else has changed"


def test_verdicts_leave_the_run_finished_and_packed_as_before(whole, words, tmp_path):
    root = whole.folder.parents[6]
    shutil.copytree(root, tmp_path / "all")
    run = FinishedRun.of(tmp_path / "all" / whole.folder.relative_to(root))
    pack(run, tmp_path / "before.tar")
    hand_out(run, tmp_path / "out", -1)
    lines = [Line("", line["sha256"], 1.0, None) for line in lines_of(tmp_path / "out")]
    verdicts_of(run, lines, "judge", "source").keep(run.files)
    pack(run, tmp_path / "after.tar")
    assert (tmp_path / "after.tar").read_bytes() == (tmp_path / "before.tar").read_bytes()
    assert blueprint_of(tmp_path / "all", *words).finished


def test_verdicts_of_a_damaged_record_are_left_out_and_named(run, tmp_path, caplog):
    hand_out(run, tmp_path / "out", -1)
    lines = [Line("", line["sha256"], 1.0, None) for line in lines_of(tmp_path / "out")]
    verdicts = verdicts_of(run, lines, "judge", "source")
    verdicts.keep(run.files)
    place = verdicts.place(run.files)
    place.write_text(place.read_text().replace("1.0", "0.0", 1))
    assert read_verdicts(run.files) == []
    assert f"{place} is not what was written; restore it" in caplog.text
    with pytest.raises(ValueError, match="is not what was written; restore it, or move it away"):
        verdicts.keep(run.files)
    changes = ({"correct": ["yes"]}, "holds no verdict"), ({"tags": ["a"]}, "holds no verdict"), ({"x": 1}, ", x; move")
    for change, reason in changes:
        place.write_text(json.dumps({**asdict(verdicts), **change}, sort_keys=True))
        assert read_verdicts(run.files) == []
        assert re.search(f"left out: {place} .*{reason}", caplog.text)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", r"line 2: Expecting"),
        ("[1]", r"line 2: it is a list; it is an object"),
        ("[" * 100_000, r"line 2: this is no verdict"),
        ({"sha256": "a" * 64, "correct": "true"}, r"line 2: correct is 'true'; it is true, false, or a number"),
        ({"sha256": "a" * 64, "correct": None}, r"correct is None"),
        ({"sha256": "a" * 64}, r"correct is None"),
        ({"sha256": "a" * 64, "correct": 1.5}, r"correct is 1.5"),
        ('{"sha256": "' + "a" * 64 + '", "correct": NaN}', r"correct is nan"),
        ('{"sha256": "' + "a" * 64 + '", "correct": true, "correct": false}', r"line 2: a key comes twice"),
        ({"sha256": "A" * 64, "correct": True}, r"sha256 is 'AAA.*64 hex digits"),
        ({"sha256": "a" * 63, "correct": True}, r"sha256 is 'aaa"),
        ({"correct": True}, r"sha256 is None"),
        ({"sha256": "a" * 64, "correct": True, "tag": None}, r"tag is None; it is a text, or left out"),
        ({"sha256": "a" * 64, "correct": True, "tag": " "}, r"tag is ' '"),
        ({"sha256": "a" * 64, "correct": True, "corect": False}, r"corect is none of .*; did you mean correct\?"),
        ({"sha256": "b" * 64, "correct": True}, r"line 2: image bbb.* has a verdict already, at .*line 1; keep one"),
        ({"sha256": "a" * 64, "correct": True, "tag": "x"}, r"line 2: either every line has a tag or none"),
    ],
)
def test_read_lines_refuses_what_is_no_verdict(tmp_path, line, reason):
    path = written(tmp_path / "verdicts.jsonl", [{"sha256": "b" * 64, "correct": False}, line])
    with pytest.raises(ValueError, match=reason):
        read_lines(path)


def test_read_lines_refuses_a_file_of_none(tmp_path):
    with pytest.raises(ValueError, match="holds no verdict"):
        read_lines(written(tmp_path / "empty.jsonl", ["", ""]))
    (tmp_path / "latin.jsonl").write_bytes(b"\xff")
    with pytest.raises(ValueError, match="is no UTF-8"):
        read_lines(tmp_path / "latin.jsonl")


def test_verdicts_of_lines_that_lack_or_add_an_image_are_refused(run, tmp_path):
    lines = [Line("l, line 1", "a" * 64, 1.0, None)]
    with pytest.raises(ValueError, match=r"no images of .* were handed out; python scripts/hand_out.py"):
        verdicts_of(run, lines, "judge", "")
    handed = hand_out(run, tmp_path / "out", 0)
    other = hand_out(run, tmp_path / "last", 1)
    whole = [Line("l, line 9", digest, 1.0, None) for digest in handed.files]
    for given, name, reason in (
        (
            whole[1:],
            "judge",
            rf"1 of 6 images have no verdict, the first is of problem 0, .* {handed.files[0]}",
        ),
        ([*whole, *lines], "judge", r"l, line 1: aaaa.* is the sha256 of no image that was handed out"),
        ([*whole, Line("l, line 7", other.files[0], 1.0, None)], "judge", r"l, line 7: .* handed out with the others"),
        (whole, "fid_se", r"--name is 'fid_se'"),
        (whole, "../x", r"--name is '../x'"),
    ):
        with pytest.raises(ValueError, match=reason):
            verdicts_of(run, given, name, "")
    assert not verdict_files(run.files)


def test_verdicts_of_a_run_that_has_grown_are_refused(whole, words, tmp_path):
    root = whole.folder.parents[6]
    shutil.copytree(root, tmp_path / "all")
    folder = tmp_path / "all" / whole.folder.relative_to(root)
    handed = hand_out(FinishedRun.of(folder), tmp_path / "out", 1)
    make_experiment(tmp_path / "all", *words, "dataset.images_per_prompt=3").run()
    lines = [Line("", digest, 1.0, None) for digest in handed.files]
    with pytest.raises(ValueError, match=r"has other images than .* it has 9 now, and 6 were handed out"):
        verdicts_of(FinishedRun.of(folder), lines, "judge", "")
    more = hand_out(FinishedRun.of(folder), tmp_path / "more", 1)
    assert more.files[:6] == handed.files
    lines = [Line("", digest, 1.0, None) for digest in more.files]
    assert len(verdicts_of(FinishedRun.of(folder), lines, "judge", "").correct) == 9
