"""Composing: from the words of a command line to a configuration, by the one loader that lets none out unchecked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy, deepcopy
from functools import cache, partial
from typing import Any, NamedTuple, cast

from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.utils import create_config_search_path
from hydra.conf import HydraConf
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobRuntime, setup_globals
from hydra.errors import HydraException
from hydra.plugins.config_source import ConfigResult
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from yaml import MarkedYAMLError

from its.config import caps, plugins, rules, searchpath
from its.config.instantiate import packages_of
from its.config.nodes import check_nodes
from its.config.searchpath import CONF
from its.config.secrets import check_secrets
from its.config.unknown import explained
from its.config.words import check_grammar, in_full, key_of, listed, with_whole_nodes
from its.config.written import line_of, unreadable

NAME, PROGRAM = "config", "run"
"""Of the file that everything is composed from, and of the program that asks for it."""


class Composed(NamedTuple):
    """One job's configuration.

    Attributes:
        config: without Hydra's own node.
        choices: the YAML chosen in each group.
        overrides: the words that compose it again: those that were given, but for `out_dir`, which decides nothing, and
            for settings of Hydra other than where it finds choices.
    """

    config: DictConfig
    choices: dict[str, str]
    overrides: tuple[str, ...]


class _Files(ConfigRepository):
    """Hydra's repository of configurations, which reads each file once; Hydra copies it for each configuration."""

    def __init__(self, places: ConfigSearchPath) -> None:
        self._read: dict[tuple[str, ...], ConfigResult | None] = {}
        super().__init__(places)

    def __deepcopy__(self, memo: Any) -> _Files:
        other = copy(self)
        other.sources = list(self.sources)
        return other

    def load_config(self, config_path: str) -> ConfigResult | None:
        key = (config_path, *(source.path for source in self.sources))
        if key not in self._read:
            read = super().load_config(config_path)
            if read is not None and config_path.startswith(f"{caps.GROUP}/"):
                caps.with_all_kinds(read.config)
            self._read[key] = read
        return deepcopy(self._read[key])


class GuardedLoader(ConfigLoaderImpl):
    """Hydra's loader of configurations, each of which keeps the rules of `its.config.rules`.

    Whatever Hydra acts by it gets from here, whole: a run's configuration, a sweep's, and that of every job in it.
    """

    def __init__(self, words: Sequence[str]) -> None:
        """Load for a command line; only its own words, and no job's of a sweep, say whose code may run.

        Raises:
            ValueError: they list what cannot be.
        """
        version.setbase(None)
        setup_globals()
        JobRuntime().set("name", PROGRAM)
        rules.restrict_resolvers()
        super().__init__(create_config_search_path(str(CONF)))
        self.repository = _Files(self.config_search_path)
        self._plugins = listed(words, plugins.KEY)
        plugins.reach(self._plugins)
        self.folders = searchpath.folders(listed(words, searchpath.SEARCHPATH))
        self._loaded: dict[tuple[Any, ...], DictConfig] = {}

    def load_configuration(
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        from_shell: bool = True,
        validate_sweep_overrides: bool = True,
    ) -> DictConfig:
        """Compose `conf/config.yaml` with words, and check it; Hydra asks twice for a sweep, and for each job in it.

        Raises:
            ValueError: a word or an entry breaks a rule, or there is no such choice or key.
            HydraException: the words compose nothing.
        """
        key = (*overrides, run_mode, from_shell, validate_sweep_overrides)
        if key not in self._loaded:
            self._loaded[key] = self._load(overrides, run_mode, from_shell, validate_sweep_overrides)
        return deepcopy(self._loaded[key])

    def _load(self, overrides: list[str], run_mode: RunMode, *options: Any) -> DictConfig:
        # Read the words, and compose.
        rules.check_words(overrides)
        overrides = in_full(overrides)
        check_grammar(overrides, sweeps=run_mode is RunMode.MULTIRUN)
        overrides = with_whole_nodes(overrides)
        try:
            config = super().load_configuration(NAME, overrides, run_mode, *options)
        except MarkedYAMLError as error:
            raise ValueError(unreadable(error)) from error
        except HydraException as error:
            raise explained(error, overrides, self.folders, partial(self._without, overrides)) from error

        caps.settle(config, self._chosen(config, caps.GROUP), overrides)

        # Check all of it.
        plain = _plain(config)
        rules.check_configuration(plain, _usual()["hydra"], overrides, self._plugins)
        check_secrets(OmegaConf.select(config, "out_dir"), path="out_dir")  # Hydra makes this folder before a job runs
        self._check_choices(plain, overrides)
        return config

    def _chosen(self, config: DictConfig, group: str) -> Mapping[str, Any]:
        """Return the chosen node of a group as its YAML has it; nothing where none was chosen."""
        read = self.repository.load_config(f"{group}/{config.hydra.runtime.choices.get(group)}")
        return {} if read is None else cast(DictConfig, read.config)

    def _check_choices(self, plain: dict[str, Any], words: Sequence[str]) -> None:
        """Refuse choices that two folders have, and YAMLs that name no class, or parameters that a class has not."""
        choices = {group: str(choice) for group, choice in plain["hydra"]["runtime"]["choices"].items()}
        searchpath.check_once(choices, self.folders)
        task = {key: value for key, value in plain.items() if key != "hydra"}
        keys = {key_of(word) for word in words} - choices.keys()
        line = partial(line_of, choices=choices, places=self.folders)
        check_nodes(task, packages_of(self._plugins), list(_usual()), keys, line)

    def _without(self, words: Sequence[str], key: str) -> dict[str, Any]:
        """Return what words compose that do not give a key, or else what none compose."""
        others = [word for word in words if key_of(word) != key]
        try:
            return _plain(super().load_configuration(NAME, others, RunMode.MULTIRUN))
        except HydraException:
            return _usual()


@cache
def _usual() -> dict[str, Any]:
    """The configuration as `conf/config.yaml` alone makes it, unresolved."""
    loader = ConfigLoaderImpl(create_config_search_path(str(CONF)))
    return _plain(loader.load_configuration(NAME, [], RunMode.RUN))


def _plain(config: DictConfig) -> dict[str, Any]:
    return cast(dict[str, Any], OmegaConf.to_container(config, resolve=False))


def composed(words: Sequence[str]) -> Composed:
    """Compose one job from the words of run.py; no word may be a sweep or a flag.

    Raises:
        HydraException: there is no such choice or key. ValueError: a word or an entry breaks a rule.
    """
    return without_hydra(compose_whole(words))


def composed_sweep(words: Sequence[str], *more: str) -> list[Composed]:
    """Compose every job that the words of run.py stand for, the axes of an experiment file included.

    Args:
        more: words that are added to every job.
    """
    loader = GuardedLoader(words)
    jobs = words_of_sweep(loader, words)
    return [without_hydra(loader.load_configuration(NAME, [*job, *more], RunMode.RUN)) for job in jobs]


def words_of_sweep(loader: GuardedLoader, words: Sequence[str]) -> list[list[str]]:
    """Return the words of every job that words stand for.

    Raises:
        ValueError: there is none, or experiments are an axis, whose own axes Hydra would drop.
        HydraException: an axis has no discrete values.
    """
    # Read the axes as Hydra does, from the sweep's own configuration.
    whole = loader.load_configuration(NAME, list(words), RunMode.MULTIRUN)
    axes = (whole.hydra.sweeper.get("params") or {}).items()
    task = [*(f"{key}={value}" for key, value in axes), *whole.hydra.overrides.task]
    overrides = OverridesParser.create(config_loader=loader).parse_overrides(task)
    for override in overrides:
        if override.key_or_group == "experiment" and override.is_sweep_override():
            raise ValueError(f"{override.input_line} would drop each file's own axes; run one after the other")

    # Multiply them.
    settings = [word for word in whole.hydra.overrides.hydra if not word.startswith("hydra.mode=")]
    [jobs] = BasicSweeper.split_arguments(overrides, None)
    if not jobs:
        raise ValueError(f"no job is left of {' '.join(words)}: an axis has no value")
    return [[*settings, *job] for job in jobs]


def own_words(jobs: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return for each job of a sweep the words that not all jobs have: they tell it from the others."""
    common = set(jobs[0]).intersection(*jobs[1:]) if jobs else set()
    return [[word for word in words if word not in common] for words in jobs]


def compose_whole(words: Sequence[str]) -> DictConfig:
    """Compose with Hydra's own node below `hydra`."""
    return GuardedLoader(words).load_configuration(NAME, list(words), RunMode.RUN)


def without_hydra(config: DictConfig) -> Composed:
    """Take Hydra's own node out of a whole configuration."""
    keys = [str(key) for key in config if key != "hydra"]
    return of_job(OmegaConf.masked_copy(config, keys), config.hydra)


def of_job(config: DictConfig, hydra: HydraConf | DictConfig) -> Composed:
    """Put a job's configuration together with what Hydra's node says about it."""
    overrides = tuple(word for word in words_of_job(hydra) if not word.startswith("out_dir="))
    return Composed(config, {str(group): str(choice) for group, choice in hydra.runtime.choices.items()}, overrides)


def words_of_job(hydra: HydraConf | DictConfig) -> list[str]:
    """Return the words that run this one job: its own, and where Hydra finds choices."""
    return [
        *hydra.overrides.task,
        *(word for word in hydra.overrides.hydra if word.startswith("hydra.searchpath=")),
    ]
