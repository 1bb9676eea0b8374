"""One job of a sweep, and what is done when the last one is over."""

from __future__ import annotations

import json
import logging
import traceback
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

log = logging.getLogger(__name__)


def run_job(config: DictConfig) -> dict[str, Any]:
    """Build and run; return a status: `finished` or `failed`, with the reason and the folder."""
    hydra_config = HydraConfig.get()
    overrides = [entry for entry in hydra_config.overrides.task if not entry.startswith("out_dir=")]
    folder: Path | None = None
    try:
        from its.build import build

        experiment = build(config, dict(hydra_config.runtime.choices), overrides)
        folder = experiment.folder
        log.info("%s", folder)
        experiment.run()
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        if folder is not None:
            _record(folder, reason)
        log.error("%s", error if isinstance(error, ValueError) else traceback.format_exc())
        return {"status": "failed", "reason": reason, "folder": str(folder)}
    return {"status": "finished", "folder": str(folder)}


def _record(folder: Path, reason: str) -> None:
    from its.store import write_atomic

    entry = {"reason": reason, "traceback": traceback.format_exc()}
    write_atomic(folder / "failed.json", (json.dumps(entry, indent=1) + "\n").encode())


class Closing(Callback):
    """Hydra callback: the report after the last job, and the exit code."""

    def __init__(self) -> None:
        self._failed: list[str] = []

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Keep count of failures."""
        status = job_return.return_value if job_return.status.name == "COMPLETED" else None
        if not isinstance(status, dict) or status["status"] != "finished":
            self._failed.append(status["reason"] if isinstance(status, dict) else "the job ended without a status")

    def on_run_end(self, config: DictConfig, **kwargs: Any) -> None:
        """After a single run: its table."""
        self._close(config)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """After a sweep: the comparison of all runs of the experiment."""
        self._close(config)

    def _close(self, config: DictConfig) -> None:
        from its.report.report import make_report

        folder = Path(config.out_dir).expanduser().absolute() / config.name
        if folder.is_dir():
            make_report(folder)
        if self._failed:
            for reason in self._failed:
                log.error("failed: %s", reason)
            raise SystemExit(1)
