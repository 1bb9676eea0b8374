"""The small files of a run: how each is read back as what was written, and named where it is not."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from its.disk.files import DamagedFile, read_file, read_text, set_aside, write_atomic
from its.disk.sealed import is_sealed_yaml, says_sealed, sealed, unsealed

FILES = "files"
"""Entry of a record: the sha256 of each small file."""


def read_record(path: Path) -> dict[str, Any]:
    """Return a record, a file of JSON that ends with its checksum.

    Raises:
        FileNotFoundError: it is absent. DamagedFile: it is not what was written.
    """
    try:
        return unsealed(read_text(path))
    except ValueError as error:
        why = f"{type(error).__name__}: {error}"
        raise DamagedFile(
            f"{path} cannot be read ({why}); run its command again, which keeps the finished shards"
        ) from error


def write_record(path: Path, record: dict[str, Any]) -> None:
    """Write a record; a damaged one in its place is set aside."""
    with suppress(FileNotFoundError):
        try:
            read_record(path)
        except DamagedFile as damage:
            set_aside(path, str(damage))
    write_atomic(path, sealed(record, indent=1).encode())


def digests_of(name: str, records: Sequence[Path]) -> set[str] | None:
    """Return the sha256 that the first record that is there has of a small file; None if it has none, or none is."""
    for path in records:
        with suppress(FileNotFoundError):
            try:
                files = read_record(path).get(FILES)
            except ValueError:
                return set()
            return {str(files.get(name))} if isinstance(files, dict) else None
    return None


def read_config(path: Path) -> dict[str, Any]:
    """Return what a `config.yaml` holds.

    Raises:
        FileNotFoundError: it is absent. DamagedFile: it is not what was written.
    """
    try:
        text = read_text(path)
        config = yaml.safe_load(text)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        why = " ".join(f"{type(error).__name__}: {error}".split())
        raise DamagedFile(f"{path} is damaged ({why}); restore it, or run the run's command again") from error
    if not isinstance(config, dict) or (says_sealed(text) and not is_sealed_yaml(text)):
        raise DamagedFile(f"{path} is damaged: it is not what was written; run the run's command again")
    return config


def is_table(path: Path, rows: Any) -> bool:
    """Return whether a file is the table of a curve's rows."""
    try:
        table = list(csv.DictReader(read_text(path).splitlines()))
        return table == [{key: "" if row[key] is None else str(row[key]) for key in row} for row in rows]
    except (FileNotFoundError, TypeError, ValueError, csv.Error):
        return False


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file; nothing if there is none that can be read."""
    try:
        content = read_file(path)
    except DamagedFile:
        return ""
    return "" if content is None else sha256(content).hexdigest()
