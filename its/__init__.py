"""its: inference-time search for diffusion models, counted to the network evaluation."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pandas import DataFrame

# Threads that wait for each other must not spin: on a core that another process uses as well, spinning made the digits
# network 50 times slower. OpenMP reads this when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"


def load_sweep(path: str | Path) -> DataFrame:
    """Every row of every curve below a folder, as one tidy pandas frame: see `its.report.frame.load_sweep`."""
    from its.report.frame import load_sweep

    return load_sweep(path)
