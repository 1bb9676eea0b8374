"""ImageNet's verifiers as a user smokes them: whole runs on tiny random twins, each with a full finite curve."""

import math

import pytest

from its.verifier.verifier import is_oracle
from tests.build import make_experiment

PLACE = ("dataset=imagenet64", "model=openai_imagenet64", "smoke=true", "images=3")
ZHANG = ("verifier@guide=vit_b16_224", "verifier=vit_b16_384", "verifier@report=deit_s", "guidance=tfg_imagenet")


@pytest.mark.long
@pytest.mark.parametrize("verifier", ["vit_b16_224", "vit_b16_384", "deit_s", "clip", "dino", "oracle_is"])
def test_imagenet_verifiers_give_full_finite_curves_as_smoke_runs(tmp_path, verifier):
    run = make_experiment(tmp_path, *PLACE, f"verifier={verifier}")
    rows = run.run()
    assert len(rows) == 2
    assert all(value is not None and math.isfinite(value) for row in rows for value in row.values())
    assert is_oracle(run.engine.verifiers["select"]) is (verifier == "oracle_is")


@pytest.mark.long
def test_three_networks_guide_select_and_report_as_zhang_et_al_do(tmp_path):
    run = make_experiment(tmp_path, *PLACE, *ZHANG, "search=bfs_resample", "sampler.eta=1")
    rows = run.run()
    assert all(math.isfinite(row["report_deit_s"]) for row in rows)
    sizes = [
        verifier.network.size for verifier in (*run.engine.verifiers.values(), run.instruments.held_out[0].verifier)
    ]
    assert sorted(sizes) == [(32, 32), (36, 36), (48, 48)]
