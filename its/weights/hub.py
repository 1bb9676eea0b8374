"""Repositories of the hub, in its cache: what a folder of weights or a pipeline is loaded from, and nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

TEXTS = ("merges.txt", "vocab.txt", "*.model", "*.jinja")
"""Files of tokenizers that are not JSON, by pattern."""

INDEX = "model_index.json"

NOT_LOADED = ("safety_checker", "feature_extractor", "image_encoder")
"""Parts of pipelines that look at images, finished or given, and take no part in making one of a text."""

_WEIGHTS = re.compile(
    r"(diffusion_pytorch_model|model|pytorch_model)(\.(?P<first>[a-z]\w*))?(-\d+-of-\d+)?(\.(?P<second>[a-z]\w*?))?"
    r"\.(?P<form>safetensors|bin)(\.index(\.(?P<third>\w+))?\.json)?"
)
"""Names of weights, of their shards and of the tables of these, with the name of a variant where libraries put it."""

_OTHERS = re.compile(r"[^/]*\.(json|txt|model|jinja)")


class NotWhole(FileNotFoundError):
    """Files of a repository are missing, or not given to this user; the message says what to do."""


def snapshot(name: str, revision: str | None, variant: str | None = None) -> Path:
    """Return a repository's folder in the hub's cache; what is missing there is downloaded first.

    Of a pipeline these are the parts that its index names, each with one variant of its weights.

    Args:
        variant: of the weights (`fp16`), where a part has it; None is the one without a name, or else the first.

    Raises:
        NotWhole: it holds no weights, or not all that it names. OSError: the hub does not give it.
    """
    folder = _fetched(name, revision, ["*.json"])
    if (folder / INDEX).is_file():
        return _pipeline(name, folder, variant)
    for pattern in ("*.safetensors", "*.bin"):
        folder = _fetched(name, revision, ["*.json", *TEXTS, pattern])
        if any(folder.rglob(pattern)):
            return folder
    raise NotWhole(f"the hub's {name} holds neither safetensors nor .bin weights; choose another")


def one_file(name: str, revision: str | None, file: str) -> Path:
    """Return a file of a repository in the hub's cache; it is downloaded if it is not there.

    Raises:
        NotWhole: there is no such file. OSError: the hub does not give it.
    """
    path = _fetched(name, revision, [file]) / file
    if not path.is_file():
        raise NotWhole(f"the hub's {name} has no file {file}; choose another")
    return path


def commit_of_pipeline(name: str, revision: str | None, *, whole: bool) -> str | None:
    """Return the commit of a pipeline's repository, of which only configurations are downloaded; None of another one.

    Args:
        whole: refuse one whose weights are not here, in any variant.

    Raises:
        NotWhole: they are not. OSError: the hub does not give it.
    """
    folder = _fetched(name, revision, ["*.json"])
    if not (folder / INDEX).is_file():
        return None
    if whole and (absent := _absent(folder, _files(folder), _read(folder / INDEX))):
        raise NotWhole(f"{name} is not whole in the hub's cache: {', '.join(sorted(absent)[:3])} is missing")
    return folder.name


def _pipeline(name: str, folder: Path, variant: str | None) -> Path:
    """Fetch the files of a pipeline whose configurations are in a folder of the cache, which is named by the commit."""
    from huggingface_hub import HfApi

    # Be content with what is here, unless a variant is asked for, or it is not whole.
    index, here = _read(folder / INDEX), _files(folder)
    if variant is None and not _absent(folder, here, index):
        return folder

    # Choose by what the hub has, or without a network by what is here.
    try:
        names = HfApi().list_repo_files(name, revision=folder.name)
    except (OSError, ValueError):
        names = here
    chosen = pipeline_files(names, index, variant)
    if set(chosen) - set(here):
        folder = _fetched(name, folder.name, chosen)
    absent = [*(set(chosen) - set(_files(folder))), *_absent(folder, _files(folder), index)]
    if absent:
        raise NotWhole(
            f"{name} is not whole in the hub's cache, {', '.join(sorted(absent)[:3])} is missing: where there is a "
            "network, run python scripts/prefetch.py with the words of the run"
        )
    return folder


def _files(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]


def _absent(folder: Path, here: Sequence[str], index: Mapping[str, Any]) -> list[str]:
    """Name parts of a pipeline that have no files, networks without weights, and shards that are not beside a table."""
    absent: list[str] = []
    for part in parts(index):
        files = {name.removeprefix(f"{part}/") for name in here if name.startswith(f"{part}/")}
        weights = _one_variant([name for name in files if _WEIGHTS.fullmatch(name)], None)
        shards = {
            shard
            for table in weights
            if ".index." in table
            for shard in _read(folder / part / table).get("weight_map", {}).values()
        }
        absent += [f"{part}/{shard}" for shard in shards - files]
        if not files or ("config.json" in files and not weights):
            absent.append(f"{part}/")
    return absent


def pipeline_files(names: Iterable[str], index: Mapping[str, Any], variant: str | None) -> list[str]:
    """Choose the files of a pipeline from all that a repository holds.

    Args:
        index: the content of its `model_index.json`.
        variant: see `snapshot`.
    """
    names = sorted(names)
    chosen = [INDEX] if INDEX in names else []
    for part in parts(index):
        files = [name.removeprefix(f"{part}/") for name in names if name.startswith(f"{part}/")]
        weights = _one_variant([name for name in files if _WEIGHTS.fullmatch(name)], variant)
        others = [name for name in files if _OTHERS.fullmatch(name) and not _WEIGHTS.fullmatch(name)]
        chosen += [f"{part}/{name}" for name in (*others, *weights)]
    return chosen


def parts(index: Mapping[str, Any]) -> list[str]:
    """Return the parts of a pipeline that are loaded."""
    return [
        part
        for part, stated in index.items()
        if isinstance(stated, list) and len(stated) == 2 and stated[0] is not None and part not in NOT_LOADED
    ]


def _one_variant(names: Sequence[str], variant: str | None) -> list[str]:
    """Return the files of one variant in one form: safetensors if there are."""
    kinds: dict[tuple[str | None, str], list[str]] = {}
    for name in names:
        match = _WEIGHTS.fullmatch(name)
        assert match is not None, "these are names of weights"
        kinds.setdefault((match["first"] or match["second"] or match["third"], match["form"]), []).append(name)
    variants = [each for each, _ in kinds]
    kind = variant if variant in variants else None if None in variants else next(iter(variants), None)
    return next((kinds[kind, form] for form in ("safetensors", "bin") if (kind, form) in kinds), [])


def _fetched(name: str, revision: str | None, patterns: Sequence[str]) -> Path:
    """Download files that the cache lacks.

    Raises:
        NotWhole: the repository is gated.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(patterns)))
    except GatedRepoError as error:
        raise NotWhole(
            f"{name} is gated: agree to its terms on https://huggingface.co/{name}, make a token at "
            "https://huggingface.co/settings/tokens, and set HF_TOKEN to it, or run hf auth login"
        ) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        entries = None
    if not isinstance(entries, dict):
        raise NotWhole(f"{path} holds no JSON object; remove it, and fetch it again")
    return entries
