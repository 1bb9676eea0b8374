"""Reading run folders, and which runs may be compared."""

import pytest

from its.report.runs import grouped, load_failures, load_runs


def test_load_runs_reads_finished_runs_in_folder_order(write_run, tmp_path):
    for search in ("random", "none"):
        write_run(search)
    (tmp_path / "demo/digits/digits_unconditional-ddim/random/classifier/nfe_100/seed=0-11111111/shards").mkdir(
        parents=True
    )
    runs = load_runs(tmp_path / "demo")
    assert [run.search for run in runs] == ["none", "random"]
    assert runs[1].images == 1000
    assert [row["nfe_cap"] for row in runs[1].rows] == [5, 10, 20, 40]
    assert runs[1].folder.parts[0] == "digits"


def test_load_runs_takes_a_failed_run_only_with_metrics(write_run, write_failure, tmp_path):
    write_failure(reason="ValueError: no")
    (write_run("zero_order") / "failed.json").write_text('{"reason": "an attempt at more images"}')
    assert [run.search for run in load_runs(tmp_path / "demo")] == ["zero_order"]
    (failed,) = load_failures(tmp_path / "demo")
    assert failed.reason == "ValueError: no"
    assert failed.folder.name == "seed=0-deadbeef"


def test_load_runs_names_an_unreadable_file_and_the_remedy(write_run, tmp_path):
    (write_run() / "metrics.json").write_text("{")
    with pytest.raises(ValueError, match=r"metrics\.json cannot be read .* run its command again"):
        load_runs(tmp_path / "demo")


def test_grouped_separates_numbers_of_images_models_and_samplers(write_run, tmp_path):
    write_run("random")
    write_run("zero_order")
    write_run("random", images=200)
    write_run("random", sampler="heun")
    write_run("random", model="digits")
    groups = grouped(load_runs(tmp_path / "demo"))
    assert [len(runs) for runs in groups.values()] == [1, 1, 2, 1]
    assert all({row["images"] for run in runs for row in run.rows} == {group.images} for group, runs in groups.items())


def test_grouped_separates_rows_with_other_numbers_of_images(write_run, rows_of, tmp_path):
    rows = rows_of("random", "classifier", 0, 1000)
    rows[2]["images"] = 998
    write_run(rows=rows)
    groups = grouped(load_runs(tmp_path / "demo"))
    assert {group.images: [row["nfe_cap"] for row in runs[0].rows] for group, runs in groups.items()} == {
        998: [20],
        1000: [5, 10, 40],
    }


def test_run_record_settings_are_overrides_that_change_the_method(write_run, tmp_path):
    write_run("zero_order", extra="guidance=tfg search.cosine=0.8 budget.samplings=[1,2] batch=64 device=cuda")
    (run,) = load_runs(tmp_path / "demo")
    assert run.settings == {"experiment=demo", "search.cosine=0.8"}
