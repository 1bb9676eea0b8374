"""A real SLURM of our own for this session (slurm/local_cluster.sh), which ends with it however that ends."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.build import CONF
from tests.slurm.cluster import Cluster

ROOT = CONF.parent


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Started once; without the Debian packages the tests fail, and say what to install."""
    folder = tmp_path_factory.mktemp("slurm")
    script = ["bash", str(ROOT / "slurm" / "local_cluster.sh")]
    started = subprocess.run(
        [*script, "start", str(folder)],
        capture_output=True,
        text=True,
        timeout=300,
        env={"ITS_CLUSTER_EXTRA": "MaxArraySize=8", "ITS_CLUSTER_OWNER": str(os.getpid()), **os.environ},
    )
    assert started.returncode == 0, started.stderr
    os.environ["SLURM_CONF"] = started.stdout.split("'")[1]
    here = Cluster(folder)
    yield here
    for launcher in here.launchers:
        launcher.kill()  # those of tests that have failed
    subprocess.run([*script, "stop", str(folder)], check=True, timeout=300)
    del os.environ["SLURM_CONF"]


@pytest.fixture
def eventually() -> Callable[[Callable[[], object], str, float], object]:
    """Wait until a condition holds, and return what it gave."""

    def wait(condition: Callable[[], object], what: str, seconds: float = 1200.0) -> object:
        until = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < until, f"not within {seconds:.0f} s: {what}"
            time.sleep(0.1)
        return found

    return wait


@pytest.fixture
def shards() -> Callable[[Path], list[Path]]:
    """The shards below a folder."""
    return lambda folder: sorted(folder.rglob("shards/*.safetensors"))
