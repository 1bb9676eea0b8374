"""The table of `gpu_benchmark.py`: every cell has a row from the start, which says so until it is measured."""

from __future__ import annotations

import logging
import os
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

Cell = tuple[str, str, str]
"""Network, dtype, and search, or `bare`."""

BARE = "bare"
"""In place of a search: the network without an engine."""

CELL = ("network", "dtype", "search")

DEVICE_ONLY = ("readbacks", "syncs/batch", "peak GiB")
"""Columns of a CUDA device alone."""

COLUMNS = (
    "batch",
    "images/s",
    "NFE/s",
    "share × occupancy",
    "of matmul",
    "occupancy",
    "in network",
    "draws",
    "host µs/row",
    *DEVICE_ONLY,
    "other company",
    "other batch",
)

MOST_LINES = 12
"""Lines of code that a note lists."""

UNREACHED = "not reached"


class Table(logging.Handler):
    """Figures by cell and column, in a file of their own; warnings of the program become notes below them.

    Args:
        folder: where the file is made.
        title: the device.
        cells: in the order of the table.

    Attributes:
        path: of the file, in Markdown.
        rates: FLOPs a second of a large matrix product by dtype.
        failed: networks that ended in an error.
    """

    def __init__(self, folder: Path, title: str, cells: Sequence[Cell], device: torch.device) -> None:
        super().__init__(logging.WARNING)
        folder.mkdir(parents=True, exist_ok=True)
        name = re.sub(r"[^a-z0-9]+", "-", title.lower())
        self.path = folder / f"gpu-{name}-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.md"
        self.rates: dict[str, float] = {}
        self.failed = 0
        self._title = title
        self._cuda = device.type == "cuda"
        self._rows: dict[Cell, Mapping[str, Any] | str] = dict.fromkeys(cells, UNREACHED)
        self._notes: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.note(record.getMessage())

    def note(self, text: str) -> None:
        """Say something below the table, once."""
        if text not in self._notes:
            self._notes.append(text)
            self._write()

    def fill(self, cell: Cell, figures: Mapping[str, Any]) -> None:
        """Enter what was measured of a cell: figures by column, and under `waits` a counter of lines of code."""
        self._rows[cell] = figures
        self._write()

    def refuse(self, cell: Cell, why: str) -> None:
        """Enter why a cell was not measured."""
        self._rows[cell] = why
        self._write()

    def text(self) -> str:
        """Return the table with its notes, in Markdown."""
        lines = [
            f"# {self._title}, torch {torch.__version__}, {time.strftime('%Y-%m-%d')}",
            "",
            _line([*CELL, *COLUMNS]),
            "|---" * len(CELL) + "|---:" * len(COLUMNS) + "|",
        ]
        for cell, row in self._rows.items():
            values = [*cell]
            if isinstance(row, str):
                values += ["", row.replace("|", "/"), *[""] * (len(COLUMNS) - 2)]
            else:
                values += [self._value(row, name) for name in COLUMNS]
            lines.append(_line(values))
        return "\n".join([*lines, "", *(f"- {note}" for note in self._all_notes())])

    def _all_notes(self) -> list[str]:
        """Return what is said below the table."""
        # What the device does by itself.
        notes = []
        if self.rates:
            rates = ", ".join(f"{rate / 1e12:.3g} TFLOP/s in {dtype}" for dtype, rate in self.rates.items())
            notes.append(f"A matrix product makes {rates}.")
        if self._cuda:
            tf32 = {"products": torch.backends.cuda.matmul.allow_tf32, "convolutions": torch.backends.cudnn.allow_tf32}
            notes.append("TF32: " + ", ".join(f"{what} {('no', 'yes')[way]}" for what, way in tf32.items()) + ".")

        # Lines of code that waited, and what was said on the way.
        waits: Counter[str] = sum((row["waits"] for row in self._measured() if "waits" in row), Counter())
        if waits:
            most = ", ".join(f"{line} ({count})" for line, count in waits.most_common(MOST_LINES))
            notes.append(f"The host waited for the device at {most}.")
        notes += [f"{note}." for note in self._notes]

        # What is missing.
        if unreached := [", ".join(cell) for cell, row in self._rows.items() if row == UNREACHED]:
            notes.append(f"Not reached: {'; '.join(unreached)}.")
        return notes

    def _measured(self) -> list[Mapping[str, Any]]:
        return [row for row in self._rows.values() if not isinstance(row, str)]

    def _value(self, row: Mapping[str, Any], name: str) -> str:
        """Return a figure as the table has it; empty where a cell has none."""
        if name in DEVICE_ONLY and not self._cuda:
            return "not measured"
        value = row.get(name, "")
        return value if isinstance(value, str) else f"{value:.3g}"

    def _write(self) -> None:
        self.path.write_text(self.text() + "\n", encoding="utf-8")


def _line(values: Sequence[str]) -> str:
    return f"| {' | '.join(values)} |"
