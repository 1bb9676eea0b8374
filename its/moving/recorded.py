"""A run's files held against what its manifest and its record say of them; every byte is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from io import BytesIO

import numpy as np
from PIL import Image

from its.budget import cap_of
from its.config.provenance import UNRECORDED
from its.disk.array_names import SHARDS, first_of
from its.disk.files import DamagedFile
from its.disk.records import FILES, is_table, sha256_of
from its.disk.run_folder import EDITED
from its.moving.sound import raw_digests
from its.process.source_files import listed
from its.report.figures import sample_grid
from its.rerun.finished_run import FinishedRun
from its.run.stock import Stock


def differing_files(run: FinishedRun) -> Iterator[str]:
    """Yield a sentence on each file that is not what is said of it, or stands in for another."""
    files = run.files
    recorded = run.summary.get(FILES, {})
    for name, digest in recorded.items():
        if sha256_of(files.path / name) != digest:
            yield f"{name} is not the file whose sha256 {files.summary.name} has"
    if not is_table(files.curve, run.summary["curve"]):
        yield f"{files.curve.name} is not the table of the curve in {files.summary.name}"

    # Files of arrays, one by one, and each against the others.
    digests: dict[str, dict[str, str]] = {}
    for name in sorted({entry["file"] for entry in files.store.lines()} | files.store.present()):
        try:
            digests[name] = raw_digests(files, name)
        except DamagedFile as damage:
            yield str(damage)
    yield from _twice(digests)

    # Sources, by their lists and by the record.
    images = {files.store.source(name) or UNRECORDED for name in digests if name.count("/") == 1}
    entry = run.summary.get("sources", {})
    if images != {*entry.get("images", [UNRECORDED])}:
        yield f"{files.manifest.name} names other sources of images than {files.summary.name}"
    if any(row.get(EDITED, 0) != len(entry.get("edited", ())) for row in run.summary["curve"]):
        yield f"the curve and the entry sources of {files.summary.name} name other numbers of edited sources"
    for path in files.sources:
        if listed(files, path.stem) is None:
            yield f"{path} is not the list whose name it has"


def differing_claim(run: FinishedRun) -> Iterator[str]:
    """Yield a sentence if a run claims more images than its shards can hold, or none."""
    images, size = run.summary["images"], run.config["shard"]
    shards = len(run.files.shard_names)
    if type(images) is not int or type(size) is not int or not (size > 0 and 0 < images <= shards * size):
        yield f"{images} images are claimed, and there are {shards} shards of {size}"


def differing_grids(run: FinishedRun, stock: Stock) -> Iterator[str]:
    """Yield a sentence on each sample grid that does not show the first stored images."""
    for position, row in enumerate(run.summary["curve"]):
        images, path = stock.shown(position), run.files.samples(cap_of(row).value)
        if images is None or not path.exists():  # one on record that is gone has been told by its sha256
            continue
        if not _is_same_picture(path.read_bytes(), sample_grid(images)):
            yield f"{path.name} does not show the first images of the shards"


def _twice(digests: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """Yield a sentence on each shard that holds what another does, whatever problems it says they are of."""
    holders: dict[str, str] = {}
    for name, arrays in digests.items():
        if name.startswith(SHARDS):
            content = arrays.get("images") or arrays.get("digest", "")
            if (other := holders.setdefault(content, name)) != name:
                yield f"{name} holds the images of {other}, as those of problems {first_of(name)} and on"


def _is_same_picture(content: bytes, other: bytes) -> bool:
    """Return whether two pictures have the same pixels; nothing is decoded that says it is larger than the other."""
    try:
        first, second = (Image.open(BytesIO(each)) for each in (content, other))
        same_form = (first.size, first.mode) == (second.size, second.mode)
        return same_form and np.array_equal(np.asarray(first), np.asarray(second))
    except (OSError, Image.DecompressionBombError):
        return False
