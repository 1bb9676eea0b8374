"""Explains keys and choices that do not exist: where they are written, and which may be meant."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast

from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationKeyError, MissingMandatoryValue

from its.config.declarations import OPEN, parameters
from its.config.searchpath import FILE, GROUPS, SEARCHPATH
from its.config.words import key_of

UNKNOWN = re.compile(r"(?:Could not override|Could not delete from config\.|but config group) '([^']+)'")
"""In Hydra's words for a key that a configuration has not."""

NEAR = 0.7
"""Least likeness, in [0, 1], of two names of which one may be meant by the other."""

Configuration = Mapping[str, Any]


def meant(name: str, names: Iterable[str]) -> str:
    """Return the question for the nearest of names, or nothing if none is near."""
    near = nearest(name, names)
    return f"; did you mean {near}?" if near else ""


def nearest(name: str, names: Iterable[str]) -> str:
    """Return the one of names that is most like this one, or nothing if none is near."""
    by_lower = {other.lower(): other for other in names}
    return "".join(by_lower[near] for near in get_close_matches(name.lower(), by_lower, 1, NEAR))


def explained(
    error: HydraException, words: Sequence[str], places: Sequence[Path], without: Callable[[str], Configuration]
) -> Exception:
    """Return an error of composing with what may be meant, as far as it is about a key or a choice.

    Args:
        places: folders of choices behind `conf/`.
        without: composes the words that do not give a key.
    """
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        stray = next((word for word in words if _is_stray(word)), None)
        if stray is None:
            return ValueError(_choice(error, places))
        return ValueError(_key(key_of(stray), without(key_of(stray))))
    match = UNKNOWN.search(str(error))
    if match:
        experiment = re.match(r"In '([^']+)'", str(error))
        where = f"defaults of {experiment[1]}.yaml: " if experiment else ""
        return ValueError(where + _key(match[1], without(match[1])))
    return ConfigCompositionException(str(error.__cause__)) if not str(error) and error.__cause__ else error


def resolved(config: DictConfig) -> dict[str, Any]:
    """Return a configuration as plain containers, with every interpolation resolved.

    Raises:
        ValueError: naming a value that is to be given, or an interpolation of a key that there is not.
    """
    try:
        return cast(dict[str, Any], OmegaConf.to_container(config, resolve=True, throw_on_missing=True))
    except MissingMandatoryValue as error:
        raise ValueError(f"{error.full_key} has no value (??? in its YAML); write {error.full_key}=...") from error
    except InterpolationKeyError as error:
        [name] = re.findall("key '([^']+)' not found", str(error))
        near = meant(name, keys_of(cast(dict[str, Any], OmegaConf.to_container(config))))
        raise ValueError(f"{error.full_key} is the value of {name}, and there is no {name}{near}") from error


def keys_of(plain: Configuration) -> set[str]:
    """Return the keys of a configuration, dotted, and the groups of choices."""
    task = {key: value for key, value in plain.items() if key != "hydra"}
    return {*_dotted(task), *GROUPS, "verifier@guide", "verifier@report", SEARCHPATH}


def _key(key: str, plain: Configuration) -> str:
    """Say which key may be meant by one that the configuration has not."""
    parent, _, name = key.rpartition(".")
    node = _at(plain, parent) if parent else None
    if not isinstance(node, Mapping):
        near = meant(key, keys_of(plain)) or "; python run.py --help says which there are"
        return f"{key} is no key of this configuration{near}"
    takes = parameters(str(node.get("_target_")))
    if name in takes:
        return f"{key} is not in the YAML, but {node['_target_']} takes it; write +{key}=..."

    # The same name below another key, or nearly the same below this one.
    elsewhere = [other for other in keys_of(plain) if other.endswith(f".{name}")]
    beside = sorted({f"{parent}.{sibling}" for sibling in {*node, *takes} - {"_target_", OPEN}})
    alike = [other for other in beside if get_close_matches(other.rpartition(".")[2], [name], 1, NEAR)]
    there = meant(key, elsewhere if len(elsewhere) == 1 else alike) or f"; there are {', '.join(beside)}"
    return f"{key} is no key of this configuration{there}"


def _choice(error: MissingConfigException, places: Sequence[Path]) -> str:
    """Say which choice may be meant by one that there is not, and where its file lies if it lies at another place."""
    group, _, choice = str(error.missing_cfg_file).rpartition("/")
    if group.startswith("experiment/"):
        group = group.removeprefix("experiment/")
        return f"an experiment's defaults replace a choice: write - override /{group}: {choice}"
    files = [
        file
        for place in places
        for file in sorted(place.rglob(f"{choice}.y*ml"))
        if file.parent.relative_to(place).as_posix() not in GROUPS - {group}
    ]
    if files:
        return f"there is no {group}={choice}: {files[0]} would have to be {places[0] / group / choice}.yaml"
    looked = ", ".join(["conf/", *map(str, places)])
    choices = ", ".join(sorted(error.options or ()))
    near = (
        meant(choice, error.options or ()) or f"; {group} has {choices}; {SEARCHPATH}=[{FILE}/path/to/conf] adds yours"
    )
    return f"there is no {group}={choice} in {looked}{near}"


def _is_stray(word: str) -> bool:
    """Whether a word gives Hydra's folders of choices under another name."""
    key = key_of(word)
    return key != SEARCHPATH and bool(get_close_matches(key, [SEARCHPATH, "searchpath"], 1, 0.8))


def _dotted(node: Configuration, prefix: str = "") -> Iterator[str]:
    for key, value in node.items():
        yield f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _dotted(value, f"{prefix}{key}.")


def _at(plain: Any, path: str) -> Any:
    for key in path.split(".") if path else ():
        plain = plain.get(key) if isinstance(plain, Mapping) else None
    return plain
