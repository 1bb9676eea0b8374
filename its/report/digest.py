"""Digests of what the report is made from, by which it knows what it need not draw again."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files

from its.disk.records import sha256_of
from its.disk.run_folder import RunFolder
from its.disk.verdicts import verdict_files

LIBRARIES = ("matplotlib", "numpy", "pandas", "pillow", "pyarrow")
"""Those whose version may change the bytes of a figure or a table."""


def digest(*parts: str | bytes) -> str:
    """Return a hash of parts in their order."""
    content = sha256()
    for part in parts:
        content.update(sha256(part.encode() if isinstance(part, str) else part).digest())
    return content.hexdigest()[:32]


@cache
def code_digest() -> str:
    """Return a hash of this room's source and of the versions of the libraries that draw."""
    sources = sorted((path.name, path.read_bytes()) for path in files("its.report").iterdir() if path.is_file())
    return digest(*(part for source in sources for part in source), *(f"{name} {version(name)}" for name in LIBRARIES))


def run_digest(run: RunFolder) -> str:
    """Return a hash of everything that the report reads of a run; its shards are known by its manifest."""
    small = (run.summary, run.timing, run.manifest, run.per_image, *([run.problems] if run.problems.exists() else []))
    return digest(*map(sha256_of, (*small, *verdict_files(run))), *run.shard_names)
