"""A run's curve as files: the table, pictures of curve and samples, and what paired differences need."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from its.budget import cap_of
from its.disk.run_folder import RunFolder
from its.run.measure import Curve, Row
from its.run.stock import Stock
from its.types import Condition


def write_curve(folder: RunFolder, curve: Curve, stock: Stock, figure: bytes) -> None:
    """Write the table `curve.csv`, its picture `figure`, and a grid of the first images at every cap, if kept."""
    from its.report.figures import sample_grid

    for position, row in enumerate(curve.rows):
        if (images := stock.shown(position)) is not None:
            folder.write(folder.samples(cap_of(row).value), sample_grid(images))
    folder.write(folder.curve, to_csv(curve.rows).encode())
    folder.write(folder.curve_figure, figure)


def write_per_image(folder: RunFolder, curve: Curve) -> None:
    """Write what each image adds to the metrics."""
    from safetensors.numpy import save

    folder.write(folder.per_image, save(dict(curve.per_image)))


def write_problems(folder: RunFolder, conditions: Sequence[Condition], data: Any) -> None:
    """Write what each problem asks for, if that is prompts."""
    if any(isinstance(condition, str) for condition in conditions):
        folder.write(folder.problems, problem_lines(conditions, data).encode())


def problem_lines(conditions: Sequence[Condition], data: Any) -> str:
    """Return a line of JSON for each problem: what it asks for, and its category where the dataset says one."""
    category_of = getattr(data, "category_of", lambda index: None)
    entries = (
        {"prompt": condition} | ({} if (category := category_of(index)) is None else {"category": category})
        for index, condition in enumerate(conditions)
    )
    return "".join(json.dumps(entry) + "\n" for entry in entries)


def to_csv(rows: Sequence[Row]) -> str:
    """Return rows as CSV; floats keep every digit."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
