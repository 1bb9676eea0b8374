"""Tables: cells, digits, failures."""

from its.report.runs import load_failures, load_runs
from its.report.tables import latex, table_markdown, table_text


def cells(markdown, method):
    """The cells of a method's rows, by header."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in markdown.splitlines() if line[:1] == "|"]
    return [dict(zip(rows[0], row, strict=True)) for row in rows if row[0] == method]


def test_table_markdown_has_one_row_per_run_and_cap(write_run, rows_of, tmp_path):
    rows = rows_of("random", "classifier", 0, 1000)
    rows[0] |= {
        "fid": 12.3456,
        "fid_se": 0.0567,
        "flops": 12.345e9,
        "seconds": 0.0123456,
        "accuracy": 1.0,
        "accuracy_se": 0.0,
        "reward_mean_se": float("inf"),
        "reward_mean": -1.23456,
    }
    write_run(rows=rows)
    found = cells(table_markdown(load_runs(tmp_path / "demo")), "random")
    assert [row["NFE cap"] for row in found] == ["5", "10", "20", "40"]
    assert found[0] == {
        "method": "random",
        "NFE cap": "5",
        "NFE": "5.0",
        "verifier calls": "1.0",
        "GFLOPs": "12.3",
        "s/image": "0.0123",
        "N": "1000",
        "reward ↑": "-1.235",
        "FID ↓": "12.346 ± 0.057",
        "IS ↑": f"{rows[0]['isc']:.2f}",
        "precision ↑": "0.700",
        "recall ↑": "0.667",
        "accuracy ↑": "1.000 ± 0.000",
    }


def test_table_markdown_shows_backward_and_seed_columns_if_filled(write_run, rows_of, tmp_path):
    rows = rows_of("random", "classifier", 0, 1000)
    rows[1]["nfe_backward"] = 2.5
    write_run(rows=rows)
    write_run(seed=1)
    found = cells(table_markdown(load_runs(tmp_path / "demo")), "random")
    assert [row["NFE backward"] for row in found][:2] == ["0.0", "2.5"]
    assert [row["seed"] for row in found] == ["0"] * 4 + ["1"] * 4


def test_table_markdown_names_another_verifier_in_the_method(write_run, tmp_path):
    write_run("none")
    write_run("random")
    write_run("random", "null")
    assert len(cells(table_markdown(load_runs(tmp_path / "demo")), "random (null)")) == 4


def test_table_markdown_has_a_section_per_group(write_run, tmp_path):
    write_run()
    write_run(images=200)
    markdown = table_markdown(load_runs(tmp_path / "demo"))
    assert "## digits · digits_unconditional–ddim · 200 images" in markdown
    assert "## digits · digits_unconditional–ddim · 1,000 images" in markdown


def test_tables_list_failed_runs_with_their_reason(write_run, write_failure, tmp_path):
    write_run("none")
    write_failure(reason="ValueError: first\nsecond")
    runs, failures = load_runs(tmp_path / "demo"), load_failures(tmp_path / "demo")
    path = "digits/m-ddim/random/classifier/samplings/seed=0-deadbeef"
    assert table_markdown(runs, failures).endswith(f"## Failed\n\n- `{path}`: ValueError: first second\n")
    assert table_text(runs, failures).endswith(f"failed:\n  {path}: ValueError: first second")


def test_table_text_has_aligned_columns(write_run, tmp_path):
    write_run("none")
    write_run("random")
    _, *table = table_text(load_runs(tmp_path / "demo")).splitlines()
    assert len({len(line) for line in table}) == 1
    assert len(table) == 2 + 8


def test_latex_escapes_every_special_character():
    text = latex((["method", "FID ↓"], [["a_b #1 50% {x} & $", "1.0 ± 0.1"], ["~^\\", ""]]))
    lines = text.splitlines()
    assert lines[0] == r"\begin{tabular}{lr}"
    assert lines[2] == r"method & FID $\downarrow$ \\"
    assert lines[4] == r"a\_b \#1 50\% \{x\} \& \$ & 1.0 $\pm$ 0.1 \\"
    assert lines[5] == r"\textasciitilde{}\textasciicircum{}\textbackslash{} &  \\"
