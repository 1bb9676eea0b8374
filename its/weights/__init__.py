"""Weights that ship with the package, and where a `weights` entry of a configuration points."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

_PACKAGED = Path(__file__).parent


def locate(weights: str) -> Path:
    """The file or folder that `weights` names: inside this package if it is there, else as given."""
    packaged = _PACKAGED / weights
    return packaged if packaged.exists() else Path(weights).expanduser()


def fingerprint(weights: str) -> str:
    """sha256 of a file, or of all files of a folder with their names.

    Raises:
        FileNotFoundError: there is neither.
    """
    path = locate(weights)
    if path.is_file():
        return sha256(path.read_bytes()).hexdigest()
    if not path.is_dir():
        raise FileNotFoundError(f"weights {weights!r} are neither in the package nor at {path.absolute()}; "
                                "give the path of a file or folder that exists")
    digest = sha256()
    for file in sorted(path.rglob("*")):
        if file.is_file():
            digest.update(f"{file.relative_to(path)}\0{sha256(file.read_bytes()).hexdigest()}\0".encode())
    return digest.hexdigest()
