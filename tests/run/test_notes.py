"""Numbers that a search notes of its images, from shards to tables."""

import numpy as np
import pytest

import its
from its.report.panels import short_label
from its.report.runs import load_runs
from its.report.tables import table_markdown
from tests.build import arrays_in, make_experiment, numbers

WORDS = (
    "search=lidar",
    "dataset=mixture",
    "model=mixture",
    "search.strength=0.05",
    "sampler.steps=10",
    "budget.samplings=[1,2]",
    "images=6",
    "shard=4",
    "metric=fid",
    "keep_candidates=true",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    run = make_experiment(tmp_path_factory.mktemp("notes"), *WORDS)
    run.run()
    return run.folder


def test_notes_are_kept_with_results_and_candidates(folder):
    noted = [arrays_in(path)["note_effective_samples"] for path in sorted((folder / "shards").iterdir())]
    noted = np.concatenate(noted)
    assert np.isnan(noted[:, 0]).all(), "one sampling has nothing left for samples"
    assert ((noted[:, 1] >= 1) & (noted[:, 1] <= 2)).all()
    pool = [arrays_in(path)["note_effective_samples"] for path in sorted((folder / "pool").glob("*.safetensors"))]
    candidates = np.concatenate(pool).reshape(6, 1 + 3)
    assert np.isnan(candidates[:, :3]).all(), "a plain sampling and two samples"
    assert (candidates[:, 3] == noted[:, 1]).all()
    [_, row] = numbers(folder)
    assert float(row["note_effective_samples"]) == pytest.approx(noted[:, 1].mean())
    assert float(row["note_effective_samples_se"]) == pytest.approx(noted[:, 1].std(ddof=1) / 6**0.5)


def test_notes_are_shown_by_their_name_in_words(folder):
    runs = load_runs(folder)
    header, _, empty, filled = [line for line in table_markdown(runs).splitlines() if line.startswith("|")]
    column = [cell.strip() for cell in header.split("|")].index("effective samples")
    assert empty.split("|")[column].strip() == ""
    assert "±" in filled.split("|")[column]
    assert short_label("note_effective_samples", runs) == "effective samples"
    assert its.load_sweep(folder)["note_effective_samples"].notna().tolist() == [False, True]
