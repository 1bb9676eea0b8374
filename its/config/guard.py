"""Hydra's program behind the guard: what `python run.py` does with its arguments.

Options are Hydra's by their full names, less those that swap the configuration; every configuration that Hydra acts by
comes from `GuardedLoader`.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import NoReturn

from hydra._internal.hydra import Hydra
from hydra._internal.utils import get_args_parser
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode, TaskFunction

from its.config.composed import NAME, PROGRAM, GuardedLoader, composed_sweep, words_of_sweep

LAUNCHER = ("hydra/launcher=", "hydra.launcher.")
REFUSED = ("config_path", "config_name", "config_dir", "experimental_rerun")
"""Options of Hydra that swap the configuration."""


def run(arguments: Sequence[str], task: TaskFunction) -> None:
    """Do what the arguments say: run jobs, or show a configuration.

    Raises:
        ValueError: an argument, or the configuration that they compose, breaks a rule.
        HydraException: they compose none.
    """
    # Read the arguments.
    parser = _parser()
    options = _options(parser, arguments)
    words = options.overrides = _with_launcher(options)
    loader = GuardedLoader(words)
    hydra = Hydra(PROGRAM, loader)
    GlobalHydra.instance().initialize(hydra)

    # Do what they say.
    try:
        if options.cfg:
            hydra.show_cfg(NAME, words, options.cfg, options.package, options.resolve)
        elif options.info:
            hydra.show_info(options.info, NAME, words)
        elif options.hydra_help:
            hydra.hydra_help(NAME, parser, options)
        elif options.shell_completion:
            hydra.shell_completion(NAME, words)
        elif _is_sweep(loader, options):
            words.append("hydra.mode=MULTIRUN")
            words_of_sweep(loader, words)
            hydra.multirun(NAME, task, words)
        else:
            hydra.run(NAME, task, words)
    finally:
        GlobalHydra.instance().clear()


def check_command_line(arguments: Sequence[str]) -> None:
    """Refuse arguments, or a configuration of any job that they compose, that breaks a rule.

    Raises:
        ValueError, HydraException: see `run`.
    """
    composed_sweep(_options(_parser(), arguments).overrides)


class _Parser(ArgumentParser):
    """Hydra's options, each by its full name."""

    def error(self, message: str) -> NoReturn:
        word = message.removeprefix("unrecognized arguments: ").lstrip("-")
        remedy = f"write {word}" if "=" in word and "--" in message else "python run.py --help says what there is"
        raise ValueError(f"{message}; {remedy}")


def _parser() -> ArgumentParser:
    return _Parser(parents=[get_args_parser()], add_help=False, allow_abbrev=False)


def _options(parser: ArgumentParser, arguments: Sequence[str]) -> Namespace:
    """Read arguments, options before, between and after words.

    Raises:
        ValueError: there is no such option, or it swaps the configuration.
    """
    options = parser.parse_intermixed_args(list(arguments))
    for name in REFUSED:
        if getattr(options, name) is not None:
            raise ValueError(
                f"--{name.replace('_', '-')} is not supported; add a folder of your own with "
                "hydra.searchpath=[file://...]"
            )
    return options


def _with_launcher(options: Namespace) -> list[str]:
    """Return the words; to name a launcher is to ask for a sweep."""
    options.multirun |= any(word.startswith(LAUNCHER) for word in options.overrides)
    return list(options.overrides)


def _is_sweep(loader: GuardedLoader, options: Namespace) -> bool:
    """Whether the arguments, or else the configuration, ask for a sweep."""
    if options.multirun:
        return True
    config = loader.load_configuration(NAME, options.overrides, RunMode.MULTIRUN, validate_sweep_overrides=False)
    return config.hydra.mode == RunMode.MULTIRUN
