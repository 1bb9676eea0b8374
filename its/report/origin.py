"""The origin of a run as a report names it: devices, versions, and files of code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from its.disk.run_folder import RunFolder
from its.process.source_files import listed
from its.report.escape import printable


def devices_and_versions(notes: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the devices and versions that lines of a run's timing file name."""
    devices, versions = set(), set()
    for note in notes:
        devices.add(printable(str(note.get("type") or note.get("device", "unknown device"))))
        versions.add(
            printable(", ".join(f"{name} {note[name]}" for name in ("its", "torch", "python") if name in note))
        )
    return tuple(sorted(devices)), tuple(sorted(versions))


def source_files(run: RunFolder, entry: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    """Return the files of all sources that a summary names."""
    lists = (listed(run, str(name)) for name in (*entry.get("images", ()), entry.get("measures")))
    return frozenset(file for source in lists if source is not None for file in source.digests.items())
