"""The process that talks to W&B: `python -m its.tracker.child '<settings>'` reads from lines of JSON what to follow.

It follows a run's files, so that it may start late, die and start again: the throughput comes from the timing file, the
curve from the curve's table. Only the files decide a row's step, so that W&B passes over what it has already.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import queue
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from its.budget import CAP_HEADERS, OF_JUDGES, cap_of
from its.disk.run_folder import RunFolder

POLL_S = 2.0
PROBE_BYTES = 65536
SPENT = ("nfe", "nfe_backward", "verifier_calls", "decoder_calls", "decoder_backward", "flops", *OF_JUDGES)


class Follower:
    """A follower of one run at a time, which logs its files to W&B.

    Args:
        settings: `project`, `mode` and `timeout`.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings
        self._run: Any = None
        self._files: RunFolder | None = None
        self._notes = self._images = self._nfe = 0
        self._seconds = 0.0

    def handle(self, message: Mapping[str, Any]) -> dict[str, str]:
        """Do what a message says; return the answer to the parent."""
        if message["kind"] == "run":
            self._open(message, "run")
            self._files = RunFolder(Path(message["folder"]))
            self._notes = self._images = self._nfe = 0
            self._seconds = 0.0
            self._run.define_metric("throughput/*", step_metric="throughput/images")
        elif message["kind"] == "sweep":
            from its.tracker.chart import log_comparison

            self._open(message, "sweep")
            self._files = None
            log_comparison(self._run, Path(message["folder"]))
            return self._close("finished")
        elif self._run is not None:
            return self._close(message["status"])
        return {}

    def poll(self) -> None:
        """Log the shards that the timing file has got since: images/s and NFE/s of each."""
        if self._run is None or self._files is None:
            return
        notes = self._files.store.notes()
        for note in notes[self._notes :]:
            self._shard(note)
        self._notes = len(notes)

    def abandon(self) -> None:
        """Forget the run that failed."""
        self._run = None

    def _open(self, message: Mapping[str, Any], kind: str) -> None:
        import wandb

        # W&B's own extras are off: they would take time, network or code.
        Path(message["dir"]).mkdir(parents=True, exist_ok=True)
        self._run = wandb.init(
            project=self._settings["project"],
            mode=self._settings["mode"],
            dir=message["dir"],
            id=message["id"],
            name=message["name"],
            group=message["group"],
            tags=message["tags"],
            config=message["config"],
            job_type=kind,
            resume="allow",
            settings=wandb.Settings(
                silent=True,
                console="off",
                x_disable_stats=True,
                disable_git=True,
                save_code=False,
                disable_job_creation=True,
                init_timeout=self._settings["timeout"],
            ),
        )

    def _shard(self, note: Mapping[str, Any]) -> None:
        if "images" not in note or not note.get("seconds"):
            return
        self._images += note["images"]
        self._nfe += note.get("nfe", 0)
        self._seconds += note["seconds"]
        self._run.log(
            {
                "throughput/images": self._images,
                "throughput/nfe": self._nfe,
                "throughput/seconds": self._seconds,
                "throughput/images_per_second": note["images"] / note["seconds"],
                "throughput/nfe_per_second": note.get("nfe", 0) / note["seconds"],
            },
            step=self._images,
        )

    def _close(self, status: str) -> dict[str, str]:
        self.poll()
        if self._files is not None and status == "finished" and self._files.curve.exists():
            self._curve(self._files)
        run, self._run = self._run, None
        folder = Path(run.settings.sync_dir)
        run.finish(exit_code=0 if status == "finished" else 1)
        require_space(folder)
        return {"dir": str(folder.parent)}

    def _curve(self, files: RunFolder) -> None:
        """Log the rows of the curve, each with its samples, and the ledger of the last cap as the run's summary."""
        import wandb

        # Read the curve, and let NFE be the axis of all its columns.
        with files.curve.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        for column in rows[0]:
            self._run.define_metric(column, step_metric="nfe")
        self._run.define_metric("samples", step_metric="nfe")

        # Log it, and what was spent in all.
        for k, row in enumerate(rows, start=1):
            entry: dict[str, Any] = {column: number(text) for column, text in row.items() if text}
            cap = cap_of(row)
            grid = files.samples(cap.value)
            if grid.exists():
                entry["samples"] = wandb.Image(
                    str(grid), caption=f"{CAP_HEADERS[cap.currency]} {cap.value or 'natural'}"
                )
            self._run.log(entry, step=self._images + k)
        last = rows[-1]
        self._run.summary.update(
            {f"ledger/{column}": int(last["images"]) * float(last[column]) for column in SPENT if column in last}
        )


def number(text: str) -> float | int:
    """Return a cell of a CSV as a number, to the last digit."""
    return int(text) if text.lstrip("-").isdigit() else float(text)


def require_space(folder: Path) -> None:
    """See that the disk still takes something: W&B's service drops what does not fit without a word.

    Raises:
        OSError: it does not, or W&B's file is empty.
    """
    probe = folder / "its.probe"
    try:
        probe.write_bytes(bytes(PROBE_BYTES))
    finally:
        probe.unlink(missing_ok=True)
    if not any(path.stat().st_size for path in folder.glob("run-*.wandb")):
        raise OSError(f"no W&B file in {folder} holds anything")


def main() -> None:
    """Follow until the pipe closes; then end within `timeout`, whatever hangs."""
    # Keep the way to the parent free of what libraries print.
    settings = json.loads(sys.argv[1])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    # Read lines in a thread; once the pipe is closed, end for good after the timeout.
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            lines.put(line)
        last = threading.Timer(settings["timeout"] + 5, os._exit, (1,))
        last.daemon = True
        last.start()
        lines.put("")

    threading.Thread(target=read, daemon=True).start()

    # Do what each line says; look at the run's files in between.
    follower = Follower(settings)
    while True:
        line: str | None = None
        answer: dict[str, str] = {}
        with contextlib.suppress(queue.Empty):
            line = lines.get(timeout=POLL_S)
        try:
            if line is None:
                follower.poll()
            else:
                answer = follower.handle(json.loads(line or '{"kind": "end", "status": "interrupted"}'))
        except Exception as error:
            answer = {"failed": f"{type(error).__name__}: {error}"}
            follower.abandon()
        if answer:
            print(json.dumps(answer), file=answers, flush=True)
        if line == "":
            return


if __name__ == "__main__":
    main()
