"""The command in a caption makes the runs shown, and no others."""

from its.report.caption import WIDTH, caption, commands
from its.report.panels import cost_panels, front_panels, hacking_panels
from its.report.runs import load_runs
from its.report.series import series_of


def test_caption_commands_join_a_whole_grid_into_one_sweep():
    grid = [
        f"python run.py experiment=e search={search} seed={seed}" for search in ("none", "random") for seed in (0, 1)
    ]
    assert commands(grid) == ["python run.py -m experiment=e search=none,random seed=0,1"]


def test_caption_commands_stay_apart_without_a_whole_grid():
    given = ["python run.py search=none", "python run.py search=random", "python run.py search=random seed=1"]
    assert commands(given) == ["python run.py -m search=none,random", "python run.py search=random seed=1"]


def test_caption_commands_never_sweep_over_experiments():
    given = ["python run.py experiment=a seed=0", "python run.py experiment=b seed=0"]
    assert commands(given) == given


def test_commands_sweep_over_nothing_that_says_whose_code_runs():
    given = [f"python run.py seed=0 '{word}'" for word in ("plugins=[a]", "plugins=[a, b]", "hydra.searchpath=[a]")]
    assert commands(given) == given


def test_caption_commands_keep_quotes_and_deletions():
    given = "python run.py 'budget.nfe=[5, 10]' '~model.x'"
    assert commands([given]) == [given]


def test_caption_commands_count_those_left_out():
    assert commands([f"python run.py a{k}=1" for k in range(5)])[-1] == "… and 2 more commands"


def test_caption_names_images_seeds_verifier_dataset_model_and_command(write_run, tmp_path):
    for seed in (0, 1):
        write_run(seed=seed)
    write_run("none")
    runs = load_runs(tmp_path / "demo")
    series = series_of(runs)
    text = caption(runs, series, cost_panels(runs, series))
    assert text.splitlines()[:2] == [
        "digits · digits_unconditional–ddim · N = 1,000 images per point · select verifier: classifier",
        "seeds 0, 1 (fewer for some methods) · bands: ± standard error over images",
    ]
    assert "python run.py -m experiment=demo search=random verifier=classifier images=1000 seed=0,1" in text
    assert max(map(len, text.splitlines())) <= WIDTH


def test_caption_mentions_only_what_its_panels_draw(write_run, rows_of, tmp_path):
    for seed in range(3):
        rows = [row | {"nfe_backward": row["nfe"]} for row in rows_of("random", "classifier", seed, 9)]
        write_run(seed=seed, rows=rows)
    runs = load_runs(tmp_path / "demo")
    series = series_of(runs)
    said = [
        caption(runs, series, panels)
        for panels in (
            cost_panels(runs, series),
            cost_panels(runs, series, cost="flops"),
            front_panels(runs, series),
            hacking_panels(runs, series),
        )
    ]
    assert ["bands: mean ± standard error over seeds" in text for text in said] == [True, True, False, False]
    assert ["backward passes" in text for text in said] == [True, False, True, False]
    assert ["none beats" in text for text in said] == [False, False, True, False]
