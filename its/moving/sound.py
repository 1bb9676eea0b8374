"""The soundness of a file of arrays: its bytes are those of its line, and so are the arrays in it."""

from __future__ import annotations

from its.disk.array_file import digests_of
from its.disk.files import DamagedFile
from its.disk.run_folder import RunFolder


def raw_digests(files: RunFolder, name: str) -> dict[str, str]:
    """Return the sha256 of the raw arrays of a file, which must be what its line says.

    Raises:
        DamagedFile: it is not.
    """
    arrays = files.store.read(name)
    if arrays is None:
        raise DamagedFile(f"{files.path / name} is gone")
    digests = digests_of(arrays)
    if files.store.digests(name) not in ({}, digests):
        raise DamagedFile(f"{files.path / name} does not hold the arrays that {files.manifest.name} says")
    return digests
