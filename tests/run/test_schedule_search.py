"""A schedule search from its command to the sampler that it writes."""

import csv
import json
import shutil
import subprocess
import sys
from collections import defaultdict
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from its.cluster.sweep import SweepRun
from its.config.plan import plan_of
from its.disk.run_folder import RunFolder
from its.particles.keys import fold
from its.process.workers import Worker
from its.report.report import make_report
from scripts.status import status
from tests.build import CONF, blueprint_of, contents, make_experiment, make_schedule

MIXTURE = ("search=schedule", "dataset=mixture", "model=mixture", "sampler.steps=3", "batch=8")
SIZES = (
    "search.population_num=4",
    "search.select_num=2",
    "search.mutation_num=2",
    "search.crossover_num=1",
    "search.max_epochs=3",
    "search.num_samples=24",
    "search.finalists=2",
    "search.fresh_seeds=2",
)
SMALL = (*MIXTURE, *SIZES, "sampler.eta=0")
SETS = 4 + 4 + 4 + 2 * 2 + 2 * 2
DIGITS = ("search=schedule", "model=digits", "sampler.steps=3", "sampler.eta=0", *SIZES)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """One search, run without interruption."""
    run = make_schedule(tmp_path_factory.mktemp("whole"), *SMALL)
    return run, run.run()


def kept(folder: Path) -> dict[str, bytes]:
    """Bytes of what does not name the folder or its time; of the record without the checksum of times, and its own."""
    files = {name: content for name, content in contents(folder).items() if name != "schedule.md"}
    record = json.loads(files["schedule.json"])
    del record["files"]["timing.jsonl"], record["files"]["schedule.md"], record["check"]
    return files | {"schedule.json": json.dumps(record).encode()}


class Watched:
    """Engines of a run, whose draws and sets are counted; the set after `most` is interrupted in its midst."""

    def __init__(self, run, most: int = 10**9) -> None:
        self.sets, self.most = 0, most
        self.draws: dict[tuple, list[set]] = defaultdict(list)
        self.engine = run.engine
        run.engine = self.make

    def make(self, sampler, seed):
        engine = self.engine(sampler, seed)
        noise, drawn = engine.noise, set()

        def watched(seed, problems, paths, shape, device):
            if not drawn:
                self.sets += 1
                self.draws[seed].append(drawn)
            drawn.update((problem, int(path)) for problem, path in zip(problems, paths, strict=True))
            if self.sets > self.most and len(drawn) > 8:
                raise KeyboardInterrupt
            return noise(seed, problems, paths, shape, device)

        engine.noise = watched
        return engine


def test_schedule_search_gives_every_grid_of_a_draw_the_same_noise(tmp_path):
    run = make_schedule(tmp_path, *SMALL)
    watched = Watched(run)
    run.run()
    sizes = [len(sets) for sets in watched.draws.values()]
    assert sizes == [12, 2, 2, 2, 2], "the search's draw, then each finalist's and the comparison's"
    for sets in watched.draws.values():
        assert all(drawn == sets[0] for drawn in sets)
        assert {problem for problem, _ in sets[0]} == set(range(24))
    assert 0 not in watched.draws, "the run's own seed stays for its images"


def test_schedule_search_scores_the_sampler_grid_as_an_equal_list(tmp_path):
    run = make_schedule(tmp_path, *SMALL)
    listed, own = run._scores([(999.0, 666.0, 332.0), None], [0])
    assert run._sampler_grid == (999.0, 666.0, 332.0)
    assert (listed.score, listed.nfe) == (own.score, own.nfe)


@pytest.mark.parametrize("most", [0, 3, 9, 13, SETS - 1])
def test_schedule_search_resumes_after_a_kill_and_repeats_no_whole_set(tmp_path, whole, most):
    killed = make_schedule(tmp_path, *SMALL)
    first = Watched(killed, most)
    with pytest.raises(KeyboardInterrupt):
        killed.run()
    resumed = make_schedule(tmp_path, *SMALL)
    second = Watched(resumed)
    resumed.run()
    assert (first.sets, second.sets) == (most + 1, SETS - most)
    assert kept(resumed.folder) == kept(whole[0].folder)


def test_schedule_search_repeated_makes_no_new_set(tmp_path, whole):
    shutil.copytree(whole[0].folder, tmp_path / "copy")
    again = make_schedule(tmp_path, *SMALL)
    shutil.copytree(whole[0].folder, again.folder)
    watched = Watched(again)
    again.run()
    assert watched.sets == 0
    assert kept(again.folder) == kept(whole[0].folder)


@pytest.mark.parametrize("kind", ["truncated", "changed"])
def test_schedule_search_names_and_remakes_a_damaged_score(tmp_path, whole, caplog, kind):
    run = make_schedule(tmp_path, *SMALL)
    shutil.copytree(whole[0].folder, run.folder)
    path = sorted(run.folder.glob("sets/0000/*.safetensors"))[5]
    content = path.read_bytes()
    path.write_bytes(content[:-8] if kind == "truncated" else content[:-8] + np.float64(0.0).tobytes())
    watched = Watched(run)
    run.run()
    assert watched.sets == 1
    assert path.name in caplog.text
    assert kept(run.folder) == kept(whole[0].folder)


def test_schedule_search_workers_share_sets_and_find_the_same_grid(tmp_path, whole):
    """The second begins when the first has stopped on the way; what either has made, the other reads."""
    first, second = (make_schedule(tmp_path, *SMALL) for _ in range(2))
    first.worker, second.worker = Worker(0, 2), Worker(1, 2)
    stopped, rest = Watched(first, 5), Watched(second)
    with pytest.raises(KeyboardInterrupt):
        first.run()
    second.run()
    assert stopped.sets + rest.sets == SETS + 1
    assert kept(second.folder) == kept(whole[0].folder)


@pytest.mark.parametrize(("guided", "slots"), [((), 1), (("model.conditional=true", "model.guidance_scale=2"), 2)])
def test_schedule_search_cost_equals_the_rows_given_to_the_network(tmp_path, guided, slots):
    """With batches of one image there is no padding, so that a hook on the network counts what was spent."""
    run = make_schedule(tmp_path, *SMALL, *guided, f"batch={slots}", "search.num_samples=6")
    rows, network = [], run.model.network

    def counted(x, *rest):
        rows.append(len(x))
        return network(x, *rest)

    run.model.network = counted
    nfe = run.run().summary()["nfe"]
    per_set = 6 * 3 * slots
    assert nfe["search"] + nfe["comparison"] == sum(rows) == SETS * per_set
    assert nfe["comparison"] == 2 * 2 * per_set
    assert nfe["sampling"] == 3 * slots
    assert nfe["search_per_image"]["200"] == nfe["search"] / 200
    assert [*nfe["search_per_image"]] == ["200", "1000", "10000", "50000"]


def test_schedule_search_files_agree_with_its_scores(whole):
    run, found = whole
    with (run.folder / "sets.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["stage"] for row in rows] == ["search"] * 12 + ["finals"] * 4 + ["comparison"] * 4
    assert len(list(run.folder.glob("sets/*/*.safetensors"))) == len(rows)
    searched = {row["times"]: float(row["fid"]) for row in rows[:12]}
    finals = defaultdict(list)
    for row in rows[12:16]:
        finals[row["times"]].append(float(row["fid"]))
    assert {*finals} == {*sorted(searched, key=searched.get)[:2]}
    told = json.loads((run.folder / "schedule.json").read_text())
    assert told["winner"] == json.loads(min(finals, key=lambda times: np.mean(finals[times])))
    compared, own = ([float(row["fid"]) for row in part] for part in (rows[16:18], rows[18:]))
    assert told["difference"]["mean"] == pytest.approx(np.mean(own) - np.mean(compared))
    assert told["difference"]["se"] == pytest.approx(abs(np.diff(np.subtract(own, compared))[0]) / 2)
    assert (run.folder / "schedule.png").read_bytes().startswith(b"\x89PNG")
    assert all(a > b for a, b in pairwise(found.winner))


def test_schedule_search_maximises_inception_score(tmp_path):
    run = make_schedule(tmp_path, *SMALL, "search.fitness=isc")
    found = run.run()
    best = sorted(found.searched, key=lambda one: one.score)[-2:]
    means = {times: np.mean([one.score for one in sets]) for times, sets in found.finals.items()}
    assert {*means} == {one.times for one in best}
    assert means[found.winner] == max(means.values())


PROBLEMS = {
    "vp": ("sampler.eta=0",),
    "ancestral": ("sampler.eta=1",),
    "flow": ("model.path=flow", "sampler=euler"),
    "heun": ("sampler=heun",),
    "multistep": ("sampler=dpmpp_2m",),
    "density": ("sampler.eta=0", "search.genotype=density"),
}


@pytest.mark.parametrize("overrides", PROBLEMS.values(), ids=PROBLEMS)
def test_schedule_search_winner_as_a_sampler_reproduces_its_fid(tmp_path, overrides):
    """A plain run with the written YAML, on the noise of the first seed of the comparison, has the same FID."""
    run = make_schedule(tmp_path, *MIXTURE, *SIZES, *overrides)
    found = run.run()
    first = found.compared[0]
    plain = [word for word in (*MIXTURE, *overrides) if not word.startswith(("search", "sampler"))]
    used = make_experiment(
        tmp_path,
        *plain,
        "search=none",
        "sampler=schedule_3",
        "budget.samplings=[1]",
        "images=24",
        f"hydra.searchpath=['file://{run.folder / 'conf'}']",
        "metric=per_class",
        "~metric.class_fid",
        f"seed={fold(0, first.draw + 1) & 0xFFFFFFFF}",
    )
    [row] = used.run()
    assert row["fid"] == pytest.approx(first.score, rel=1e-12)
    assert row["nfe"] * 24 == first.nfe
    assert used.engine.sampler.spacing == found.winner


BAD = {
    "population": (["search.population_num=1"], "search.select_num is 2, and a population has"),
    "time_step": (["search.time_step=0"], "search.time_step is 0; it is a whole number of at least 1"),
    "two numbers of steps": (["search.time_step=7"], "search.time_step is 7 and sampler.steps is 3, .*sampler.steps=7"),
    "too many steps": (["sampler.steps=1001"], "steps is 1001; it lies between 1 and 1000"),
    "fitness": (["search.fitness=beauty"], "search.fitness is 'beauty'; choose one of fid, sfid, isc"),
    "no spatial features": (["search.fitness=sfid"], "search.fitness=sfid reads spatial .*dataset.report.spatial=true"),
    "guidance": (["guidance=tfg"], "search=schedule judges plain samplings, and guidance=tfg"),
    "pool": (["keep_candidates=true"], "keep_candidates=true stores the candidates of each image"),
    "grids": (["sampler.steps=1", "search.population_num=1001"], "are to be scored, and there are 265 of 1 of 1000"),
}


@pytest.mark.parametrize(("overrides", "message"), BAD.values(), ids=BAD)
def test_schedule_search_refuses_bad_parameters(tmp_path, overrides, message):
    with pytest.raises(ValueError, match=message):
        make_schedule(tmp_path, *DIGITS, *overrides)
    assert not list(tmp_path.iterdir())


def test_schedule_search_folder_depends_only_on_options_it_uses(tmp_path):
    def folder(*overrides: str) -> Path:
        return make_schedule(tmp_path, *DIGITS, *overrides).folder

    assert folder() == folder("verifier=null_rewards", "budget=nfe_100", "images=7", "batch=32")
    assert (
        len(
            {
                folder(),
                folder("search.num_samples=25"),
                folder("search.strategy=random"),
                folder("seed=1"),
                folder("dataset.report.name=other"),
            }
        )
        == 5
    )
    assert "verifier" in blueprint_of(tmp_path, "search=random").record


def test_schedule_search_runs_without_a_classifier(tmp_path):
    """On tiny random twins of CIFAR-10's network, images and Inception."""
    run = make_schedule(tmp_path, "search=schedule", "dataset=cifar10", "model=ddpm_cifar10", "smoke=true")
    found = run.run()
    assert len(found.searched) == 8
    assert min(one.score for one in found.searched) > 0


def test_schedule_search_refuses_another_reference(tmp_path, whole):
    run = make_schedule(tmp_path, *SMALL)
    run.claim()
    run.config["reference"] = "other"
    with pytest.raises(ValueError, match="says something else than this command about reference"):
        run.run()


def test_schedule_search_plan_counts_missing_sets_and_their_nfe(tmp_path, whole):
    run, found = whole
    fresh = plan_of(blueprint_of(tmp_path, *SMALL))
    nfe = found.summary()["nfe"]
    work = fresh.work
    assert (work.missing, work.images, work.nfe) == (SETS, SETS * 24, nfe["search"] + nfe["comparison"])
    assert f"{SETS} sets missing" in fresh.line()
    shutil.copytree(run.folder, fresh.folder)
    assert blueprint_of(tmp_path, *SMALL).work.missing == 0
    (fresh.folder / "schedule.json").unlink()
    next(fresh.folder.glob("sets/0000/*.safetensors")).unlink()
    part = blueprint_of(tmp_path, *SMALL).work
    assert (part.missing, part.nfe, part.present) == (1, 24 * 3, (SETS - 1) * 24)


def test_schedule_search_is_finished_for_sweep_run_and_status(tmp_path, whole):
    folder = tmp_path / "copy"
    shutil.copytree(whole[0].folder, folder)
    job = SweepRun(0, (), folder=str(folder), images=200)
    assert job.finished()
    assert status(RunFolder(folder)) == f"finished  {SETS} sets"
    (folder / "schedule.json").unlink()
    assert not job.finished()
    assert f"{SETS} sets are there; the same command goes on" in status(RunFolder(folder))


@pytest.mark.parametrize("name", ["schedule_digits", "schedule_o2tdm"])
def test_schedule_search_experiments_run_as_smoke_runs(tmp_path, name):
    run = make_schedule(tmp_path, f"experiment={name}", "smoke=true")
    found = run.run()
    assert run.folder.is_relative_to(tmp_path / "smoke" / name)
    assert (len(found.winner), found.searched[0].nfe) == (4, 48)


def test_schedule_search_command_prints_its_result_and_report_lists_it(tmp_path, capsys):
    command = [sys.executable, "run.py", f"out_dir={tmp_path}", *DIGITS]
    done = subprocess.run(command, cwd=CONF.parent, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| found | " in done.stdout
    assert "The search cost 1,152 NFE; an image costs 3 more" in done.stdout
    assert "no finished runs" not in done.stdout
    make_report(tmp_path / "default")
    assert "evolution steps    fid     12 grids" in capsys.readouterr().out


@pytest.mark.long
def test_schedule_search_beats_five_even_steps_on_digits(tmp_path):
    """docs/searched-times.md, by its command: by more than three standard errors of the paired difference."""
    run = make_schedule(tmp_path, "experiment=schedule_digits", "search.strategy=evolution")
    told = run.run().summary()
    assert told["difference"]["mean"] > 3 * told["difference"]["se"] > 0
    assert replace(run.search, strategy="random").evaluations == run.search.evaluations == 160
