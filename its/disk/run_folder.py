"""A run's folder: the name of each of its files, which problems each holds, and what the small ones say.

No other module spells these names out, but for what lines are appended to (`its.disk.store`) and `its.disk.verdicts`.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from its.disk.array_names import FEATURES, SETS, SHARDS, shard_name
from its.disk.files import is_plain, set_aside
from its.disk.kept import serves
from its.disk.records import FILES, digests_of, is_table, read_config, read_record, sha256_of, write_record
from its.disk.store import MANIFEST, TIMING, Store

CONFIG, SUMMARY, FAILURE, SCHEDULE, SHARE = "config.yaml", "metrics.json", "failed.json", "schedule.json", "share.json"

EDITED = "edited_sources"
"""Column of a curve whose images come, in part at least, from other sources than the one here: from how many."""

State = Literal["absent", "begun", "failed", "finished"]


@dataclass(frozen=True)
class RunFolder:
    """The paths of a run's files, and readers of the small ones.

    Attributes:
        path: of the folder, which need not exist.
    """

    path: Path
    _written: dict[str, str] = field(default_factory=dict, init=False, repr=False, compare=False)
    _began: float = field(default_factory=time.time, init=False, repr=False, compare=False)

    @property
    def config(self) -> Path:
        """The resolved configuration that decides the images, with the shard size."""
        return self.path / CONFIG

    @property
    def summary(self) -> Path:
        """Labels, command and curve; written last, so that its presence means that the run is finished."""
        return self.path / SUMMARY

    @property
    def failure(self) -> Path:
        """Reason and traceback of the latest attempt, if that failed."""
        return self.path / FAILURE

    @property
    def schedule(self) -> Path:
        """The outcome of a schedule search; written last, so that its presence means that the search is finished."""
        return self.path / SCHEDULE

    @property
    def share(self) -> Path:
        """The run's own command and number of images, where only a share of its shards was made."""
        return self.path / SHARE

    @property
    def timing(self) -> Path:
        """A line of seconds, device and versions for each shard that was made."""
        return self.path / TIMING

    @property
    def manifest(self) -> Path:
        """A line with the sha256 of each file of arrays."""
        return self.path / MANIFEST

    @property
    def sources(self) -> list[Path]:
        """Lists of the files of each source that made or measured something here."""
        return sorted((self.path / "sources").glob("*.txt"))

    def source(self, name: str) -> Path:
        """Return the path of the list of a source's files; the source's name is the list's sha256, cut."""
        return self.path / "sources" / f"{name}.txt"

    @property
    def curve(self) -> Path:
        """The curve as a table, a row for each cap."""
        return self.path / "curve.csv"

    @property
    def curve_figure(self) -> Path:
        """The curve as a picture."""
        return self.path / "curve.png"

    def samples(self, cap: object) -> Path:
        """Return the path of the grid of the first images at a cap; None or an empty text stands for no cap."""
        return self.path / f"samples_{cap or 'natural'}.png"

    @property
    def per_image(self) -> Path:
        """Effects of each image on the metrics, `[n, caps]` for each: paired differences are computed from them."""
        return self.path / "per_image.safetensors"

    @property
    def problems(self) -> Path:
        """A line of JSON for each problem of a run with prompts: its prompt and, where there is one, its category."""
        return self.path / "problems.jsonl"

    def shard(self, first: int) -> Path:
        """Return the path of the shard whose first problem is `first`."""
        return self.path / shard_name(first)

    @property
    def shard_names(self) -> list[str]:
        """Names of the shards that are on disk, in the order of their problems."""
        return sorted(f"{SHARDS}{path.name}" for path in (self.path / SHARDS).glob("*.safetensors"))

    @property
    def missing_shards(self) -> list[str]:
        """Names of the shards that the run has made and that are not on disk."""
        return [name for name in self.store.missing() if name.startswith(SHARDS)]

    @property
    def set_names(self) -> list[str]:
        """Names of the sets that a schedule search has scored."""
        return sorted(str(path.relative_to(self.path)) for path in (self.path / SETS).glob("*/*.safetensors"))

    def features_of(self, name: str) -> list[Path]:
        """Return the paths of all features, of whatever extractor, of a shard's images or of its candidates."""
        folder, _, file = name.rpartition("/")
        return sorted((self.path / f"{folder}/".replace(SHARDS, FEATURES)).glob(f"*/{file}"))

    @property
    def rescored(self) -> Path:
        """The folder below which curves of other verifiers lie."""
        return self.path / "rescored"

    @property
    def rescored_summary(self) -> Path:
        """The meaning of a rescored curve, and its rows; written last."""
        return self.path / "rescored.json"

    @property
    def renders(self) -> Path:
        """The folder below which renderings by other samplers lie."""
        return self.path / "renders"

    @cached_property
    def store(self) -> Store:
        """The folder's files of arrays."""
        return Store(self.path)

    @property
    def state(self) -> State:
        """The state that the files tell of."""
        if os.path.lexists(self.summary) or os.path.lexists(self.schedule):
            return "finished"
        if os.path.lexists(self.failure):
            return "failed"
        return "begun" if os.path.lexists(self.config) else "absent"

    def read_config(self) -> dict[str, Any]:
        """Return the configuration; see `its.disk.records.read_config`."""
        return read_config(self.config)

    def read_summary(self) -> dict[str, Any]:
        """Return the summary of a finished run.

        Raises:
            FileNotFoundError: the run is not finished. ValueError: the file is damaged.
        """
        return read_record(self.summary)

    def read_share(self) -> dict[str, Any]:
        """Return whose part a share is: the run's `command` and `images`.

        Raises:
            FileNotFoundError: no share was made here. ValueError: the file is damaged.
        """
        return read_record(self.share)

    def read_schedule(self) -> dict[str, Any]:
        """Return the outcome of a finished schedule search.

        Raises:
            FileNotFoundError: the search is not finished. ValueError: the file is damaged.
        """
        return read_record(self.schedule)

    def read_failure(self) -> str:
        """Return the reason of the latest failure, in the words of the process that failed."""
        try:
            return str(read_record(self.failure)["reason"])
        except FileNotFoundError:
            return "unknown"
        except (KeyError, ValueError):
            return f"{FAILURE} is damaged and does not say why"

    def write(self, path: Path, content: bytes) -> None:
        """Write one of the small files, and remember its sha256 for the record that makes the run finished.

        What another process has written since this one began is that of a worker beside it, and no damage.
        """
        name = path.relative_to(self.path).as_posix()
        recent = is_plain(path) and path.stat().st_mtime >= self._began
        self.store.put(name, content, None if recent else digests_of(name, self.records))
        self._written[name] = sha256(content).hexdigest()

    def write_failure(self, reason: str, traceback: str) -> None:
        """Record why an attempt failed."""
        write_record(self.failure, {"reason": reason, "traceback": traceback})

    def write_share(self, command: str, images: int) -> None:
        """Record whose part a share is that is now whole, and drop an earlier failure."""
        self.finish(self.share, {"command": command, "images": images})

    def write_summary(self, summary: dict[str, Any]) -> None:
        """Write the summary, which makes the run finished, and drop an earlier failure."""
        self.finish(self.summary, summary)

    def finish(self, path: Path, record: dict[str, Any]) -> None:
        """Write the record that makes the run finished, with the sha256 of its small files; drop an earlier failure."""
        beside = {file.name: sha256_of(file) for file in (self.config, self.timing)}
        files = {name: digest for name, digest in beside.items() if digest} | self._written
        write_record(path, {**record, FILES: files})
        if is_plain(self.failure):
            self.failure.unlink(missing_ok=True)
        elif os.path.lexists(self.failure):
            set_aside(self.failure, f"{self.failure} is no file")

    def is_whole(self, record: dict[str, Any]) -> bool:
        """Return whether everything is there: small files by their sha256, files of arrays by their lines and sizes.

        Args:
            record: that made the run finished; one of an earlier version vouches for a measured curve alone.
        """
        if FILES not in record:
            return (not self.shard_names or is_table(self.curve, record.get("curve"))) and self.store.is_complete()
        return (
            isinstance(record[FILES], dict)
            and all(sha256_of(self.path / name) == digest for name, digest in record[FILES].items())
            and self.store.is_complete()
        )

    def read_curve(
        self,
        *,
        images: int,
        candidates: bool,
        storage: str = "none",
        metrics_fingerprint: str | None = None,
        metrics_config_hash: str | None = None,
    ) -> list[dict[str, Any]] | None:
        """Return the rows of a run that is finished as asked; None if it is not.

        Args:
            images: that the curve is over.
            candidates: whether every candidate must be stored; a run that stores them serves both.
            storage: which images must be stored, as `store.images` says; a run that keeps more serves.
            metrics_fingerprint: of what decides the metrics, weights and references included.
            metrics_config_hash: of what the configuration says about metrics, which needs no file to be read.
        """
        try:
            summary = self.read_summary()
        except (FileNotFoundError, ValueError):
            return None
        same = (
            summary.get("images") == images
            and summary.get("pool", False) >= candidates
            and serves(summary.get("kept", "all"), storage)
            and metrics_fingerprint in (None, summary.get("measured"))
            and metrics_config_hash in (None, summary.get("asked"))
        )
        return summary.get("curve") if same and self.is_whole(summary) else None

    @property
    def records(self) -> tuple[Path, ...]:
        """The files whose presence means that everything else is there."""
        return (self.summary, self.schedule, self.rescored_summary)

    def agrees(self, path: Path) -> bool:
        """Return whether a small file is what the present record says, if that says anything of it."""
        digests = digests_of(path.relative_to(self.path).as_posix(), self.records)
        return digests is None or sha256_of(path) in digests
