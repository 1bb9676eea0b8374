"""What makes images and what measures them: an edit changes the one that it is about, and results of two never mix."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from its.config.blueprint import Blueprint
from its.config.composed import composed
from its.config.provenance import Provenance
from its.config.sources import Sources
from its.disk.run_folder import RunFolder
from its.process import source_files
from its.process.source_files import SourceFiles
from its.report.report import make_report
from its.run.shard_maker import ShardMaker
from tests.build import CONF, blueprint_of, contents, make_experiment, make_schedule, numbers

SMALL = ("images=20", "shard=10", "sampler.steps=3", "budget.samplings=[1,2]", "~metric.kid", "~metric.prc")
TINY = ("dataset=mixture", "model=mixture", *SMALL)

GRIDS = (
    *TINY[:2],
    "sampler.eta=0",
    "sampler.steps=3",
    "search=schedule",
    "search.strategy=random",
    "search.population_num=2",
    "search.select_num=1",
    "search.mutation_num=1",
    "search.crossover_num=0",
    "search.max_epochs=1",
    "search.num_samples=6",
    "search.finalists=1",
    "search.fresh_seeds=2",
)

IMAGES, MEASURES, NEITHER = (True, False), (False, True), (False, False)

ROOMS = {
    "its.budget": IMAGES,
    "its.classifier.digits": IMAGES,
    "its.config.guard": NEITHER,
    "its.config.sizes": IMAGES,
    "its.cluster.submit": NEITHER,
    "its.dataset.classes": IMAGES,
    "its.dataset.digits": MEASURES,
    "its.dataset.image_set": MEASURES,
    "its.disk.store": NEITHER,
    "its.engine.flops": MEASURES,
    "its.engine.noise": IMAGES,
    "its.engine.stream": IMAGES,
    "its.guidance.none": IMAGES,
    "its.guidance.tfg": NEITHER,
    "its.levels": IMAGES,
    "its.metric.extractor": MEASURES,
    "its.metric.fid": MEASURES,
    "its.metric.sfid": NEITHER,
    "its.metric.reference": MEASURES,
    "its.model.denoiser": IMAGES,
    "its.model.unet2d": IMAGES,
    "its.model.edm": NEITHER,
    "its.particles.keys": IMAGES,
    "its.particles.moves": IMAGES,
    "its.pixels": IMAGES,
    "its.process.leave": NEITHER,
    "its.report.page": NEITHER,
    "its.report.figures": NEITHER,
    "its.rerun.render": NEITHER,
    "its.run.job": NEITHER,
    "its.run.measure": MEASURES,
    "its.run.shards": IMAGES,
    "its.sampler.ddim": IMAGES,
    "its.sampler.spacing": IMAGES,
    "its.search.dfs": NEITHER,
    "its.search.random": IMAGES,
    "its.search.search": IMAGES,
    "its.tracker.wandb": NEITHER,
    "its.tracker.tracker": NEITHER,
    "its.types": IMAGES,
    "its.verifier.classifier": IMAGES,
    "its.weights": IMAGES,
}
"""Whether an edit of a module is another source of images, and another of measuring, for `python run.py` alone."""


def edit(monkeypatch, module: str) -> None:
    """Let a module's file be another from now on."""
    real = source_files.digest_of
    monkeypatch.setattr(source_files, "digest_of", lambda name: "edited" if name == module else real(name))


@pytest.fixture(scope="module")
def default() -> tuple[Blueprint, Sources]:
    blueprint = Blueprint.of(*composed([]))
    return blueprint, blueprint.kind.sources(blueprint)


@pytest.mark.parametrize("module", ROOMS)
def test_sources_change_with_an_edit_of_what_they_are(default, monkeypatch, module: str):
    blueprint, before = default
    assert source_files.digest_of(module) != "absent"
    edit(monkeypatch, module)
    after = blueprint.kind.sources(blueprint)
    assert (after.images.name != before.images.name, after.measures.name != before.measures.name) == ROOMS[module]


@pytest.mark.parametrize(
    ("words", "module", "changes"),
    [
        (["guidance=tfg"], "its.guidance.tfg", IMAGES),
        (["guidance=tfg", "verifier@guide=noisy_classifier"], "its.verifier.noisy_classifier", IMAGES),
        (["search=dfs", "sampler.eta=1"], "its.search.dfs", IMAGES),
        (["dataset=mixture", "model=mixture"], "its.dataset.mixture", IMAGES),
        (["search=schedule", "sampler.eta=0"], "its.metric.fid", IMAGES),
        (["search=schedule", "sampler.eta=0"], "its.report.schedule", NEITHER),
        (["+metric.sfid._target_=its.metric.sfid.SFid"], "its.metric.sfid", MEASURES),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else None,
)
def test_sources_are_what_the_configuration_names(tmp_path, monkeypatch, words, module, changes):
    before = blueprint_of(tmp_path, *words).sources
    edit(monkeypatch, module)
    after = blueprint_of(tmp_path, *words).sources
    assert (after.images.name != before.images.name, after.measures.name != before.measures.name) == changes


def test_manifest_names_the_source_of_every_file_and_its_list_is_beside_it(tmp_path):
    run = make_experiment(tmp_path, *TINY, "keep_candidates=true")
    run.run()
    lines = [json.loads(line) for line in (run.folder / "manifest.jsonl").read_text().splitlines()]
    by_kind = {line["file"].split("/")[0]: line["source"] for line in lines if line["file"].count("/") == 1}
    assert by_kind == {"shards": run.sources.images.name, "pool": run.sources.images.name}
    assert {line["source"] for line in lines if line["file"].count("/") == 2} == {run.instruments.extraction}
    for source in (run.sources.images, run.sources.measures):
        assert (run.folder / "sources" / f"{source.name}.txt").read_text() == source.text


def test_experiment_refuses_to_mix_two_image_sources_and_marks_what_is_allowed(tmp_path, monkeypatch):
    run = make_experiment(tmp_path, *TINY)
    run.run()
    before = contents(run.folder)
    edit(monkeypatch, "its.search.random")
    for words in ([], ["images=40"]):
        with pytest.raises(ValueError, match="made by another source") as refusal:
            make_experiment(tmp_path, *TINY, *words).run()
        edited = blueprint_of(tmp_path, *TINY).sources.images.name
        assert f"than {edited}, which is here: {run.sources.images.name}, which differs in its.search.random." in str(
            refusal.value
        )
        assert "allow_edited=true" in str(refusal.value)
        assert contents(run.folder) == before

    # Allowed, the run goes on and is marked, whatever is asked for again.
    longer = make_experiment(tmp_path, *TINY, "images=40", "allow_edited=true")
    longer.run()
    names = sorted((run.sources.images.name, edited))
    summary = json.loads((run.folder / "metrics.json").read_text())
    assert summary["sources"]["images"] == names
    assert summary["sources"]["edited"] == [run.sources.images.name]
    assert [row["edited_sources"] for row in numbers(run.folder)] == ["1", "1"]
    assert blueprint_of(tmp_path, *TINY, "images=40", "allow_edited=true").finished
    with pytest.raises(ValueError, match=run.sources.images.name):
        blueprint_of(tmp_path, *TINY, "images=40").check_sources()


@pytest.mark.parametrize(("build", "words"), [(make_experiment, TINY), (make_schedule, GRIDS)])
def test_lost_manifest_makes_no_run_one_of_another_source(tmp_path, caplog, build, words):
    """Files without a line are damaged, so they are made again: nothing of them is mixed with anything."""
    run = build(tmp_path, *words)
    run.run()
    before = contents(run.folder)
    assert blueprint_of(tmp_path, *words).finished
    (run.folder / "manifest.jsonl").unlink()
    assert not blueprint_of(tmp_path, *words).finished
    blueprint_of(tmp_path, *words).check_sources()
    build(tmp_path, *words).run()
    assert "has no line in manifest.jsonl; it is made again" in caplog.text
    assert blueprint_of(tmp_path, *words).finished
    after = {name: content for name, content in contents(run.folder).items() if ".damaged-" not in name}
    assert after.keys() == before.keys()
    assert {n: c for n, c in after.items() if "/" in n} == {n: c for n, c in before.items() if "/" in n}


def of_features(run) -> list[str]:
    """Return the sources on record of the features of each shard."""
    files = RunFolder(run.folder)
    paths = [path for name in files.shard_names for path in files.features_of(name)]
    return [files.store.source(path.relative_to(run.folder).as_posix()) for path in paths]


def test_experiment_measures_again_with_another_measuring_source_and_makes_no_image(tmp_path, monkeypatch):
    run = make_experiment(tmp_path, *TINY)
    run.run()
    for module, features in (("its.metric.fid", False), ("its.metric.extractor", True)):
        with monkeypatch.context() as patch:
            before = of_features(run)
            edit(patch, module)
            blueprint = blueprint_of(tmp_path, *TINY)
            assert not blueprint.finished
            blueprint.check_sources()
            again = make_experiment(tmp_path, *TINY)
            monkeypatch.setattr(ShardMaker, "make", None)
            again.run()
            assert (of_features(run) != before) == features
            assert RunFolder(run.folder).read_summary()["sources"]["measures"] == again.sources.measures.name
            assert blueprint_of(tmp_path, *TINY).finished
            assert "edited_sources" not in numbers(run.folder)[0]


def test_report_names_code_that_was_not_the_same_for_all_runs(tmp_path, monkeypatch, capsys):
    words = (*TINY, "~metric.fid", "images=4", "shard=4", "search=none")
    make_experiment(tmp_path, *words).run()
    make_experiment(tmp_path, *words, "seed=1").run()
    make_report(tmp_path / "default")
    assert "made by different sources" not in capsys.readouterr().out
    edit(monkeypatch, "its.engine.stream")
    make_experiment(tmp_path, *words, "seed=2").run()
    make_report(tmp_path / "default")
    said = "made by different sources: runs differ in its.engine.stream"
    assert said in capsys.readouterr().out
    assert said in (tmp_path / "default" / "report" / "index.html").read_text()


def test_schedule_search_refuses_to_mix_two_sources(tmp_path, monkeypatch):
    words = GRIDS
    make_schedule(tmp_path, *words).run()
    assert blueprint_of(tmp_path, *words).finished
    edit(monkeypatch, "its.metric.fid")
    assert not blueprint_of(tmp_path, *words).finished
    with pytest.raises(ValueError, match=r"differs in its\.metric\.fid"):
        make_schedule(tmp_path, *words).run()
    run = make_schedule(tmp_path, *words, "allow_edited=true")
    run.run()
    assert len(run.files.read_schedule()["sources"]["edited"]) == 1
    assert blueprint_of(tmp_path, *words, "allow_edited=true").finished


def test_experiment_refuses_shards_whose_problems_asked_for_something_else(tmp_path, monkeypatch):
    run = make_experiment(tmp_path, *TINY)
    run.run()
    (run.folder / "metrics.json").unlink()
    data = type(run.instruments.data)
    monkeypatch.setattr(data, "condition", lambda self, index: (index + 1) % 4)
    with pytest.raises(ValueError, match=r"problem 0 asked for class 0 .* asks for 1; restore"):
        make_experiment(tmp_path, *TINY).run()


def test_provenance_knows_lists_that_are_damaged_and_writes_them_again(tmp_path, caplog):
    sources = Sources(SourceFiles({"a": "0" * 12, "b": "1" * 12}), SourceFiles({}))
    provenance = Provenance(RunFolder(tmp_path), [], lambda: sources)
    provenance.keep()
    path = tmp_path / "sources" / f"{sources.images.name}.txt"
    whole = path.read_bytes()
    for damage in (whole[:7], b"", b"\xff" + whole[1:]):
        path.write_bytes(damage)
        provenance.repair()
        assert path.read_bytes() == whole
        assert f"{path} is damaged" in caplog.text


PLUGIN = {
    "mine/__init__.py": "",
    "mine/search.py": "from dataclasses import dataclass\nfrom its.search.random import Random\n"
    "from mine.part import N\n@dataclass(frozen=True)\nclass Mine(Random):\n    pass\n",
    "mine/part.py": "N = 1\n",
    "mine/metric.py": "from its.metric.accuracy import Accuracy\nclass Mine(Accuracy):\n    pass\n",
}

OF_PLUGIN = (
    *TINY,
    "search._target_=mine.search.Mine",
    "metric.accuracy._target_=mine.metric.Mine",
    "plugins=[mine]",
    "reporting=none",
)


@pytest.mark.long
def test_run_script_sees_the_edit_of_a_plugin(tmp_path):
    for name, text in PLUGIN.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)

    def run(*words: str) -> tuple[int, str]:
        command = [sys.executable, "run.py", f"out_dir={tmp_path / 'out'}", *OF_PLUGIN, *words]
        environment = {**os.environ, "PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            command, cwd=CONF.parent, env=environment, capture_output=True, text=True, encoding="utf-8", timeout=300
        )
        return done.returncode, done.stdout + done.stderr

    code, said = run()
    assert code == 0, said
    [folder] = [path.parent for path in (tmp_path / "out").rglob("metrics.json")]
    shards = {path: path.read_bytes() for path in (folder / "shards").iterdir()}

    # An edited search: an error, with more images too; an edited metric: the curve anew, no image.
    (tmp_path / "mine" / "part.py").write_text("N = 2\n")
    for words in ((), ("images=40",)):
        code, said = run(*words)
        assert code == 1, said
        assert "which differs in mine.part. Restore what made them" in said
        assert "nothing to do" not in said
    assert {path: path.read_bytes() for path in (folder / "shards").iterdir()} == shards
    (tmp_path / "mine" / "part.py").write_text("N = 1\n")
    (tmp_path / "mine" / "metric.py").write_text(PLUGIN["mine/metric.py"] + "# edited\n")
    code, said = run()
    assert code == 0, said
    assert "nothing to do" not in said
    assert "images/s" not in said
    assert "nothing to do" in run()[1]


@pytest.mark.long
def test_run_script_with_allow_edited_goes_on_and_tells_it_in_its_table(tmp_path):
    clone = tmp_path / "clone"
    for part in ("its", "conf", "hydra_plugins"):
        shutil.copytree(CONF.parent / part, clone / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(CONF.parent / "run.py", clone)

    def run(*words: str) -> tuple[int, str]:
        command = [sys.executable, "run.py", f"out_dir={tmp_path / 'out'}", *TINY, *words]
        done = subprocess.run(command, cwd=clone, capture_output=True, text=True, encoding="utf-8", timeout=300)
        return done.returncode, done.stdout + done.stderr

    assert run()[0] == 0
    for path, answer in (("its/report/page.py", "nothing to do"), ("its/tracker/wandb.py", "nothing to do")):
        with (clone / path).open("a") as file:
            file.write("EDITED = 1\n")
        assert answer in run()[1]
    with (clone / "its" / "search" / "random.py").open("a") as file:
        file.write("EDITED = 1\n")
    assert run("images=40")[0] == 1
    code, said = run("images=40", "allow_edited=true")
    assert code == 0, said
    assert "edited sources" in said
