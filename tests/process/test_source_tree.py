"""A job runs the source that it was submitted with; a run stays on one type of GPU; a worker has its own."""

import shutil
import subprocess
from pathlib import Path

import pytest

from its.process.device import require_one_device_type
from its.process.source_tree import ROOT, require_source_tree, source_tree
from its.process.workers import Worker, take_own_gpu


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    for name in ("run.py", "its/run/job.py", "conf/config.yaml", "its/model/unet2d.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    git = ["git", "-c", "user.name=x", "-c", "user.email=x", "-C", str(tmp_path)]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run([*git, *words], check=True)
    return tmp_path


@pytest.mark.parametrize("name", ["run.py", "its/run/job.py", "conf/config.yaml", "its/model/unet2d.py"])
def test_source_tree_changes_with_an_edit_and_keeps_the_commit(clone: Path, name: str):
    before = source_tree(clone)
    (clone / name).write_text((clone / name).read_text() + "\n")
    commit, tree = source_tree(clone).split(":")
    assert commit == before.split(":")[0] != "none"
    assert tree != before.split(":")[1]


def test_source_tree_ignores_outputs_and_bytecode(clone: Path):
    before = source_tree(clone)
    (clone / "outputs").mkdir()
    (clone / "outputs" / "x.yaml").touch()
    (clone / "its" / "__pycache__").mkdir()
    (clone / "its" / "__pycache__" / "job.cpython-311.pyc").touch()
    assert source_tree(clone) == before


def test_require_source_tree_refuses_another_source_and_names_both():
    here = source_tree()
    require_source_tree(allow_edited=False, environment={"ITS_SOURCE": here})
    require_source_tree(allow_edited=False, environment={})
    require_source_tree(allow_edited=True, environment={"ITS_SOURCE": "abc:123"})
    with pytest.raises(ValueError, match=f"abc:123.*{here}.*allow_edited"):
        require_source_tree(allow_edited=False, environment={"ITS_SOURCE": "abc:123"})


def note(first: int, name: str) -> dict:
    return {"first": first, "type": name}


def shard(folder: Path, first: int) -> None:
    (folder / "shards").mkdir(exist_ok=True)
    (folder / "shards" / f"{first:08d}.safetensors").touch()


def test_require_one_device_type_names_gpu_types_and_their_shards(tmp_path: Path):
    for first in (0, 10, 20):
        shard(tmp_path, first)
    notes = [note(0, "A100"), {"batch": 1}, note(10, "A100"), note(20, "H100")]
    with pytest.raises(ValueError, match=r"2 types.*A100: shards/00000000, shards/00000010; H100: shards/00000020"):
        require_one_device_type(tmp_path, notes)
    with pytest.raises(ValueError, match="L40: this worker"):
        require_one_device_type(tmp_path, notes[:1], "L40")
    require_one_device_type(tmp_path, notes[:3], "A100")
    require_one_device_type(tmp_path, [note(20, "H100"), note(20, "A100")], "A100")
    (tmp_path / "shards" / "00000020.safetensors").unlink()
    require_one_device_type(tmp_path, notes, "A100")


@pytest.mark.parametrize(
    ("environment", "left"),
    [
        ({"CUDA_VISIBLE_DEVICES": "0,1,2,3", "SLURM_PROCID": "5", "SLURM_NTASKS": "8", "SLURM_LOCALID": "1"}, "1"),
        ({"CUDA_VISIBLE_DEVICES": "4,6", "ITS_RANK": "3", "ITS_WORLD": "4"}, "6"),
        ({"CUDA_VISIBLE_DEVICES": "GPU-a,GPU-b", "RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}, "GPU-a"),
        ({"CUDA_VISIBLE_DEVICES": "2", "SLURM_PROCID": "1", "SLURM_NTASKS": "2", "SLURM_LOCALID": "1"}, "2"),
        ({"CUDA_VISIBLE_DEVICES": "0,1", "SLURM_PROCID": "0", "SLURM_NTASKS": "1", "SLURM_LOCALID": "0"}, "0,1"),
        ({"CUDA_VISIBLE_DEVICES": "0,1"}, "0,1"),
    ],
)
def test_take_own_gpu_picks_the_gpu_of_the_local_rank(environment: dict[str, str], left: str):
    take_own_gpu(environment)
    assert environment["CUDA_VISIBLE_DEVICES"] == left


def test_worker_reports_as_rank_0_unless_a_parent_process_reports():
    assert Worker.reports({})
    assert Worker.reports({"SLURM_PROCID": "0", "SLURM_NTASKS": "4"})
    assert not Worker.reports({"SLURM_PROCID": "1", "SLURM_NTASKS": "4"})
    assert not Worker.reports({"ITS_RANK": "0", "ITS_WORLD": "2"})
