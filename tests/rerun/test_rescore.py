"""A stored pool under another verifier is what a run with that verifier gives, and it lacks nothing."""

import importlib.util
import json
import math
import shutil
import subprocess
import sys
from copy import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import its.disk.store
from its.disk.records import read_record
from its.model.mixture import MixtureDenoiser
from its.process import source_files
from its.rerun import preference_pairs, rescore
from its.rerun.finished_run import FinishedRun
from tests.build import CONF, arrays_in, blueprint_of, contents, make_experiment, numbers

DIGITS = (
    "images=26",
    "shard=10",
    "sampler.steps=4",
    "budget.samplings=[1,2,4]",
    "batch=16",
    "~metric.kid",
    "~metric.prc",
    "~metric.isc",
)
MIXTURE = (*DIGITS, "dataset=mixture", "model=mixture")
POOL = "keep_candidates=true"
OTHER = ("verifier=null_rewards", "verifier.salt=3")
RANKED = ("verifier=ensemble", "verifier.members.b.salt=3")


@pytest.fixture(autouse=True)
def without_figures(monkeypatch):
    """Drawing would take more time than all the rest; `test_rescore_script_writes_curve_and_pairs` draws."""
    monkeypatch.setattr("its.report.figures.curve_figure", lambda *given: b"")
    monkeypatch.setattr("its.rerun.rescore.comparison_figure", lambda runs: {"png": b""})


def script():
    """`scripts/rescore.py` as a module."""
    spec = importlib.util.spec_from_file_location("rescore_script", CONF.parent / "scripts" / "rescore.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rescoring_of(folder, *given):
    """The rescoring of a run's folder that `given` asks for."""
    return script().rescoring_of(FinishedRun.of(folder), list(given))


def rescored(target, folder, *given):
    """Rescore a run's folder to `target`; return the rescoring and its rows."""
    rescoring = rescoring_of(folder, *given)
    return rescoring, rescore.rescore(rescoring, target, "a command")


def shard_files(folder):
    return {path.name: path.read_bytes() for path in sorted((folder / "shards").iterdir())}


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A finished run of zero-order search with its pool."""
    run = make_experiment(tmp_path_factory.mktemp("kept"), *MIXTURE, "search=zero_order", POOL)
    run.run()
    return run


def elsewhere(run, folder, *, keep_candidates=True):
    """The same experiment in another folder, as a new process would begin it."""
    engine = copy(run.engine)
    engine.keep_candidates, engine.served = keep_candidates, {}
    return replace(run, folder=folder, engine=engine)


def test_keep_candidates_changes_no_folder_or_record(tmp_path, kept):
    plain = make_experiment(tmp_path, *MIXTURE, "search=zero_order")
    assert (plain.folder.name, plain.config) == (kept.folder.name, kept.config)
    assert (plain.engine.keep_candidates, kept.engine.keep_candidates) == (False, True)


def test_keep_candidates_adds_a_pool_later_and_changes_no_image(tmp_path, kept):
    elsewhere(kept, tmp_path, keep_candidates=False).run()
    plain = contents(tmp_path)
    whole = contents(kept.folder)
    assert numbers(tmp_path) == numbers(kept.folder)
    assert {name: whole[name] for name in plain if name != "manifest.jsonl"} == {
        name: data for name, data in plain.items() if name != "manifest.jsonl"
    }
    assert sorted(whole.keys() - plain) == sorted(
        f"pool/{part}{k:08d}.safetensors" for part in ("", "pixels/") for k in (0, 10, 20)
    )
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/**/*.safetensors")}
    elsewhere(kept, tmp_path).run()
    assert contents(tmp_path) == whole
    assert {path: path.stat().st_mtime_ns for path in before} == before, "what was there is left alone"
    again = elsewhere(kept, tmp_path)
    again.run()
    assert again.engine.served == {}


@pytest.mark.parametrize("kind", ["missing", "damaged"])
def test_keep_candidates_remakes_missing_and_damaged_pool_files(tmp_path, kept, kind):
    shutil.copytree(kept.folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / "metrics.json").unlink()
    for name in ("pool/00000010.safetensors", "pool/pixels/00000000.safetensors"):
        path = tmp_path / name
        if kind == "missing":
            path.unlink()
        else:
            path.write_bytes(path.read_bytes()[:-1])
    elsewhere(kept, tmp_path).run()
    assert contents(tmp_path) == contents(kept.folder)


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


def test_keep_candidates_resumes_after_a_kill_at_any_write(tmp_path, kept, monkeypatch):
    """The n-th life dies at its n-th write, once the manifest has its line, until one lives to the end."""
    write_atomic = its.disk.store.write_atomic
    for life in range(100):
        left = [life]

        def write(path, content, left=left):
            if not left[0]:
                raise Killed
            left[0] -= 1
            write_atomic(path, content)

        monkeypatch.setattr(its.disk.store, "write_atomic", write)
        try:
            elsewhere(kept, tmp_path).run()
        except Killed:
            continue
        break
    assert life > 3
    assert contents(tmp_path) == contents(kept.folder)
    assert numbers(tmp_path) == numbers(kept.folder)


@pytest.mark.parametrize(
    ("problem", "search", "other"),
    [
        (MIXTURE, "none", OTHER),
        (MIXTURE, "more_steps", OTHER),
        (MIXTURE, "random", OTHER),
        (MIXTURE, "random", RANKED),
        (DIGITS, "random", ("verifier=classifier",)),
    ],
    ids=lambda value: value if isinstance(value, str) else value[-1],
)
def test_rescore_equals_a_run_with_the_other_verifier(experiment, tmp_path, problem, search, other):
    """Images, rewards and ledgers of every shard at every cap, to the bit, and every number of the curve."""
    first = "verifier=null_rewards" if other[0] == "verifier=classifier" else "verifier=classifier"
    run = experiment("kept", *problem, f"search={search}", POOL, first)
    run.run()
    separate = experiment("separate", *problem, f"search={search}", *other)
    separate.run()
    assert shard_files(separate.folder) != shard_files(run.folder)
    before = {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()}
    target = tmp_path / "target"
    rescoring, rows = rescored(target, run.folder, *other)
    assert shard_files(target) == shard_files(separate.folder)
    assert numbers(target) == numbers(separate.folder)
    assert "seconds" not in rows[0]
    assert rescoring.exact
    assert {path: path.read_bytes() for path in before} == before, "the run itself is left as it was"


@pytest.mark.parametrize("search", ["ses", "beam", "paths"])
def test_rescore_by_the_same_verifier_reproduces_the_run(experiment, tmp_path, search):
    """Nothing is missing from the pool, at any cap."""
    run = experiment("own", *MIXTURE, f"search={search}", "sampler.eta=1", POOL)
    run.run()
    target = tmp_path / "target"
    rescored(target, run.folder)
    assert shard_files(target) == shard_files(run.folder)
    assert numbers(target) == numbers(run.folder)


class Moody:
    """A verifier that gives NaN to all images, or to every second."""

    absolute = True

    def __init__(self, every):
        self.every = every

    def reward(self, images, conditions):
        return images.flatten(1).mean(1).masked_fill(torch.arange(len(images)) % self.every == 0, torch.nan)


def test_rescore_says_rewards_that_are_no_numbers_and_refuses_a_verifier_that_gives_none(kept, tmp_path, caplog):
    rescoring = rescoring_of(kept.folder)
    with pytest.raises(ValueError, match=r"verifier classifier \(Moody\) gave no finite reward to any of"):
        rescore.rescore(replace(rescoring, verifier=Moody(1)), tmp_path / "all", "a command")
    assert not (tmp_path / "all" / "rescored.json").exists()
    rows = rescore.rescore(replace(rescoring, verifier=Moody(2)), tmp_path / "half", "a command")
    images = rows[-1]["nan_select"]
    assert images > 0
    assert f"verifier Moody (select) gave NaN to {images} of {kept.images} images" in caplog.text


def test_rescore_tells_which_sources_made_and_chose_what_it_measures(tmp_path, monkeypatch):
    run = make_experiment(tmp_path / "run", *MIXTURE, "images=4", "search=random", POOL)
    run.run()
    real, made = source_files.digest_of, run.sources.images.name
    for edited, others in ((None, []), ("its.verifier.null_rewards", []), ("its.engine.stream", [made])):
        monkeypatch.setattr(source_files, "digest_of", lambda name, at=edited: "x" if name == at else real(name))
        rescoring, _ = rescored(tmp_path / str(edited), run.folder, *OTHER)
        sources = read_record(tmp_path / str(edited) / "rescored.json")["sources"]
        assert sources["images"] == [made]
        assert sources["selects"] == rescoring.blueprint.sources.images.name != made
        assert sources.get("edited", []) == others
        assert rescoring.exact == (not others)
        assert ("made by another source than is here" in rescoring.meaning) == bool(others)
        assert (tmp_path / str(edited) / "sources" / f"{sources['selects']}.txt").exists()


def test_rescore_of_zero_order_picks_the_best_of_its_pool(tmp_path, kept):
    target = tmp_path
    rescoring, _ = rescored(target, kept.folder, *OTHER)
    assert not rescoring.exact
    assert "zero_order chose its way by classifier" in json.loads((target / "rescored.json").read_text())["meaning"]
    verifier = rescoring.verifier
    for first in (0, 10, 20):
        pool, shard = (
            arrays_in(folder / f"{first:08d}.safetensors") for folder in (kept.folder / "pool", target / "shards")
        )
        images = torch.from_numpy(pool["images"])
        rewards = verifier.reward(images, [0] * len(images)).tolist()
        for k in range(len(pool["index"])):
            own = range(pool["offset"][k], pool["offset"][k + 1])
            for cap, nfe in enumerate(rescoring.caps):
                best = max((i for i in own if pool["clock"][i] <= nfe), key=lambda i: rewards[i])
                pixels = np.clip(np.round(127.5 * (pool["images"][best] + 1)), 0, 255).astype(np.uint8)
                assert shard["reward"][k, cap] == rewards[best]
                assert np.array_equal(shard["images"][shard["pick"][k, cap]], np.moveaxis(pixels, 0, -1))


def test_rescore_loads_the_generator_only_where_flops_are_missing(kept, tmp_path, monkeypatch):
    folder = shutil.copytree(kept.folder, tmp_path / "run")
    rescored(tmp_path / "before", folder, *OTHER)
    loads = []
    whole = MixtureDenoiser.__init__
    monkeypatch.setattr(
        MixtureDenoiser, "__init__", lambda self, *given, **named: loads.append(1) or whole(self, *given, **named)
    )
    rescored(tmp_path / "stored", folder, *OTHER)
    assert not loads
    summary = json.loads((folder / "metrics.json").read_text())
    del summary["flops"], summary["check"]
    (folder / "metrics.json").write_text(json.dumps(summary))
    rescored(tmp_path / "counted", folder, *OTHER)
    assert loads
    assert numbers(tmp_path / "stored") == numbers(tmp_path / "counted") == numbers(tmp_path / "before")


class TwoMembers:
    """A relative verifier: brightness, and how close the mean is to zero."""

    absolute = False
    members = ("bright", "centred")

    def reward(self, images, conditions):
        mean = images.double().mean((1, 2, 3))
        return torch.stack([mean, -mean.abs()], dim=1)


def test_rescore_by_a_relative_verifier_picks_by_mean_rank(kept, tmp_path):
    rescoring = replace(rescoring_of(kept.folder), verifier=TwoMembers())
    rescore.rescore(rescoring, tmp_path, "a command")
    pool = arrays_in(kept.folder / "pool/00000000.safetensors")
    shard = arrays_in(tmp_path / "shards/00000000.safetensors")
    for k in range(10):
        for cap, nfe in enumerate(rescoring.caps):
            own = [i for i in range(pool["offset"][k], pool["offset"][k + 1]) if pool["clock"][i] <= nfe]
            means = [float(pool["images"][i].mean()) for i in own]
            ranks = [(sum(m > mine for m in means) + sum(abs(m) < abs(mine) for m in means)) / 2 + 1 for mine in means]
            best = own[ranks.index(min(ranks))]
            pixels = np.clip(np.round(127.5 * (pool["images"][best] + 1)), 0, 255).astype(np.uint8)
            assert np.array_equal(shard["images"][shard["pick"][k, cap]], np.moveaxis(pixels, 0, -1))
            [members] = rescoring.verifier.reward(torch.from_numpy(pool["images"][best : best + 1]), [0])
            assert shard["reward"][k, cap].tolist() == members.tolist()


def differing(folder):
    """Images that have candidates of more than one reward."""
    for path in (folder / "pool").glob("*.safetensors"):
        pool = arrays_in(path)
        for k, index in enumerate(pool["index"].tolist()):
            if len(set(pool["reward"][pool["offset"][k] : pool["offset"][k + 1]].tolist())) > 1:
                yield index


def test_export_pairs_writes_the_best_and_worst_of_every_pool(kept, tmp_path):
    counts = preference_pairs.export_pairs(rescoring_of(kept.folder), tmp_path / "pairs")
    lines = [json.loads(line) for line in (tmp_path / "pairs/pairs.jsonl").read_text().splitlines()]
    assert counts == (len(lines), 26 - len(lines))
    assert [line["index"] for line in lines] == sorted(differing(kept.folder))
    assert len(lines) > 10
    for line in lines:
        first = line["index"] // 10 * 10
        pool = arrays_in(kept.folder / f"pool/{first:08d}.safetensors")
        own = slice(*pool["offset"][line["index"] - first : line["index"] - first + 2])
        assert line["condition"] == kept.condition(line["index"])
        rewards = pool["reward"][own]
        assert (line["best"]["reward"], line["worst"]["reward"]) == (rewards.max(), rewards.min())
        for side, at in (("best", rewards.argmax()), ("worst", rewards.argmin())):
            pixels = np.clip(np.round(127.5 * (pool["images"][own][at, 0] + 1)), 0, 255)
            assert np.array_equal(np.asarray(Image.open(tmp_path / "pairs" / line[side]["file"])), pixels)
            assert int(line[side]["key"]["id"], 16) == pool["id"][own][at]
            assert line[side]["key"]["origin"][0]["path"] == f"{pool['id'][own][0]:016x}", "all moved from the pivot"
    with pytest.raises(ValueError, match="is there and not empty"):
        preference_pairs.require_new_folder(tmp_path / "pairs")


def test_export_pairs_skips_images_without_a_finite_reward(kept, tmp_path):
    class Broken:
        absolute = True

        def reward(self, images, conditions):
            return images.new_full((len(images),), math.nan)

    rescoring = replace(rescoring_of(kept.folder), verifier=Broken())
    assert preference_pairs.export_pairs(rescoring, tmp_path) == (0, 26)


def test_rescore_script_writes_curve_and_pairs(kept, tmp_path):
    folder = shutil.copytree(kept.folder, tmp_path / "run")
    command = [sys.executable, "scripts/rescore.py", str(folder), "--pairs", str(tmp_path / "pairs"), *OTHER]
    done = subprocess.run(command, cwd=CONF.parent, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    [made] = (folder / "rescored").iterdir()
    assert made.name.startswith("null_rewards-")
    assert {"curve.csv", "curve.png", "rescored.json", "shards"} <= {path.name for path in made.iterdir()}
    assert "and not what a run that selects by null_rewards gives" in done.stdout
    assert f"26 pairs in {tmp_path / 'pairs'}; 0 images" in done.stdout, "random rewards all differ"


REFUSED = {
    "another search": (["search=random"], "search=random would make another run"),
    "another seed": (["seed=1"], "rescoring takes verifier, metric"),
    "code": (["verifier._target_=os.system"], "must be defined in its"),
    "secret": (["+verifier.api_key=x"], "looks like a secret"),
}


@pytest.mark.parametrize(("given", "message"), REFUSED.values(), ids=REFUSED)
def test_rescoring_refuses_overrides_that_make_another_run(kept, given, message):
    before = sorted(kept.folder.rglob("*"))
    with pytest.raises(ValueError, match=message):
        rescoring_of(kept.folder, *given)
    assert sorted(kept.folder.rglob("*")) == before


def test_rescoring_refuses_a_run_with_other_defaults(kept):
    finished = FinishedRun.of(kept.folder)
    with pytest.raises(ValueError, match=r"^seed of this run's command are no longer what"):
        script().rescoring_of(replace(finished, config={**finished.config, "seed": 1}), [])


def test_rescoring_loads_no_plugin_named_by_a_run_folder(kept):
    """Whose code runs is said on the command line, and not by a file that came from somewhere."""
    finished = FinishedRun.of(kept.folder)
    for words, refusal in (
        ("plugins=[os] verifier._target_=os.x", r"if they are yours, add 'plugins=\[os\]'"),
        ("verifier._target_=os.x", "must be defined in its"),
    ):
        trap = replace(finished, summary={**finished.summary, "command": f"python run.py {words}"})
        with pytest.raises(ValueError, match=refusal):
            script().rescoring_of(trap, [])


def test_finished_run_without_a_pool_names_the_command_that_makes_it(kept, tmp_path):
    with pytest.raises(ValueError, match="so it is no finished run"):
        FinishedRun.of(tmp_path)
    shutil.copytree(kept.folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / "pool/00000010.safetensors").unlink()
    with pytest.raises(ValueError, match=r"has no pool/00000010.safetensors; .*python run.py .* keep_candidates=true"):
        FinishedRun.of(tmp_path).require_candidates()


def planned(out_dir, *overrides):
    return blueprint_of(out_dir, *overrides, planning=True)


def test_plan_counts_missing_pools_and_their_disk_space(kept, tmp_path):
    out_dir = shutil.copytree(kept.folder.parents[6], tmp_path / "copy")
    [folder] = (path.parent for path in out_dir.rglob("config.yaml"))
    command = (*MIXTURE, "search=zero_order")
    assert (planned(out_dir, *command, POOL).work.missing, planned(out_dir, *command, POOL).folder) == (0, folder)
    written = sum(path.stat().st_size for path in (folder / "pool").rglob("*.safetensors"))
    shutil.rmtree(folder / "pool")
    assert (planned(out_dir, *command).work.missing, planned(out_dir, *command, POOL).work.missing) == (0, 3)
    pool, shards = (planned(tmp_path / "new", *command, *flag).work.disk_bytes for flag in ((POOL,), ()))
    assert 0.4 * written < pool - shards < 1.1 * written, (
        "float64 pixels are not in the estimate, nor what compression saves"
    )


def test_keep_candidates_refuses_values_other_than_true_or_false(tmp_path):
    with pytest.raises(ValueError, match=r"keep_candidates is 3; it is true or false"):
        make_experiment(tmp_path, "keep_candidates=3")
