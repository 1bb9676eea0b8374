"""What an oracle chose says so: in legends and captions, whichever else there is."""

from pathlib import Path

import pytest

from its.report.caption import caption
from its.report.remarks import oracles_of
from its.report.runs import LABELS, RunRecord
from its.report.series import series_of
from its.report.tables import table_text

ROW = {"nfe_cap": 10, "nfe": 10.0, "images": 4, "fid": 3.0, "fid_se": 0.1, "report_deit": -2.0, "report_deit_se": 0.25}


def run_of(verifier, **row):
    label = {**dict.fromkeys(LABELS, "x"), "search": "random", "verifier": verifier, "seed": "0"}
    command = f"python run.py verifier={verifier} +verifier@report.deit=deit_s"
    return RunRecord(Path(verifier), label, command, 4, ({**ROW, **row},), caps=(10,))


@pytest.mark.parametrize("verifier", ["oracle_is", "ensemble-oracle"])
def test_oracles_are_told_in_legend_caption_and_table(verifier):
    runs = [run_of(verifier, oracle=1)]
    series = series_of(runs)
    assert [line.legend for line in series] == [f"random ({verifier})"]
    remark = f"{verifier}: an oracle chose by what measures; an upper bound"
    assert remark in caption(runs, series, [])
    assert remark in table_text(runs)


def test_oracles_of_runs_without_any_say_nothing():
    runs = [run_of("classifier")]
    assert oracles_of(runs) == []
    assert [line.legend for line in series_of(runs)] == ["random"]
    assert "oracle" not in table_text(runs)


def test_held_out_columns_have_a_header_and_set_no_runs_apart():
    run = run_of("classifier")
    assert run.held_out == ["report_deit"]
    assert run.settings == frozenset()
    assert "deit, held out ↑" in table_text([run])
    assert "-2.00 ± 0.25" in table_text([run])
