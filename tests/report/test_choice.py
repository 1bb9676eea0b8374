"""Choices of a person who wants a figure: each that must be made is asked for, each that does not exist is refused."""

import pytest

from its.report.choice import check_metrics, chosen_lines, chosen_runs, known, read_labels, read_where
from its.report.runs import load_runs
from its.report.series import series_of


@pytest.fixture
def runs(write_run, tmp_path):
    """Runs of two guidances, two verifiers and two numbers of images."""
    for search in ("random", "random+tfg", "zero_order"):
        write_run(search)
    write_run("random", "null")
    write_run("random", images=200)
    return load_runs(tmp_path / "demo")


def chosen(runs, *words):
    return [(run.search, run.verifier, run.images) for run in chosen_runs(runs, read_where(words))]


def test_chosen_runs_refuse_what_is_left_open_and_name_the_option(runs):
    with pytest.raises(
        ValueError,
        match=r"the runs differ in images \(200, 1000\) and guidance \(none, tfg\) and verifier \(classifier, null\); "
        r"say which, as in --where images=200 guidance=none verifier=classifier, "
        r"or guidance=none,tfg verifier=classifier,null for lines of several styles",
    ):
        chosen(runs)
    with pytest.raises(
        ValueError, match=r"differ in verifier \(classifier, null\); say which, as in --where verifier="
    ):
        chosen(runs, "images=1000", "guidance=none,tfg")


@pytest.mark.parametrize("key", ["dataset", "model", "sampler"])
def test_chosen_runs_ask_for_each_key_of_a_group(write_run, tmp_path, key):
    write_run()
    write_run(**{key: "other"})
    runs = load_runs(tmp_path / "demo")
    with pytest.raises(ValueError, match=rf"differ in {key} \(.*other.*\); say which, as in --where {key}=\w+$"):
        chosen_runs(runs, {})
    assert [run.label[key] for run in chosen_runs(runs, {key: ["other"]})] == ["other"]


def test_chosen_runs_are_those_asked_for(runs):
    words = ("images=1000", "verifier=classifier")
    assert chosen(runs, *words, "guidance=tfg") == [("random+tfg", "classifier", 1000)]
    assert len(chosen(runs, *words, "guidance=none,tfg")) == 3
    assert chosen(runs, "images=200") == [("random", "classifier", 200)], "nothing else is open then"


def test_chosen_runs_have_the_rows_of_their_group_alone(write_run, rows_of, tmp_path):
    rows = rows_of("random", "classifier", 0, 1000)
    rows[2]["images"] = 998
    write_run(rows=rows)
    [run] = chosen_runs(load_runs(tmp_path / "demo"), {"images": ["998"]})
    assert [row["nfe_cap"] for row in run.rows] == [20]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["verifier=nul"], r"no run has verifier=nul; did you mean null\? there are classifier, null"),
        (["gidance=tfg"], r"--where gidance=tfg is no key=value; did you mean guidance\? there are dataset, model"),
        (["tfg"], r"--where tfg is no key=value"),
        (
            ["images=200,1000"],
            r"--where images=200,1000 has 2 values; a figure has one for images, and may have several",
        ),
        (["images=200", "verifier=null"], r"no run has verifier=null; there are classifier"),
    ],
)
def test_chosen_runs_refuse_what_is_not_there(runs, words, message):
    with pytest.raises(ValueError, match=message):
        chosen(runs, *words)


def test_chosen_lines_are_those_named_in_their_order(runs):
    series = series_of(chosen_runs(runs, read_where(["images=1000", "guidance=none,tfg", "verifier=classifier,null"])))
    legends = [line.legend for line in series]
    assert legends == ["random", "random (null)", "random+tfg", "zero_order"]
    names = ("zero_order", "random+tfg"), ("random",), ("random+tfg", "random"), ()
    assert [[legends[k] for k in chosen_lines(series, of)] for of in names] == [
        ["zero_order", "random+tfg"],
        ["random", "random (null)", "random+tfg"],
        ["random+tfg", "random", "random (null)"],
        legends,
    ]
    with pytest.raises(
        ValueError, match=r"no method is zero-order; did you mean zero_order\? there are random, random \("
    ):
        chosen_lines(series, ["random", "zero-order"])


def test_read_labels_take_the_longest_name(runs):
    names = ["zero_order", "zero_order cosine=0.8", "fid"]
    words = ["zero_order=ZO", "zero_order cosine=0.8=ZO, 0.8", "fid=FID=x"]
    assert read_labels(words, names) == dict(zip(names, ("ZO", "ZO, 0.8", "FID=x"), strict=True))
    with pytest.raises(ValueError, match=r"--labels zeroorder=ZO labels nothing .* did you mean zero_order\?"):
        read_labels(["zeroorder=ZO"], names)


def test_check_metrics_refuses_costs_errors_and_what_no_run_has(runs):
    check_metrics(["kid", "recall", "accuracy"], runs)
    for column in ("nfe", "fid_se", "images", "verifier_calls", "seconds", "precisoin"):
        with pytest.raises(ValueError, match=rf"no metric {column}; .*there are .*fid, .*recall"):
            check_metrics([column], runs)
    with pytest.raises(ValueError, match=r"did you mean precision\?"):
        check_metrics(["precisoin"], runs)


def test_known_cuts_a_long_list():
    assert known("x", [f"fid_class_{k}" for k in range(1000)]).endswith("fid_class_29 and 970 more")
