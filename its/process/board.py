"""The progress of runs that other processes make: a line for each on a terminal, occasional lines elsewhere."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from its.process.alive import processes
from its.process.progress import INTERVAL_S, in_words
from its.process.streams import display, harmless

log = logging.getLogger(__name__)

REFRESH_S = 1.0
"""Between two looks at runs that are shown on a terminal."""


@dataclass
class Watched:
    """A run that other processes make, as their signs of life show it.

    Attributes:
        name: that its line begins with; empty if no other run is shown.
        folder: of the run.
        works: of each process that was seen at work; one that is gone counts still.
        bar: its line on a terminal.
    """

    name: str
    folder: Path
    works: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    bar: Any = None

    def show(self) -> None:
        """Look at the run, and say how far it is."""
        at_work = [process for process in processes(self.folder) if process.life != "killed"]
        self.works |= {(process.host, process.pid): process.work for process in at_work}
        line = f"{self.name}: {in_words(self.works.values())}".removeprefix(": ")
        if self.bar is None:
            log.info("%s", line)
        else:
            self.bar.set_description_str(harmless(line))


class Board:
    """A display of how far the watched runs are, by a thread of its own; what is logged stands above their lines."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._runs: list[Watched] = []
        self._changing = threading.Lock()
        self._over = threading.Event()
        self._stack = ExitStack()

    def __enter__(self) -> Board:
        if self._terminal:
            from tqdm.contrib.logging import logging_redirect_tqdm

            self._stack.enter_context(logging_redirect_tqdm())
        thread = threading.Thread(target=self._show, daemon=True, name="board")
        thread.start()
        self._stack.callback(thread.join)
        self._stack.callback(self._over.set)
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    @contextmanager
    def watching(self, name: str, folder: Path) -> Iterator[None]:
        """Show a run while the block lasts."""
        run = Watched(name, folder)
        with self._changing:
            self._runs.append(run)
            if self._terminal:
                from tqdm import tqdm

                form = {"bar_format": "{desc}{bar:1}", "leave": False, "dynamic_ncols": True}
                run.bar = tqdm(file=display(), **form)
        try:
            yield
        finally:
            with self._changing:
                self._runs.remove(run)
                if run.bar is not None:
                    run.bar.close()

    def _show(self) -> None:
        while not self._over.wait(REFRESH_S if self._terminal else INTERVAL_S):
            with self._changing:
                for run in self._runs:
                    run.show()
