"""Every search makes the images, the ledgers and the folder that `golden.json` remembers.

A move of code changes none of them. A commit that means to change some says so and writes them anew, from the root:

    python -m tests.golden.test_golden --write
"""

import json
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from hydra.utils import instantiate

FILE = Path(__file__).with_name("golden.json")
GOLDEN = json.loads(FILE.read_text()) if FILE.exists() else {}
SEARCHES = {
    path.stem: node
    for path in sorted(Path(__file__).parents[2].glob("conf/search/*.yaml"))
    if path.stem != "schedule" and "_target_" in (node := yaml.safe_load(path.read_text()))
}
"""Nodes of the searches that make images, without presets of them; `schedule` searches grids."""

Case = tuple[str, ...]
"""Words of a command line."""

SMALL: Case = ("sampler.steps=8", "budget.samplings=[4,16]")
DIGITS: Case = ("dataset=digits", "model=digits_unconditional", *SMALL)

# Components overlap and guidance is weak, so that rewards differ and a threshold is met now and then.
MIXTURE: Case = ("dataset=mixture", "model=mixture", "dataset.images.std=0.5", *SMALL)
TFG: Case = ("guidance=tfg", "guidance.rho=0.1", "guidance.mu=0.02", "guidance.sigma=0.1")

OWN: dict[str, Case] = {
    "dfs": ("search.depth=0.25",),  # where it goes back by renoising, and not to a new start
    "trs": ("search.warmup=4", "search.batch=2", "search.regions=2"),  # where it comes to its regions
}
IMAGES = 3


def cases() -> dict[str, Case]:
    """Name what is run: every search at each eta that it admits, also guided if it may be, and two on digits."""
    found = {
        "digits-random-eta0": (*DIGITS, "search=random", "sampler.eta=0"),
        "digits-bfs_resample-eta1": (*DIGITS, "search=bfs_resample", "sampler.eta=1"),
    }
    for name, node in SEARCHES.items():
        search = instantiate({key: value for key, value in node.items() if key != "smoke"})
        for eta in (1,) if search.needs_noise else (0, 1):
            words = (*MIXTURE, f"search={name}", f"sampler.eta={eta}", *OWN.get(name, ()))
            found[f"{name}-eta{eta}"] = words
            if not (search.takes_gradients or search.guidance or search.proposes_guesses):
                found[f"{name}-eta{eta}-tfg"] = (*words, *TFG)
    return found


CASES = cases()


def run(case: Case) -> tuple[str, np.ndarray, list]:
    """Run a case in this process: its folder below out_dir, images uint8 `[n, caps, H, W, C]`, ledgers by column.

    No other function of this file names a module of the product.
    """
    from its.budget import COLUMNS
    from its.types import Problem
    from tests.build import make_experiment

    made = make_experiment(Path("/out"), *case)
    problems = [Problem(index, made.condition(index)) for index in range(IMAGES)]
    results = sorted(made.engine.run(made.search, made.caps, problems), key=lambda result: result.problem.index)
    images = np.array([[outcome.image for outcome in result.outcomes] for result in results])
    ledgers = [[[outcome.ledger[column] for column in COLUMNS] for outcome in result.outcomes] for result in results]
    return str(made.folder.relative_to("/out")), images, ledgers


def remembered(case: Case) -> dict[str, Any]:
    """Run a case and say what is remembered of it; the mean pixel of float32 networks, which differ by machine."""
    folder, images, ledgers = run(case)
    seen = {"mean": round(images.mean() / 255, 4)} if case[0] == DIGITS[0] else {"sha256": sha256(images).hexdigest()}
    return {"folder": folder, "ledgers": ledgers, **seen}


@pytest.mark.usefixtures("lab")  # one thread
@pytest.mark.parametrize("case", CASES)
def test_golden_run_equals_golden_json(case: str):
    golden = dict(GOLDEN[case])
    if "mean" in golden:
        golden["mean"] = pytest.approx(golden["mean"], abs=1 / 255)
    assert remembered(CASES[case]) == golden


def test_golden_file_holds_exactly_the_cases():
    assert set(GOLDEN) == set(CASES)


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit(__doc__)
    torch.set_num_threads(1)
    lines = [f"{json.dumps(name)}: {json.dumps(remembered(case))}" for name, case in CASES.items()]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")
