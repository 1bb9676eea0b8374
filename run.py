"""Compose a configuration, build the run, make it: `python run.py search=random budget=nfe_800`."""

import sys

from its.process.leave import leave_on_signals
from its.process.streams import keep_streams

if __name__ == "__main__":  # before what takes long to import
    leave_on_signals()
    keep_streams()

from omegaconf import DictConfig

from its.process.command import command


def job(config: DictConfig) -> dict:
    """Make one job; return a status and never raise, so that a sweep goes on."""
    from its.run.job import run_job

    return run_job(config)


@command
def main() -> None:
    if {"--help", "-h"} & set(sys.argv):
        from its.config.composed import GuardedLoader
        from its.config.help import text
        from its.config.searchpath import CONF

        print(text(CONF, GuardedLoader([word for word in sys.argv[1:] if not word.startswith("-")]).folders))
        return
    from its.config.guard import run

    run(sys.argv[1:], job)


if __name__ == "__main__":
    main()
