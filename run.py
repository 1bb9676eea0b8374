"""Compose a configuration, build the experiment, run it: `python run.py search=random budget=nfe_800`."""

import hydra
from omegaconf import DictConfig


@hydra.main(version_base=None, config_path="conf", config_name="config")
def main(config: DictConfig) -> dict:
    """One job; it returns a status and never raises, so that a sweep goes on."""
    from its.job import run_job

    return run_job(config)


if __name__ == "__main__":
    main()
