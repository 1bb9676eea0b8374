"""The way in which every script is called and fails: one line on stderr, exit code 1, no traceback."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import NoReturn

from its.process.source_tree import ROOT
from its.process.streams import keep_streams

FOREIGN = ("hydra", "omegaconf", "yaml")
"""Packages whose errors say what is wrong with the words of a command, or a YAML."""


SPECIAL = frozenset('"$`\\!')
"""What a shell reads between double quotes."""


class Parser(argparse.ArgumentParser):
    """An argument parser that shows a script's docstring as it is written."""

    def __init__(self, page: str | None) -> None:
        super().__init__(description=page, formatter_class=argparse.RawDescriptionHelpFormatter)

    def error(self, message: str) -> NoReturn:
        """Refuse the arguments as any other value is refused."""
        raise ValueError(f"{message}; {self.prog} --help says what it takes")


def command(main: Callable[[], None]) -> Callable[[], None]:
    """Turn a user's error in a script's `main` into one line `error: ...` on stderr and exit code 1.

    Values that break a rule and files that cannot be read are a user's errors; any other is ours and has a traceback.
    """

    @wraps(main)
    def run() -> None:
        keep_streams()
        try:
            main()
        except KeyboardInterrupt:
            print(f"{signal.SIGINT.name}: leaving", file=sys.stderr)
            sys.exit(128 + signal.SIGINT)
        except Exception as error:
            if not is_users(error):
                raise
            sys.exit(f"error: {' '.join(str(error).split())}")

    return run


def typed(script: str, words: Sequence[str]) -> str:
    """Return the command by which a person runs a script of ours, in any shell; in this clone by its short name."""
    inside = Path.cwd().is_relative_to(ROOT)
    return joined(["python", os.path.relpath(ROOT / script) if inside else str(ROOT / script), *words])


def joined(words: Sequence[str]) -> str:
    """Return words as one line of shell, as a person would quote them: a prompt is "prompt='sketch, a cat'"."""
    return " ".join(f'"{word}"' if "'" in word and not set(word) & SPECIAL else shlex.quote(word) for word in words)


def is_users(error: Exception) -> bool:
    """Return whether an error is about what a user wrote or has, and not about this code."""
    return isinstance(error, ValueError | OSError) or type(error).__module__.partition(".")[0] in FOREIGN
