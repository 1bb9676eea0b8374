"""Compose a configuration, build the run, make it: `python run.py search=random budget=nfe_800`."""

import sys
from pathlib import Path

from its.process.leave import leave_on_signals
from its.process.streams import keep_streams

if __name__ == "__main__":  # before what takes long to import
    leave_on_signals()
    keep_streams()

import hydra
from omegaconf import DictConfig

CONF = Path(__file__).parent / "conf"
LAUNCHER = ("hydra/launcher=", "hydra.launcher.")


@hydra.main(version_base=None, config_path=str(CONF), config_name="config")
def main(config: DictConfig) -> dict:
    """Make one job; return a status and never raise, so that a sweep goes on."""
    from its.run.job import run_job

    return run_job(config)


if __name__ == "__main__":
    if {"--help", "-h"} & set(sys.argv):
        from its.config.help import text

        print(text(CONF))
        sys.exit()
    from its.config.guard import check_command_line

    sys.argv[1:] = sorted(sys.argv[1:], key=lambda argument: not argument.startswith("-"))
    try:
        check_command_line(sys.argv[1:])
    except ValueError as error:
        sys.exit(f"error: {error}")
    if "plan=true" in sys.argv:
        sys.argv = [word for word in sys.argv if not word.startswith(LAUNCHER)] + ["hydra/launcher=basic"]
    elif any(word.startswith(LAUNCHER) for word in sys.argv):
        sys.argv.insert(1, "-m")
    main()
