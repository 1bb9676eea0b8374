"""Winners sampled again from their starting points, by the same sampler to the bit, or by another."""

import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from its.config.composed import composed
from its.disk.verify import verify_others
from its.levels import Columns
from its.rerun.finished_run import FinishedRun
from its.rerun.render import Rendering, build_rendering, words
from its.run.experiment import Experiment
from its.sampler.heun import Heun
from tests.build import CONF, contents, make_experiment

SMALL = (
    "images=12",
    "shard=8",
    "budget.samplings=[1,3,8]",
    "sampler.eta=0",
    "sampler.steps=4",
    "~metric.kid",
    "~metric.prc",
    "~metric.isc",
)
NO_METRICS = ("~metric.kid", "~metric.prc", "~metric.isc", "~metric.fid")
MIXTURE = ("dataset=mixture", "model=mixture")


def render(run: Experiment, *overrides: str) -> Rendering:
    finished = FinishedRun.of(run.folder)
    rendering = build_rendering(finished, composed(words(finished, overrides)), overrides)
    rendering.run()
    return rendering


def shards(run: Experiment) -> list[dict[str, np.ndarray]]:
    return [run.files.store.read(name) for name in run.files.shard_names]


@pytest.fixture(scope="module")
def zero_order(tmp_path_factory) -> Experiment:
    """On the mixture, whose arithmetic is exact."""
    run = make_experiment(tmp_path_factory.mktemp("run"), "search=zero_order", *MIXTURE, *SMALL, "~metric.fid")
    run.run()
    return run


@pytest.mark.parametrize("search", ["random", "zero_order", "ses"])
def test_render_with_the_same_sampler_repeats_the_images(tmp_path, search):
    """On digits, in float32. Keys are enough for points of the problem's sequence; moved ones are stored."""
    run = make_experiment(tmp_path, f"search={search}", *SMALL)
    run.run()
    before = contents(run.folder)
    rendering = render(run, "~metric.kid", "~metric.prc", "~metric.isc")
    for ours, theirs in zip(shards(rendering), shards(run), strict=True):
        assert np.array_equal(ours["images"][ours["pick"]], theirs["images"][theirs["pick"]])
        assert np.array_equal(ours["reward"], theirs["reward"])
        assert (theirs["start"] >= 0).all() == (len(theirs["noise"]) == 0) == (search == "random")
    after = contents(run.folder)
    assert {name: after[name] for name in before} == before, "the run's own files stay as they are"


@pytest.mark.parametrize("guide", [(), ("+guide.output=logit",)])
def test_render_of_one_step_images_takes_their_starts_in_the_samplers_own_steps(tmp_path, guide):
    """ReNO climbs in one step and is rendered in four; its guide has no part in that, and may be any."""
    words = ("search=reno", "search.steps=1", "search.rate=1", *MIXTURE, *SMALL, "~metric.fid")
    run = make_experiment(tmp_path, *words, *guide)
    run.run()
    rendered, model = render(run, *NO_METRICS), run.engine.model
    checked = 0
    for ours, theirs in zip(shards(rendered), shards(run), strict=True):
        for row, cap in zip(*np.nonzero(theirs["start"] <= -2), strict=True):
            x = torch.from_numpy(theirs["noise"][-2 - theirs["start"][row, cap]])[None]
            for high, low in pairwise(run.engine.prices.grid):
                t, s = (Columns.of([level], 4, "cpu") for level in (high, low))
                x = run.engine.sampler.step(x, model(x, t, [0]), t, s, None)
            expected = (127.5 * (x[0] + 1)).round().clamp(0, 255).byte().movedim(0, -1).numpy()
            assert np.array_equal(ours["images"][ours["pick"][row, cap]], expected)
            checked += 1
    assert checked > 12
    assert [(row["nfe"], row["nfe_final"]) for row in rendered.run()] == [(4, 4), (12, 4), (32, 4)]


@pytest.fixture(scope="module")
def rendering(zero_order) -> Rendering:
    return render(zero_order, "sampler=heun", "sampler.steps=7", *NO_METRICS)


def test_render_with_another_sampler_starts_from_the_stored_noise(zero_order, rendering):
    """Against a loop over one row at a time."""
    heun, model = Heun(steps=7), zero_order.engine.model
    grid = heun.grid(model.path)
    checked = 0
    for ours, theirs in zip(shards(rendering), shards(zero_order), strict=True):
        for row, cap in zip(*np.nonzero(theirs["start"] <= -2), strict=True):
            x = torch.from_numpy(theirs["noise"][-2 - theirs["start"][row, cap]])[None]
            for high, low in pairwise(grid):
                t, s = (Columns.of([level], 4, "cpu") for level in (high, low))
                first = model(x, t, [0])
                y = heun.step(x, first, t, s, None)
                x = y if low.clean else heun.correct(x, first, model(y, s, [0]), t, s)
            expected = (127.5 * (x[0] + 1)).round().clamp(0, 255).byte().movedim(0, -1).numpy()
            assert np.array_equal(ours["images"][ours["pick"][row, cap]], expected)
            checked += 1
    assert checked > 12


def test_render_with_more_steps_equals_a_plain_run(tmp_path):
    """The first starting point in ten steps is what search=none makes in ten steps."""
    run = make_experiment(tmp_path, "search=none", *SMALL)
    run.run()
    plain = make_experiment(tmp_path, "search=none", *SMALL, "sampler.steps=10")
    plain.run()
    rendering = render(run, "sampler.steps=10")
    for ours, theirs in zip(shards(rendering), shards(plain), strict=True):
        assert np.array_equal(ours["images"][ours["pick"]], theirs["images"][theirs["pick"]])


def test_render_counts_the_final_sampling_in_its_own_column(zero_order, rendering):
    rows, searched = rendering.run(), zero_order.run()
    assert [row["nfe"] for row in rows] == [row["nfe"] for row in searched] == [4, 12, 32]
    # Heun leaves out the first of seven times, where sigma / alpha is above 80.
    assert [row["nfe_final"] for row in rows] == [2 * 6 - 1] * 3
    assert [row["verifier_calls"] for row in rows] == [row["verifier_calls"] + 1 for row in searched]
    assert all(after["seconds"] > before["seconds"] for after, before in zip(rows, searched, strict=True))


def test_render_repeated_completes_the_missing_files(zero_order, rendering):
    whole = contents(rendering.folder)
    (rendering.folder / "shards" / "00000008.safetensors").unlink()
    (rendering.folder / "metrics.json").unlink()
    assert render(zero_order, "sampler=heun", "sampler.steps=7", *NO_METRICS).folder == rendering.folder
    assert contents(rendering.folder) == whole
    before = {path: path.stat().st_mtime_ns for path in rendering.folder.rglob("*")}
    render(zero_order, "sampler=heun", "sampler.steps=7", *NO_METRICS)
    assert {path: path.stat().st_mtime_ns for path in rendering.folder.rglob("*")} == before


@pytest.mark.parametrize(
    "options", [["search=random", "sampler.eta=1"], ["search=dfs", "search.threshold=-100", "search.depth=0.25"]]
)
def test_render_refuses_images_not_sampled_straight_from_a_start(tmp_path, options):
    run = make_experiment(tmp_path, *MIXTURE, *SMALL, "images=4", "~metric.fid", *options)
    run.run()
    before = contents(tmp_path)
    with pytest.raises(ValueError, match=r"image \d+ at cap \d+ of search=\w+ did not come straight from a starting"):
        render(run)
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("sampler.eta=0.5", "draws noise of its own"),
        ("seed=1", "seed=1 would change more than how the winners"),
        ("search=ses", "search=ses would change more"),
        ("images=3", "images=3 would change more"),
    ],
)
def test_render_refuses_changes_beyond_a_deterministic_sampler(zero_order, override, message):
    before = contents(zero_order.folder)
    with pytest.raises(ValueError, match=message):
        render(zero_order, override)
    assert contents(zero_order.folder) == before


def test_render_refuses_unfinished_runs_and_other_weights(tmp_path):
    run = make_experiment(tmp_path, "search=none", *SMALL, "images=4", "~metric.fid")
    with pytest.raises(ValueError, match=r"has no config\.yaml, so it is no finished run"):
        render(run)
    run.run()
    finished = FinishedRun.of(run.folder)
    other = {**finished.config, "weights": {**finished.config["weights"], "digits/generator": "0" * 64}}
    with pytest.raises(ValueError, match="model of the run cannot be had here"):
        build_rendering(replace(finished, config=other), composed(words(finished, [])), [])


EDITED = {
    "verifier": ({"network": {"_target_": "os.system"}}, r"verifier.network._target_ is 'os.system'"),
    "model": ({"note": "${oc.env:HF_TOKEN}"}, "would put what the environment's HF_TOKEN holds"),
    "search": ({"note": "hunter22-Ax9"}, "search.note holds what the environment's HF_TOKEN holds"),
    "seed": ({"_target_": "os.system"}, "seed is .*; it is a whole number"),
}


@pytest.mark.parametrize("key", EDITED)
def test_render_checks_a_saved_configuration_as_one_that_is_typed(zero_order, monkeypatch, key):
    monkeypatch.setenv("HF_TOKEN", "hunter22-Ax9")
    finished = FinishedRun.of(zero_order.folder)
    value, message = EDITED[key]
    config = {**finished.config, key: {**finished.config[key], **value} if key != "seed" else value}
    before = contents(zero_order.folder)
    with pytest.raises(Exception, match=message):
        build_rendering(replace(finished, config=config), composed(words(finished, [])), [])
    assert contents(zero_order.folder) == before


def test_render_script_prints_folder_and_curve(zero_order):
    command = [
        sys.executable,
        "scripts/render.py",
        str(zero_order.folder),
        "sampler=euler",
        "sampler.steps=8",
        "~metric.kid",
        "~metric.prc",
        "~metric.isc",
    ]
    done = subprocess.run(command, cwd=CONF.parent, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    *_, folder, header, first, _, last = done.stdout.splitlines()
    assert folder.startswith(str(zero_order.folder / "renders" / "euler-"))
    assert header.split() == ["nfe_cap", "nfe", "nfe_final", "reward_mean", "fid", "accuracy"]
    assert first.split()[:3] == ["4", "4", "8"]
    assert last.split()[:3] == ["32", "32", "8"]


@pytest.mark.parametrize("files", ["features/**/00000000.*", pytest.param("**/*", marks=pytest.mark.long)])
def test_verify_others_names_damaged_files_of_a_rendering_which_render_makes_again(tmp_path, files):
    run = make_experiment(tmp_path, *MIXTURE, *SMALL, "search=random")
    run.run()
    rendering = render(run, "sampler.steps=6")
    assert list(verify_others(run.files)) == []
    paths = [path for path in sorted(rendering.folder.glob(files)) if path.is_file()]
    whole = contents(rendering.folder)
    for path in paths:
        content = path.read_bytes()
        path.write_bytes(content[:7] + bytes([content[7] ^ 4]) + content[8:])
        told = "\n".join(verify_others(run.files))
        assert str(path) in told or f"{rendering.folder} is damaged" in told, path.name
        render(run, "sampler.steps=6")
        for aside in rendering.folder.rglob("*.damaged-*"):
            aside.unlink()
        assert contents(rendering.folder) == whole
        assert list(verify_others(run.files)) == []
