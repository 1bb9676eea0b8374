"""Measure on this machine's CUDA device what searches make of networks of published sizes, and what stands in the way.

    bash scripts/gpu.sh [--minutes 7] [--seconds 10] [--tiny]

Networks have random weights. Each is measured bare, called again and again with one full batch, and then below the
engine with each search, so many seconds a cell. One table is printed, and written after every cell to a new file below
`$OUT`, or outputs/. It ends when its minutes are over; cells that it has not reached are named. docs/performance.md
says how to read a column. `--tiny` takes tiny networks on the CPU, to try the command where there is no CUDA device.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import yaml
from gpu.networks import ADM, CIFAR, DIT, FLUX, Projection, Size
from gpu.table import BARE, Cell, Table
from gpu.watch import ROOT, Watch, Watched, Window

from its.budget import Budget
from its.config.instantiate import CHOICES, instantiate
from its.config.searchpath import CONF
from its.config.sizes import sized
from its.engine.flop_count import flops_of
from its.engine.shortage import is_shortage, reason_of
from its.levels import Columns
from its.process.command import Parser, command
from its.process.device import device_type
from its.sampler.ddim import DDIM
from its.weights import Dtype

DTYPES: tuple[Dtype, ...] = ("float32", "bfloat16")

PLAN: tuple[tuple[Size, Dtype], ...] = (
    (CIFAR, "float32"),
    (DIT, "bfloat16"),
    (FLUX, "bfloat16"),
    (ADM, "bfloat16"),
    (CIFAR, "bfloat16"),
    (DIT, "float32"),
    (ADM, "float32"),
)
"""Networks and dtypes; first what tells most: a small network, where the host is the limit, and what people use."""

SEARCHES = ("rbf", "none", "bfs_resample", "random")
"""Searches of conf/search; first the one that gives the engine least at a time."""

STEPS, SAMPLINGS = 10, 4
"""Steps of a sampling, and the cap of every search but `none` in samplings."""

ROWS_BYTES = 2**31
"""Bytes of the rows that an engine holds at most."""


class OutOfTime(BaseException):
    """Raised wherever the command is when its minutes are over."""


@contextmanager
def minutes(count: float) -> Iterator[None]:
    """Raise `OutOfTime` after so many minutes."""

    def ring(*_: Any) -> None:
        raise OutOfTime

    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 60 * count)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


class Bench:
    """One network in one dtype on a device, in batches that fit: of the size's rows, or half as many, and so on.

    Args:
        seconds: of a cell.
        rate: FLOPs a second of a large matrix product in the dtype.
    """

    def __init__(
        self, size: Size, dtype: Dtype, device: torch.device, *, tiny: bool, seconds: float, rate: float
    ) -> None:
        self.model = size.denoiser(dtype, device, tiny=tiny)
        self.batch = 4 if tiny else size.batch
        while not self._fits(self.batch):
            self.batch //= 2
        self._flops = flops_of(lambda: self.model(*self._rows([0]))).total
        self._seconds = seconds
        self._rate = rate
        self._bare = 0.0

    def figures(self, search: str) -> dict[str, Any]:
        """Measure the network alone if the search is `bare`, which comes first, else the search below the engine."""
        free()
        cuda = self.model.device.type == "cuda"
        if cuda:
            torch.cuda.reset_peak_memory_stats()
        figures = self._alone() if search == BARE else self._below_the_engine(search)
        figures["of matmul"] = figures["NFE/s"] * self._flops / self._rate
        peak = {"peak GiB": torch.cuda.max_memory_allocated() / 2**30} if cuda else {}
        return {"batch": self.batch, **figures, **peak}

    @torch.inference_mode()
    def _alone(self) -> dict[str, Any]:
        """Call the network with full batches, and compare a row's bits."""
        watch, rows = Watch(self.model.device), self._rows(range(self.batch))
        for _ in range(3):
            self.model(*rows)
        started, calls = watch.now(), 0
        while time.perf_counter() - started < self._seconds / 3:
            self.model(*rows)
            calls += 1
        self._bare = calls * self.batch / (watch.now() - started)
        return {"NFE/s": self._bare, **self._bits()}

    def _bits(self) -> dict[str, str]:
        """Compare half a batch in other company and in another order, in half the batch, and its first row alone."""
        batch, half = self.batch, self.batch // 2
        if not half:
            return dict.fromkeys(("other company", "other batch"), "one row fits")
        base = self.model(*self._rows(range(batch))).eps
        if not base.isfinite().all() or not base.std() > 0:
            raise ValueError("the network answers with zeros, or with what is no number")

        def difference(numbers: Sequence[int], kept: int) -> float:
            answers = self.model(*self._rows(numbers)).eps
            places = [list(numbers).index(number) for number in range(kept)]
            return float((answers[places] - base[:kept]).abs().max() / base.std())

        company = [*range(half), *range(batch, 2 * batch - half)]
        differences = {
            "other company": max(difference(company, half), difference(company[::-1], half)),
            "other batch": max(difference(range(half), half), difference([0], 1)),
        }
        return {name: f"{most:.1e}" if most else "equal" for name, most in differences.items()}

    def _below_the_engine(self, name: str) -> dict[str, Any]:
        """Run a search of conf/search for the seconds of a cell."""
        model = self.model
        engine = Watched(
            model,
            DDIM(steps=STEPS),
            {"select": Projection(model.shape, model.device)},
            seed=0,
            batch=self.batch,
            rows_bytes=ROWS_BYTES,
        )
        search = instantiate(yaml.safe_load((CONF / "search" / f"{name}.yaml").read_text(encoding="utf-8")), CHOICES)
        budget = Budget(samplings=[1 if name == "none" else SAMPLINGS])
        figures = Window(engine, self._seconds).measure(*sized(search, budget, engine.prices))
        return {
            **figures,
            "images/s": figures["NFE/s"] / figures["NFE/image"],
            "share × occupancy": figures["NFE/s"] / self._bare,
        }

    @torch.inference_mode()
    def _fits(self, batch: int) -> bool:
        """Return whether a batch fits beside an engine's rows; more than one row need not.

        Raises:
            Exception: one row does not fit, or it is no question of memory.
        """
        free()
        try:
            rows = torch.empty(ROWS_BYTES, dtype=torch.uint8, device=self.model.device)
            self.model(*self._rows(range(batch)))
            del rows
        except Exception as error:
            if batch == 1 or not is_shortage(error):
                raise
            return False
        return True

    def _rows(self, numbers: Sequence[int]) -> tuple[torch.Tensor, Columns, list[int]]:
        """Return rows of noise by their numbers, at mixed levels and of mixed classes, as a call of the model takes."""
        model, grid = self.model, DDIM(steps=STEPS).grid(self.model.path)
        rows = [torch.randn(model.shape, generator=torch.Generator().manual_seed(number)) for number in numbers]
        levels = Columns.of([grid[number % STEPS] for number in numbers], 1 + len(model.shape), model.device)
        return torch.stack(rows).to(model.device), levels, [number % 1000 for number in numbers]


def free() -> None:
    """Give back memory that nothing uses."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def matmul_rate(dtype: Dtype, device: torch.device, side: int) -> float:
    """Return the FLOPs a second of a square matrix product."""
    watch = Watch(device)
    a, b = (torch.randn(side, side, device=device, dtype=getattr(torch, dtype)) for _ in range(2))
    for _ in range(3):
        a @ b
    started = watch.now()
    for _ in range(10):
        a @ b
    return 20 * side**3 / (watch.now() - started)


def fill(table: Table, size: Size, dtype: Dtype, device: torch.device, **how: Any) -> None:
    """Measure the cells of a network in a dtype; those that do not fit, or fail, say so."""
    cells: list[Cell] = [(size.name, dtype, search) for search in (BARE, *SEARCHES)]
    why, cell = "", cells[0]
    try:
        bench = Bench(size, dtype, device, **how)
        for cell in cells:
            table.fill(cell, bench.figures(cell[-1]))
    except Exception as error:
        if is_shortage(error):
            why = f"does not fit: {reason_of(error)}"
        else:
            table.failed += 1
            why = f"failed: {type(error).__name__}: {' '.join(str(error).split())}"
    for rest in cells[cells.index(cell) :] if why else ():
        table.refuse(rest, why)


@command
def main() -> None:
    # Read the command line.
    parser = Parser(__doc__)
    parser.add_argument("--tiny", action="store_true", help="tiny networks on the CPU")
    parser.add_argument("--seconds", type=float, help="of a cell (10; 0.5 with --tiny)")
    parser.add_argument("--minutes", type=float, default=7.0, help="of the whole measurement")
    options = parser.parse_args()
    if not options.tiny and not torch.cuda.is_available():
        raise ValueError(
            f"torch {torch.__version__} finds no CUDA device here, which is what this measures; --tiny tries the "
            "command on the CPU"
        )

    # Measure, cell by cell.
    device = torch.device("cpu") if options.tiny else torch.device("cuda", 0)
    seconds = options.seconds or (0.5 if options.tiny else 10.0)
    cells = [(size.name, dtype, search) for size, dtype in PLAN for search in (BARE, *SEARCHES)]
    title = f"{device_type(device)}, tiny networks" if options.tiny else device_type(device)
    table = Table(Path(os.environ.get("OUT") or ROOT / "outputs"), title, cells, device)
    logging.getLogger("its").addHandler(table)
    try:
        with minutes(options.minutes):
            for dtype in DTYPES:
                table.rates[dtype] = matmul_rate(dtype, device, 256 if options.tiny else 8192)
            for size, dtype in PLAN:
                fill(table, size, dtype, device, tiny=options.tiny, seconds=seconds, rate=table.rates[dtype])
    except OutOfTime:
        table.note(f"The {options.minutes:g} minutes were over before all was measured")

    # Print, and say if a network failed.
    print(f"{table.text()}\n\nwritten to {table.path}")
    if table.failed:
        sys.exit(f"error: {table.failed} networks failed; the table says how")


if __name__ == "__main__":
    main()
