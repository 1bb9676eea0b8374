"""A run's curve as files: the table, pictures of curve and samples, and what paired differences need."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from its.disk.run_folder import RunFolder
from its.disk.store import write_atomic
from its.run.measure import Curve, Row
from its.run.shards import Shards, collect

GRID = 100
"""Images of a sample grid, at most."""


def write_curve(folder: RunFolder, curve: Curve, shards: Shards, figure: bytes) -> None:
    """Write the table `curve.csv`, its picture `figure`, and a grid of the first images at every cap."""
    from its.report.figures import sample_grid

    for position, row in enumerate(curve.rows):
        grid = sample_grid(collect(shards, position).images[:GRID])
        write_atomic(folder.samples(row["nfe_cap"]), grid)
    write_atomic(folder.curve, to_csv(curve.rows).encode())
    write_atomic(folder.curve_figure, figure)


def write_per_image(folder: RunFolder, curve: Curve) -> None:
    """Write what each image adds to the metrics."""
    from safetensors.numpy import save

    write_atomic(folder.per_image, save(dict(curve.per_image)))


def to_csv(rows: Sequence[Row]) -> str:
    """Return rows as CSV; floats keep every digit."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
