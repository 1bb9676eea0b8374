"""Runs of prompts: through shards, identity, resuming, merging, audit, rendering, rescoring and candidates."""

import json
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

from its.config.composed import composed
from its.disk.run_folder import RunFolder
from its.engine.stream import Stream
from its.moving.audit import audit, opened
from its.moving.merge import Merge
from its.moving.pack import pack
from its.rerun.finished_run import FinishedRun
from its.rerun.rescore import rescore
from its.rerun.rescoring import Rescoring
from its.rerun.rescoring import words as rescored_words
from its.run.conditions import prompts_of, stored
from its.run.shards import refuse_other_conditions
from tests.build import arrays_in, blueprint_of, contents, make_experiment, numbers
from tests.painter import picture_of
from tests.rerun.test_render import render

PAINTER = (
    "plugins=[tests.painter]",
    f"hydra.searchpath=[file://{Path(__file__).parents[1] / 'painter' / 'conf'}]",
    *("model=painter", "sampler=euler", "verifier=closeness", "sampler.steps=3", "budget.samplings=[1,2]"),
    *("batch=8", "dataset.shape=[3,8,8]"),
)
PROMPTS = ("a red cube; a blue one", 'sketch, "a cat"', "two\nlines \x1b[31m <b>&amp;</b> {condition}", "夜 🦙", "=1+1")


@pytest.fixture(scope="module")
def listed(tmp_path_factory) -> Path:
    """A list of five awkward prompts in two categories."""
    path = tmp_path_factory.mktemp("lists") / "list.jsonl"
    lines = [json.dumps({"prompt": prompt, "kind": f"kind {k % 2}"}) for k, prompt in enumerate(PROMPTS)]
    path.write_text("\n".join(lines))
    return path


@pytest.fixture(scope="module")
def words(listed) -> tuple[str, ...]:
    """Words of a run of two images a prompt, of which a shard holds four."""
    columns = ("dataset.column=prompt", "dataset.category=kind", "dataset.images_per_prompt=2", "shard=4")
    return (*PAINTER, "dataset=prompts", f"dataset.path={listed}", *columns, "verifier@report=redness")


@pytest.fixture(scope="module")
def whole(words, tmp_path_factory):
    """A finished run, with its candidates."""
    run = make_experiment(tmp_path_factory.mktemp("whole"), *words, "keep_candidates=true")
    run.run()
    return run


def test_run_of_prompts_makes_each_prompts_images(whole):
    asked = [text for name in whole.files.shard_names for text in prompts_of(arrays_in(whole.folder / name))]
    assert asked == [*PROMPTS, *PROMPTS], "in turn"
    arrays = arrays_in(whole.files.shard(0))
    assert arrays["label"].tolist() == [-1] * 4
    for prompt, image in zip(PROMPTS, arrays["images"][arrays["pick"][:, 1]], strict=False):
        near = np.abs(image / 127.5 - 1 - picture_of(prompt).numpy().transpose(1, 2, 0)).mean()
        assert near < 0.3, "the model was given the prompt itself"


def test_run_of_prompts_measures_without_a_reference(whole, listed):
    summary = whole.files.read_summary()
    row = summary["curve"][-1]
    assert {"reward_mean", "report_redness", "pairwise"} <= row.keys()
    assert "fid" not in row
    assert summary["left_out"] == {}
    assert summary["protocol"]["reference"] == "none"
    assert summary["protocol"]["prompts"].startswith("list.jsonl, 5 prompts, sha256 ")
    lines = [json.loads(line) for line in whole.files.problems.read_text().splitlines()]
    assert [(line["prompt"], line["category"]) for line in lines[:2]] == [
        (PROMPTS[0], "kind 0"),
        (PROMPTS[1], "kind 1"),
    ]
    assert len(lines) == 10


def test_identity_of_prompts_is_their_lists_content(words, listed, tmp_path):
    def folder(path: Path, *more: str) -> str:
        others = [word for word in words if not word.startswith("dataset.path")]
        return blueprint_of(tmp_path, *others, f"dataset.path={path}", *more).folder.name

    copied = Path(shutil.copy(listed, tmp_path / "other.jsonl"))
    assert folder(copied) == folder(listed)
    assert folder(listed, "dataset.images_per_prompt=7") == folder(listed), "more images add to the same run"
    assert folder(listed, "dataset.column=kind") != folder(listed)
    copied.write_text(listed.read_text().replace("cat", "dog"))
    assert folder(copied) != folder(listed)


def test_run_of_prompts_is_the_same_in_two_halves(whole, words, tmp_path):
    folders = []
    for share in ("1/2", "2/2"):
        part = make_experiment(tmp_path / share[0], *words, "keep_candidates=true", f"share={share}")
        part.run()
        folders.append(part.folder)
    Merge.of(folders).run()
    run = make_experiment(tmp_path / "1", *words, "keep_candidates=true")
    run.run()
    (run.folder / "share.json").unlink()
    assert contents(run.folder) == contents(whole.folder)
    assert numbers(run.folder) == numbers(whole.folder)


def test_run_of_prompts_resumes_and_grows(whole, words, tmp_path, monkeypatch):
    folder = make_experiment(tmp_path, *words, "keep_candidates=true").folder
    shutil.copytree(whole.folder, folder)
    assert blueprint_of(tmp_path, *words, "keep_candidates=true").finished
    RunFolder(folder).problems.write_text("")
    assert not blueprint_of(tmp_path, *words, "keep_candidates=true").finished, "a damaged small file is made again"
    monkeypatch.setattr(Stream, "__init__", None)  # nothing is sampled
    make_experiment(tmp_path, *words, "keep_candidates=true").run()
    assert RunFolder(folder).problems.read_bytes() == whole.files.problems.read_bytes()


def test_run_of_prompts_is_audited(whole, tmp_path):
    found = audit(FinishedRun.of(whole.folder), PAINTER[:2], 10, seed=0)
    assert found.different == []
    forged = Path(shutil.copytree(whole.folder, tmp_path / whole.folder.name))
    lines = RunFolder(forged).problems.read_text().replace("kind 0", "kind 1")
    RunFolder(forged).problems.write_text(lines)
    assert any("problems.jsonl" in sentence for sentence in audit(FinishedRun.of(forged), PAINTER[:2], 1, 0).different)


def test_run_of_prompts_is_packed_with_its_prompts(whole, tmp_path):
    pack(FinishedRun.of(whole.folder), tmp_path / "run.tar")
    with opened(tmp_path / "run.tar") as run:
        assert run.files.problems.read_bytes() == whole.files.problems.read_bytes()
        assert "path: list.jsonl" in run.files.config.read_text(), "no place of this machine"


def test_prompt_that_looks_like_a_place_is_packed_as_it_is(tmp_path):
    run = make_experiment(tmp_path, *PAINTER, "dataset=prompt", "prompt='/imagine a/cat'")
    run.run()
    pack(FinishedRun.of(run.folder), tmp_path / "run.tar")
    with opened(tmp_path / "run.tar") as packed:
        assert packed.config["dataset"]["images"]["prompt"] == "/imagine a/cat"
        assert "prompt='/imagine a/cat'" in shlex.split(packed.summary["command"])


def test_run_of_prompts_is_rescored_by_what_it_asked_for(whole):
    run = FinishedRun.of(whole.folder)
    overrides = ["verifier=redness", "~verifier@report", *PAINTER[:2]]
    rescoring = Rescoring.of(run, blueprint_of(whole.folder.parents[6], *rescored_words(run, overrides)))
    rows = rescore(rescoring, whole.folder / "rescored" / "redness", "again")
    assert rows[-1]["reward_mean"] >= whole.files.read_summary()["curve"][-1]["report_redness"]
    assert next(part.conditions for part in rescoring.scored()) == list(PROMPTS[:4])


def test_run_of_prompts_is_rendered(whole):
    rendering = render(whole, "sampler=heun", "sampler.steps=4", *PAINTER[:2])
    assert prompts_of(arrays_in(rendering.files.shard(0))) == list(PROMPTS[:4])


def test_refuse_other_conditions_compares_prompts(whole):
    shards = [(range(2), {"index": np.arange(2), **stored(["a cat", None])})]
    refuse_other_conditions(shards, ["a cat", None].__getitem__)
    with pytest.raises(ValueError, match=r"problem 0 asked for 'a cat' when .* the dataset here asks for 'a dog'"):
        refuse_other_conditions(shards, ["a dog", None].__getitem__)
    with pytest.raises(ValueError, match=r"problem 1 asked for no class when .* asks for 3"):
        refuse_other_conditions(shards, ["a cat", 3].__getitem__)
    with pytest.raises(ValueError, match="problem 0 asked for class 2"):
        refuse_other_conditions([(range(1), {"index": np.arange(1), **stored([2])})], ["a cat"].__getitem__)


def test_shards_without_prompts_are_as_they_were():
    assert stored([3, None, 1]).keys() == {"label"}
    assert prompts_of({"label": np.array([1])}) is None


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("metric=fid", r"metric.fid compares with real images, and this dataset has no reference.*~metric.fid"),
        ("metric=inception", r"metric.fid .*~metric.fid ~metric.isc ~metric.kid ~metric.prc"),
        ("dataset.images_per_prompt=0", r"dataset.images_per_prompt is 0; it is a whole number of at least 1"),
        ("dataset.path=nowhere.csv", r"no list of prompts at .*nowhere.csv; give the path"),
        ("prompt=cat", r"prompt is 'cat', and dataset=prompts does not ask for it; take dataset=prompt"),
    ],
)
def test_run_of_prompts_is_refused_before_any_compute(words, tmp_path, word, reason):
    with pytest.raises((ValueError, FileNotFoundError), match=reason):
        make_experiment(tmp_path, *words, word)
    assert not [*tmp_path.rglob("shards")]


def test_metrics_that_lack_a_pair_are_left_out_by_name(words, tmp_path, caplog):
    run = make_experiment(tmp_path, *words, "images=3")
    rows = run.run()
    assert "pairwise" not in rows[0]
    assert "needs two images of a prompt" in run.files.read_summary()["left_out"]["pairwise"]
    assert "metric.pairwise needs two images of a prompt" in caplog.text


def test_failures_show_a_prompt_whole_or_briefly_and_never_its_braces(tmp_path):
    text = "{condition} and {0}; then " + "x" * 1000
    run = make_experiment(tmp_path, *PAINTER, "dataset=prompt", f"prompt='{text}'", "shard=4")
    run.engine.verifiers["select"] = type("Broken", (), {"reward": lambda *given: 1 / 0})()
    with pytest.raises(ValueError, match=r"asked for '\{condition\} and .*\.\.\..*x', and cannot take them: division"):
        run.run()


def test_one_prompt_is_a_dataset_of_one_image(tmp_path):
    config = composed([*PAINTER, "dataset=prompt", "prompt='sketch, a cat'"]).config
    assert config.prompt == "sketch, a cat"
    run = make_experiment(tmp_path, *PAINTER, "dataset=prompt", "prompt='sketch, a cat'")
    assert run.images == 1
    assert run.condition(0) == "sketch, a cat"
    folders = {
        blueprint_of(tmp_path, *PAINTER, "dataset=prompt", f"prompt='{text}'").folder.name for text in ("a", "b", "a ")
    }
    assert len(folders) == 3


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("prompt=42", "the prompt is 42; it is a text, in quotes"),
        ("prompt=null", r"needs a prompt; write \"prompt='sketch, a cat'\""),
        ("prompt=''", "the prompt is empty"),
        ("prompt=sketch, a cat", r"and for one text 'prompt=\"sketch, a cat\"'"),
        ("prompt='${oc.env:HOME}'", r"would be filled in from elsewhere, and a prompt is a text; write \\\$\{"),
    ],
)
def test_one_prompt_is_refused_with_what_to_write(tmp_path, word, reason):
    with pytest.raises(ValueError, match=reason):
        make_experiment(tmp_path, *PAINTER, "dataset=prompt", word)


def test_one_prompt_is_taken_to_the_letter(tmp_path):
    run = make_experiment(tmp_path, *PAINTER, "dataset=prompt", r"prompt='it\'s \${5}, $5 {a: b} [c] #d'")
    assert run.condition(0) == "it's ${5}, $5 {a: b} [c] #d"
    run.run()
    assert make_experiment(tmp_path, *PAINTER, "dataset=prompt", r"prompt='it\'s \${5}, $5 {a: b} [c] #d'").run()


def test_smoke_run_takes_a_prompt_to_the_letter(tmp_path):
    made = blueprint_of(tmp_path, *PAINTER, "dataset=prompt", "prompt='a twin: {twin}'", "smoke=true", "images=2")
    assert made.with_twins()["dataset"]["images"]["prompt"] == "a twin: {twin}"
    for name in ("drawbench", "t2i_compbench"):
        lists = blueprint_of(tmp_path, *PAINTER, f"dataset={name}", "smoke=true")
        assert (lists.plain["images"], lists.label["metric"]) == (12, "prompts")
        assert Path(lists.with_twins()["dataset"]["images"]["path"]).read_text().count("\n") == 6
