"""A window of a running engine: what host and device do in it, without making the device wait for the host."""

from __future__ import annotations

import itertools
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import torch

from its.engine import Engine
from its.engine.noise import normal
from its.engine.readback import Readback
from its.engine.stream import Stream
from its.model.denoiser import NetworkDenoiser
from its.search.search import Search
from its.types import Problem

ROOT = Path(__file__).resolve().parents[2]

WARM = 3
"""Calls of the network before the window opens."""

LOOKED_AT, LOOK_S = 8, 1.0
"""Calls of the network behind the window, and their seconds, in which operations that wait for the device are noted."""


class Watch:
    """Seconds below wrapped calls by name: of the host, and on a CUDA device between two events around each call.

    Attributes:
        host: seconds until a call returned, which on a CUDA device may be before the work is done.
        calls: their number.
    """

    def __init__(self, device: torch.device) -> None:
        self.cuda = device.type == "cuda"
        self.clear()

    def clear(self) -> None:
        """Forget what was counted."""
        self.host: dict[str, float] = defaultdict(float)
        self.calls: Counter[str] = Counter()
        self._events: dict[str, list[Any]] = defaultdict(list)

    def now(self) -> float:
        """Return the time at which all work that was given to the device is done."""
        if self.cuda:
            torch.cuda.synchronize()
        return time.perf_counter()

    def device(self, name: str) -> float:
        """Return the seconds between the events around calls, after `now`; the host's where there is no such device."""
        if not self.cuda:
            return self.host[name]
        return sum(start.elapsed_time(end) for start, end in self._events[name]) / 1000

    def wrap(self, name: str, call: Callable) -> Callable:
        """Return the call, timed."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            events = [torch.cuda.Event(enable_timing=True) for _ in range(2)] if self.cuda else []
            started = time.perf_counter()
            for event in events[:1]:
                event.record()
            result = call(*args, **kwargs)
            for event in events[1:]:
                event.record()
            self.host[name] += time.perf_counter() - started
            self.calls[name] += 1
            if events:
                self._events[name].append(events)
            return result

        return timed


class Over(Exception):
    """Raised to end a run that has been watched long enough."""


class Watched(Engine):
    """An engine whose counts can be read while it runs."""

    live: Stream

    def stream(self, *args: Any, **kwargs: Any) -> Stream:
        self.live = super().stream(*args, **kwargs)
        return self.live


class Window:
    """A part of an engine's run, which opens and closes at calls of the network.

    Args:
        engine: of a `NetworkDenoiser`.
        seconds: how long the window is open.
    """

    def __init__(self, engine: Watched, seconds: float) -> None:
        self._engine = engine
        self._seconds = seconds
        self._watch = Watch(engine.model.device)
        self._figures: dict[str, Any] = {}
        self._calls = self._calls_at_close = 0
        self._opened = self._closed = 0.0
        self._served = (0, 0)
        self._look = ExitStack()
        self._warned: list[warnings.WarningMessage] = []

    def measure(self, search: Search, caps: tuple[float, ...]) -> dict[str, Any]:
        """Run a search on problems without end, until the window is over.

        Returns:
            Figures, `NFE/image` among them, and under `waits` a counter of the lines of code that made the host wait
            for the device in a few batches behind the window.

        Raises:
            ValueError: an image failed.
        """
        spent: list[float] = []
        problems = (Problem(index, index % 1000) for index in itertools.count())
        with self._timed(), self._look:
            try:
                for result in self._engine.run(search, caps, problems):
                    if result.failure:
                        raise ValueError(result.failure)
                    spent.append(result.outcomes[-1].ledger["nfe"])
            except Over:
                pass
        waits = Counter(_place(warned) for warned in self._warned if "synchroniz" in str(warned.message))
        return {
            **self._figures,
            "NFE/image": sum(spent) / len(spent) if spent else caps[-1],
            "waits": waits,
            "syncs/batch": waits.total() / max(self._calls_behind, 1),
        }

    @property
    def _calls_behind(self) -> int:
        return self._calls - self._calls_at_close

    @contextmanager
    def _timed(self) -> Iterator[None]:
        """Time network and draws of the engine, and the host's waiting for what comes back."""
        model, collect = cast(NetworkDenoiser, self._engine.model), Readback.collect
        network, waiting = self._watch.wrap("network", model.network), self._watch.wrap("readbacks", collect)

        def called(*args: Any) -> Any:
            self._on_call()
            return network(*args)

        def collected(readback: Readback, *, wait: bool) -> Any:
            return (waiting if wait else collect)(readback, wait=wait)

        self._engine.noise = self._watch.wrap("draws", normal)
        with patch.object(model, "network", called), patch.object(Readback, "collect", collected):
            yield

    def _on_call(self) -> None:
        """Open or close the window where it is time, and end the run behind it."""
        self._calls += 1
        if self._calls == WARM + 1:
            self._opened = self._watch.now()
            self._watch.clear()
            self._served = self._engine.live.served["evaluate"]
        elif self._calls > WARM and not self._figures and time.perf_counter() - self._opened >= self._seconds:
            self._close()
        elif self._figures and (self._calls_behind == LOOKED_AT or time.perf_counter() - self._closed >= LOOK_S):
            raise Over

    def _close(self) -> None:
        """Count what was done in the window; on a CUDA device, begin to note what waits for it."""
        # Shares of the time, and the host's.
        watch, self._closed, self._calls_at_close = self._watch, self._watch.now(), self._calls
        seconds = self._closed - self._opened
        served = self._engine.live.served["evaluate"]
        rows, places = (now - before for now, before in zip(served, self._served, strict=True))
        elsewhere = ("network", "readbacks") if watch.cuda else ("network", "draws")
        self._figures = {
            "NFE/s": rows / seconds,
            "occupancy": rows / places,
            "in network": watch.device("network") / seconds,
            "draws": watch.device("draws") / seconds,
            "readbacks": f"{watch.host['readbacks'] / seconds:.3g} ({watch.calls['readbacks']})",
            "host µs/row": 1e6 * (seconds - sum(watch.host[name] for name in elsewhere)) / rows,
        }

        # Waits are warned of by torch.
        if not watch.cuda:
            raise Over
        self._warned = cast(list, self._look.enter_context(warnings.catch_warnings(record=True)))
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        self._look.callback(torch.cuda.set_sync_debug_mode, "default")


def _place(warning: warnings.WarningMessage) -> str:
    """Return where a warning came from: a line of this repository, or a file elsewhere."""
    path = Path(warning.filename)
    return f"{path.relative_to(ROOT)}:{warning.lineno}" if path.is_relative_to(ROOT) else path.name
