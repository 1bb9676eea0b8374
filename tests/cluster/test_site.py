"""What a cluster wants to be told: once in a file, per task, and never a line of shell through a configuration."""

from pathlib import Path

import pytest
import yaml

from its.cluster.site import SITE_ONLY, load_site, times
from its.cluster.submit import chunks, sbatch_options, setup_lines
from its.process.source_tree import ROOT

LAUNCHER = yaml.safe_load((ROOT / "conf" / "hydra" / "launcher" / "slurm.yaml").read_text())
LAUNCHER.pop("_target_")


def site_file(folder: Path, text: str) -> dict[str, str]:
    (folder / "site.yaml").write_text(text)
    return {"ITS_SITE": str(folder / "site.yaml")}


def test_sbatch_options_override_the_site_and_multiply_by_tasks(tmp_path: Path):
    site = load_site(site_file(tmp_path, "partition: gpu\naccount: mine\ngres: gpu:a100:1\nmem_gb: 8\n"))
    options = sbatch_options({**LAUNCHER, "partition": "long", "tasks_per_node": 4}, site)
    assert (options["slurm_partition"], options["slurm_account"]) == ("long", "mine")
    assert (options["slurm_gres"], options["mem_gb"], options["tasks_per_node"]) == ("gpu:a100:4", 32, 4)
    assert options["slurm_additional_parameters"] == {"requeue": True}


@pytest.mark.parametrize(
    ("one", "four"),
    [
        ("gpu:1", "gpu:4"),
        ("gpu", "gpu:4"),
        ("gpu:a100:2", "gpu:a100:8"),
        ("gpu:a100", "gpu:a100:4"),
        ("gpu:1,nvme:1", "gpu:4,nvme:4"),
    ],
)
def test_times_multiplies_resources_by_tasks(one: str, four: str):
    assert times(one, 4) == four


@pytest.mark.parametrize(
    "given",
    [
        {"partition": "x\ntouch /tmp/canary"},
        {"exclude": ["a"]},
        {"timeout_min": 0},
        {"tasks_per_node": 1.5},
        {"runs_per_job": 0},
        {"setup": ["rm"]},
    ],
)
def test_sbatch_options_refuse_bad_values(given: dict):
    with pytest.raises(ValueError, match=r"one line of text|whole number|it may have"):
        sbatch_options({**LAUNCHER, **given}, {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("partitoin: x", "it may have partition"),
        ("setup: rm", "a list of"),
        ('qos: "a\\nb"', "one line of text"),
        ('additional_parameters: {"a\\nb": 1}', "not the name of an sbatch"),
        ('additional_parameters: {comment: "x\\ny"}', "one line of text"),
    ],
)
def test_load_site_refuses_bad_entries(tmp_path: Path, text: str, message: str):
    with pytest.raises(ValueError, match=message):
        load_site(site_file(tmp_path, text))


def test_load_site_refuses_a_named_file_that_is_missing(tmp_path: Path):
    with pytest.raises(ValueError, match=r"site\.example\.yaml"):
        load_site({"ITS_SITE": str(tmp_path / "none.yaml")})


def test_load_site_reads_the_example(tmp_path: Path):
    assert load_site({"ITS_SITE": str(ROOT / "slurm" / "site.example.yaml")})["gres"] == "gpu:1"


def test_setup_lines_come_only_from_the_site_file():
    assert not set(SITE_ONLY) & set(LAUNCHER)
    assert setup_lines({"setup": ["module load cuda"]})[-1] == "module load cuda"


def test_chunks_cut_a_sweep_into_arrays():
    assert [len(part) for part in chunks(range(2500), 1001)] == [1001, 1001, 498]
