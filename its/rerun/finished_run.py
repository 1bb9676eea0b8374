"""A finished run as something to start from: its configuration, its files, and the starting points of its images."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from its.config.hydra_node import COMMAND_LINE, first_part
from its.config.identity import of_before
from its.config.names import current_word, recorded
from its.config.oracle_run import ORACLE
from its.disk.array_names import candidates_name, shard_name, shard_ranges
from its.disk.run_folder import RunFolder
from its.disk.store import Arrays
from its.report.runs import overrides_of, read_run
from its.run.codes import NO_START, decode_start

MEASURING = ("dataset.", "metric.", "experiment.")
"""Beginnings of where the words go that may say what measures a run."""


OF_MEMBER = re.compile(r"reward_(\w+)_mean")
"""A column of the rewards by one member of a relative verifier."""

NO_NOISE = np.zeros((0, 1, 1, 1), np.float32)
"""Moved starting points of a shard that has none."""


@dataclass(frozen=True)
class FinishedRun:
    """A finished run.

    Attributes:
        files: its folder.
        config: what decided its images, and the shard size.
        summary: its labels, command, number of images and curve.
    """

    files: RunFolder
    config: dict[str, Any]
    summary: dict[str, Any]

    @classmethod
    def of(cls, folder: Path) -> FinishedRun:
        """Read a run.

        Raises:
            ValueError: it is not there, not finished or damaged.
        """
        files = RunFolder(folder)
        for path in (files.config, files.summary):
            if not os.path.lexists(path):
                raise ValueError(
                    f"{folder} has no {path.name}, so it is no finished run; give the folder that ends in "
                    "seed=<n>-<hash>, and finish it first by its own command"
                )
        config = files.read_config()
        read_run(files, folder)
        try:
            return cls(files, of_before(config), files.read_summary())
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{files.config} is damaged ({type(error).__name__}: {error}); restore it") from error

    @property
    def folder(self) -> Path:
        """Its path."""
        return self.files.path

    @property
    def selector(self) -> str:
        """The verifier that its search asked: where an oracle chose, its pool's."""
        if not self.has_oracle:
            return str(self.summary["verifier"])
        return recorded(self.config["verifier"]["pool"]["_target_"]).rpartition("/")[2]

    @property
    def has_oracle(self) -> bool:
        """True if an oracle chose its images as a set."""
        return recorded(str(self.config["verifier"].get("_target_"))) == ORACLE

    @property
    def members(self) -> tuple[str, ...]:
        """The members of its verifier, in the order of their rewards, if that is relative."""
        columns = (OF_MEMBER.fullmatch(key) for key in self.summary["curve"][0])
        return tuple(column[1] for column in columns if column)

    @property
    def words(self) -> list[str]:
        """The words of the command that made it, by today's names, without `images`.

        `plugins` and `hydra` are not among them: whose code runs is said on each command line.
        """
        words = map(current_word, overrides_of(self.summary["command"]))
        return [word for word in words if key_of(word) != "images" and first_part(key_of(word)) not in COMMAND_LINE]

    def measuring_words(self, others: Sequence[str]) -> list[str]:
        """Return the words of its command that say what measures it, as far as others do not say it anew.

        A group that is chosen anew takes the former choice's values along.
        """
        anew = tuple(_place(word) for word in others)
        words = [word for word in self.words if _place(word).startswith(MEASURING)]
        return [word for word in words if not _place(word).startswith(anew)]

    @property
    def ranges(self) -> list[range]:
        """Problem indices of each of its shards."""
        return shard_ranges(self.summary["images"], self.config["shard"])

    def shard(self, indices: range) -> Arrays:
        """Return the arrays of a shard.

        Raises:
            FileNotFoundError: the file is gone. DamagedFile: it was changed.
        """
        return _read(self.files, shard_name(indices.start))

    def candidates(self, indices: range) -> Arrays:
        """Return the candidates of a shard's problems.

        Raises:
            FileNotFoundError: the file is gone. DamagedFile: it was changed.
        """
        return _read(self.files, candidates_name(indices.start))

    def shards(self) -> Iterator[tuple[range, Arrays]]:
        """Yield the problem indices and arrays of each shard; see `shard`."""
        for indices in self.ranges:
            yield indices, self.shard(indices)

    def require_places(self, words: Sequence[str]) -> None:
        """Refuse words that do not say again whose code runs and where choices lie, where the run's command said so.

        Raises:
            ValueError: naming the words to add.
        """
        keys = {key_of(word) for word in words}
        own_words = overrides_of(self.summary["command"])
        lacking = [word for word in own_words if first_part(key_of(word)) in COMMAND_LINE and key_of(word) not in keys]
        if lacking:
            raise ValueError(
                f"{self.folder} was made with packages or choices from outside, which each command line names anew; if "
                f"they are yours, add {shlex.join(lacking)}"
            )

    def require_candidates(self) -> None:
        """Refuse a run that has not stored its candidates.

        Raises:
            ValueError: naming the first file that is missing, and the command that makes it.
        """
        names = [candidates_name(indices.start) for indices in self.ranges]
        absent = [name for name in names if not (self.folder / name).exists()]
        if absent:
            words = [
                *(["store.images=all"] if self.summary.get("kept", "all") != "all" else []),
                "keep_candidates=true",
            ]
            raise ValueError(
                f"{self.folder} has no {absent[0]}; store its candidates, which leaves the images as they are: "
                f"{self.command(*words)}"
            )

    def command(self, *words: str) -> str:
        """Return the run's command with other words, in place of those of the same keys."""
        keys = {key_of(word) for word in words}
        script, file, *rest = shlex.split(self.summary["command"])
        return shlex.join([script, file, *(word for word in rest if key_of(word) not in keys), *words])

    def require_starts(self) -> None:
        """Refuse a run whose images are not what their starting points come to.

        Raises:
            ValueError: naming the first such image.
        """
        if self.has_oracle:
            raise ValueError(
                f"the images of {self.folder} were chosen by an oracle of sets, {self.summary['verifier']}, which "
                "keeps no starting points; render the winners of a verifier"
            )
        for indices, arrays in self.shards():
            if "start" not in arrays:
                raise ValueError(
                    f"{self.folder} was made by a version that did not store starting points; run it "
                    "again under another name"
                )
            if "noise" not in arrays and (arrays["start"] < NO_START).any():
                raise ValueError(
                    f"{self.folder} keeps no images, and so no starting points that its search moved; make them again, "
                    f"which costs what the run has cost: {self.command('store.images=all')}"
                )
            rows, caps = np.nonzero(arrays["start"][: len(indices)] == NO_START)
            if len(rows):
                raise ValueError(
                    f"image {indices[rows[0]]} at cap {self.summary['caps'][caps[0]]} of "
                    f"search={self.summary['search']} did not come straight from a starting point under "
                    "a deterministic sampler; render runs of none, random, zero_order, ses, snes, trs or reno that "
                    "were made with sampler.eta=0, euler, heun or dpmpp_2m"
                )

    def starts(self, index: int) -> tuple[list[int], list[int | np.ndarray]]:
        """Return where problem `index`'s images began.

        Returns:
            by cap, which of the different starting points it was; and these: the number of one in the problem's
            sequence, or a moved one's row `[*shape]`.
        """
        size = self.config["shard"]
        arrays = _recent_shard(self.files, index // size * size)
        codes = arrays["start"][index % size].tolist()
        different = list(dict.fromkeys(codes))
        starts = [decode_start(code, arrays.get("noise", NO_NOISE)) for code in different]
        return [different.index(code) for code in codes], [start for start in starts if start is not None]


def key_of(word: str) -> str:
    """Return the key of a word of run.py."""
    return word.lstrip("+~").partition("=")[0]


def _place(word: str) -> str:
    """Return where a word's value goes in a configuration, with a dot at its end."""
    return f"{key_of(word).replace('/', '.')}."


def _read(files: RunFolder, name: str) -> Arrays:
    arrays = files.store.read(name)
    if arrays is None:
        raise FileNotFoundError(f"{files.path / name} is gone; run the run's command again")
    return arrays


@lru_cache(maxsize=4)
def _recent_shard(files: RunFolder, first: int) -> Arrays:
    return _read(files, shard_name(first))
