"""A run's folder: its name, the configuration that it belongs to, and an older one of the same run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from its.config.identity import differences, hash8, identity, of_before
from its.disk.files import DamagedFile, read_text, set_aside, write_atomic
from its.disk.records import read_config
from its.disk.run_folder import CONFIG, RunFolder
from its.disk.sealed import is_sealed_yaml, sealed_yaml

LAYOUT = {"reference", "shard"}
"""What a folder holds one value of, and its name does not tell."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,79}")


def folder_of(out_dir: str, name: str, label: dict[str, str], record: Mapping[str, Any]) -> Path:
    """Return `<out_dir>/<name>/<dataset>/<model>-<sampler>/<search>[+<guidance>]/<verifier>/<budget>/seed=<n>-<hash8>`.

    Raises:
        ValueError: a part of it is no name.
    """
    parts = (
        name,
        label["dataset"],
        f"{label['model']}-{label['sampler']}",
        label["search"],
        label["verifier"],
        label["budget"],
    )
    for part in parts:
        if not _NAME.fullmatch(part):
            raise ValueError(f"{part!r} cannot name a folder of a run; use letters, digits and . _ + -, at most 80")
    last = f"seed={record['seed']}-{hash8(identity(record))}"
    return Path(out_dir).expanduser().absolute().joinpath(*parts, last)


def claim(folder: Path, record: Mapping[str, Any]) -> None:
    """Make the folder's `config.yaml`, or see that the folder belongs to this very configuration.

    A damaged one is set aside and made again: the folder's name says whose it is.

    Raises:
        ValueError: it says something else, or the folder has another name since an earlier version.
    """
    path = folder / CONFIG
    body = yaml.safe_dump(dict(record), sort_keys=True)
    try:
        check_folder(folder, record)
        text = read_text(path)
        torn = text.startswith(body) and text != body  # the checksum alone is damaged
        if is_sealed_yaml(text) or (RunFolder(folder).agrees(path) and not torn):
            return
        set_aside(path, f"{path} is not what was written")
    except FileNotFoundError:
        pass
    except DamagedFile as damage:
        set_aside(path, str(damage))
    write_atomic(path, sealed_yaml(body).encode())


def check_folder(folder: Path, record: Mapping[str, Any]) -> None:
    """See that nothing else lies in a run's folder, and that the run does not lie elsewhere; write nothing.

    Args:
        record: `reference` and `shard` are compared where both sides have them.

    Raises:
        ValueError: see `claim`. DamagedFile: `claim` makes the configuration again.
    """
    path = folder / CONFIG
    try:
        # One that has begun must be this very run.
        keys = _other(path, record)
        if keys:
            raise ValueError(
                f"{path} says something else than this command about {', '.join(keys)}: the run was begun with another "
                "shard size, or by another version; choose another name or out_dir"
            )
    except FileNotFoundError:
        # A run that has not begun must not lie under an older name.
        older = older_folder(folder, record)
        if older is not None:
            raise ValueError(
                "an earlier version began this run under another name; to go on with it: "
                f"{adoption(older, folder)}\n(to begin anew, choose another name= or out_dir=)"
            ) from None


def adoption(older: Path, folder: Path) -> str:
    """Return the command that gives an older folder of a run the name of today."""
    return f"mv {shlex.quote(str(older))} {shlex.quote(str(folder))}"


def older_folder(folder: Path, record: Mapping[str, Any]) -> Path | None:
    """Return the folder of the same run whose name ends in another hash, if there is one and none of this name."""
    if folder.exists():
        return None
    beside = sorted(folder.parent.glob(f"seed={record['seed']}-*/{CONFIG}"))
    return next((path.parent for path in beside if not set(_differing(_saved(path), record)) - {"shard"}), None)


def _other(path: Path, record: Mapping[str, Any]) -> list[str]:
    """Return the keys under which the `config.yaml` of this record's own folder says something else.

    Raises:
        FileNotFoundError: there is none. DamagedFile: it is not what was written.
    """
    keys = _differing(read_config(path), record)
    if keys and not (set(keys) <= LAYOUT or is_sealed_yaml(read_text(path))):
        raise DamagedFile(f"{path} says something else about {', '.join(keys)} than its folder's name: it was edited")
    return keys


def _saved(path: Path) -> Any:
    """Return what a `config.yaml` holds; None for one that is damaged, which is the record of no run."""
    try:
        return read_config(path)
    except (FileNotFoundError, DamagedFile):
        return None


def _differing(saved: Any, record: Mapping[str, Any]) -> list[str]:
    """Return the keys under which a saved record, of any version, is not this one."""
    if not isinstance(saved, dict) or not all(isinstance(saved.get(key), dict) for key in ("dataset", "search")):
        return sorted(record)
    unknown = LAYOUT - record.keys()
    try:
        today = of_before(saved)
        return differences({key: value for key, value in today.items() if key not in unknown}, record)
    except (AttributeError, KeyError, TypeError, ValueError):  # it has not the form of a record
        return sorted(record)
