from pathlib import Path

import pytest

from tests.end_to_end.runs import make_experiment


@pytest.fixture
def experiment(tmp_path: Path):
    """Build an experiment under a folder of `tmp_path`."""
    return lambda folder, *overrides: make_experiment(tmp_path / folder, *overrides)
