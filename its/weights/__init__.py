"""Weights: those that ship with the package, the search for named ones, and the marks by which loaders declare them.

A loader is whatever a `_target_` names: a function or a class. It declares its weights, device and slots by annotating
parameters with `Weights`, `Device`, `GuidanceScale`, `GuidanceInterval`, `SkipInterval` and `Autoguidance`; rules about
them read these annotations and never go by the name of a key. It imports no torch, so that a plan can read them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Literal, TypeVar

from its.weights.hashing import sha256_of_file

T = TypeVar("T")

Variant = str
"""Marks a loader's parameter for the variant of a pipeline's weights (`fp16`)."""

Weights = str
"""Marks a loader's parameter that names weights, which `locate` finds: their content decides results, not the name."""

Device = str
"""Marks a loader's parameter that is a torch device: where a result is made does not decide it."""

GuidanceScale = float
"""Marks a model's parameter for the scale of classifier-free guidance: 1 is one network row an evaluation, else two."""

GuidanceInterval = Sequence[float]
"""Marks a model's parameter for the native times between which guidance is on: two network rows there, else one."""

SkipInterval = Sequence[float]
"""Marks a model's parameter for the native times between which guidance leads away from its network without some layers
too: three network rows there, where guidance is on."""

Autoguidance = str
"""Marks a model's parameter, besides as weights, for the network of autoguidance, which is one row of an evaluation."""

Settings = str
"""Marks a loader's parameter, besides as weights, for a tokenizer or other settings: networks may share them."""

Dtype = Literal["float32", "bfloat16", "float16"]
"""Marks a loader's parameter for the type of a network's weights and activations; see `its.run_as`."""

_PACKAGED = Path(__file__).parent
_HUB = re.compile(r"(?P<name>[\w-][\w.-]*/[\w-][\w.-]*)(@(?P<revision>[\w.-]+))?")
_HUB_FILE = re.compile(rf"{_HUB.pattern}/(?P<file>[\w.+-]+(/[\w.+-]+)*)")
_FILES = (".safetensors", ".pt", ".pth", ".th", ".bin", ".pkl", ".npz")
_SMALL_FILES = (".json", ".txt")
_COMMIT = re.compile(r"[0-9a-f]{40}")


def locate(weights: str, variant: str | None = None) -> Path:
    """Find the file or folder that `weights` names: in this package, as a path, below $ITS_WEIGHTS, or on the hub.

    A repository of the hub is `owner/name` or `owner/name@revision`; its configurations, tokenizers and weights come
    from the hub's cache, and are first downloaded if they are not there. So does one file of it,
    `owner/name/file.safetensors`.

    Args:
        variant: of the weights of a pipeline on the hub; see `its.weights.hub.snapshot`.

    Raises:
        FileNotFoundError: it is in none of these places.
    """
    local = _local(weights)
    if local is not None:
        return local
    if _hub_name(weights):
        return _snapshot(weights, variant)
    if _hub_file(weights):
        return _file_of_hub(weights)
    raise FileNotFoundError(
        f"weights {weights!r} are neither in the package nor at {Path(weights).absolute()}"
        f"{_own_folder()}; give the path of a file or folder that exists"
    )


def file_here(weights: str, *names: str) -> Path | None:
    """Return the first of these files that is in a folder of weights on this machine, also in the hub's cache."""
    folder, hub = _local(weights), _hub_name(weights)
    if folder is not None or hub is None:
        return next((folder / name for name in names if folder is not None and (folder / name).is_file()), None)
    from huggingface_hub import try_to_load_from_cache

    cached = (try_to_load_from_cache(hub["name"], name, revision=hub["revision"]) for name in names)
    return next((Path(path) for path in cached if isinstance(path, str)), None)


def fingerprint(weights: str, *, here: bool = False) -> str:
    """Hash a file, or all files of a folder with their names (sha256); of a repository of the hub, return the commit.

    Args:
        here: download no weights of a pipeline on the hub, and refuse one whose weights are not here.

    Raises:
        FileNotFoundError: the weights are in none of the places where `locate` looks.
    """
    path = _local(weights)
    if path is None:
        if _hub_file(weights):
            return sha256_of_file(locate(weights))
        hub = _hub_name(weights)
        if hub and hub["revision"] and _COMMIT.fullmatch(hub["revision"]):
            return f"hub:{hub['name']}@{hub['revision']}"
        commit = _commit(weights, here=here) if hub else None
        return f"hub:{hub['name'] if hub else weights}@{commit or locate(weights).name}"
    if path.is_file():
        return sha256_of_file(path)
    digest = sha256()
    for file in sorted(path.rglob("*")):
        if file.is_file():
            digest.update(f"{file.relative_to(path)}\0{sha256_of_file(file)}\0".encode())
    return digest.hexdigest()


def file_name(weights: str) -> str:
    """Return the name of the one file that is named, here or on the hub; empty for a folder or a repository."""
    local = _local(weights)
    if local is not None:
        return local.name if local.is_file() else ""
    return Path(weights).name if _hub_file(weights) else ""


def _local(weights: str) -> Path | None:
    folder = os.environ.get("ITS_WEIGHTS")
    places = [_PACKAGED / weights, Path(weights).expanduser()]
    if folder:
        places.append(Path(folder).expanduser() / weights)
    return next((place for place in places if place.exists()), None)


def _own_folder() -> str:
    folder = os.environ.get("ITS_WEIGHTS")
    unset = " ($ITS_WEIGHTS, a folder of your own to look in, is not set)"
    return f" nor in $ITS_WEIGHTS ({folder})" if folder else unset


def _hub_name(weights: str) -> re.Match[str] | None:
    return None if weights.endswith(_FILES) else _HUB.fullmatch(weights)


def _hub_file(weights: str) -> re.Match[str] | None:
    return _HUB_FILE.fullmatch(weights) if weights.endswith((*_FILES, *_SMALL_FILES)) else None


def _snapshot(weights: str, variant: str | None) -> Path:
    """Return a repository's folder in the hub's cache; see `its.weights.hub.snapshot`."""
    from its.weights.hub import snapshot

    return _of_hub(weights, lambda name, revision: snapshot(name, revision, variant))


def _file_of_hub(weights: str) -> Path:
    """Return a file of a repository in the hub's cache; see `its.weights.hub.one_file`."""
    from its.weights.hub import one_file

    hub = _hub_file(weights)
    assert hub is not None
    return _of_hub(weights, lambda name, revision: one_file(name, revision, hub["file"]))


def _commit(weights: str, *, here: bool) -> str | None:
    """Return the commit of a pipeline; see `its.weights.hub.commit_of_pipeline`."""
    from its.weights.hub import commit_of_pipeline

    return _of_hub(weights, lambda name, revision: commit_of_pipeline(name, revision, whole=here))


def _of_hub(weights: str, ask: Callable[[str, str | None], T]) -> T:
    """Ask the hub, or its cache, for a repository by name and revision."""
    from its.weights.hub import NotWhole

    hub = _hub_name(weights) or _hub_file(weights)
    assert hub is not None
    try:
        return ask(hub["name"], hub["revision"])
    except NotWhole:
        raise
    except (OSError, ValueError) as error:
        raise FileNotFoundError(
            f"weights {weights!r} are neither in the package nor at {Path(weights).absolute()}"
            f"{_own_folder()}, and the hub does not give them ({_first_line(error)}); where there "
            "is no network, download them elsewhere and give their folder"
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
