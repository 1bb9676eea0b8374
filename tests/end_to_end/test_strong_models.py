"""LightningDiT and RAE on random twins of their files, each with a full finite curve."""

import math
from pathlib import Path

import pytest

from tests.build import make_experiment, numbers

WORDS = ("dataset=imagenet256", "sampler=euler", "verifier=null_rewards", "search=random", "smoke=true", "images=10")


@pytest.mark.long
@pytest.mark.parametrize(("model", "caps"), [("rae", [8, 16]), ("lightningdit", [6, 12])])
def test_strong_models_give_full_finite_curves_as_smoke_runs(tmp_path: Path, model: str, caps: list[int]):
    """Of four evaluations RAE's are of two networks each, and two of LightningDiT's are guided."""
    run = make_experiment(tmp_path, *WORDS, f"model={model}", "metric=inception", "batch=8")
    run.run()
    rows = numbers(run.folder)
    assert [float(row["nfe_cap"]) for row in rows] == [float(row["nfe"]) for row in rows] == caps
    assert [float(row["decoder_calls"]) for row in rows] == [1, 2]
    assert all(math.isfinite(float(value)) for row in rows for value in row.values())
    assert {"fid", "isc", "precision", "recall"} <= set(rows[0])
