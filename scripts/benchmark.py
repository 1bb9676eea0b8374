"""Measure how fast each search runs here, and where the time goes; `plan=true` reads the rates.

    python scripts/benchmark.py [--images 2000] [--searches none,random] [key=value ...]

Every line: images/s and NFE/s; share of the time spent in networks: denoiser, verifiers, decoder and, under a
guidance, their backward passes; occupancy, real rows per network row; their product, which the bare network at the
same batch shape has as 1; `of best`, NFE/s over the best bare rows/s found on this machine, just now or by
scripts/benchmark_network.py (same model, device, threads and type); then the shares one by one, those of noise, of
writing shards and of the rest (Python); and peak memory. Counting stops when the last image is admitted, so that the
drain at the end, which a longer run has only once, is left out.
"""

from __future__ import annotations

import json
import resource
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import its  # noqa: F401  # before torch, whose threads then wait passively

# isort: split
import torch

from its.config.blueprint import Blueprint
from its.config.composed import composed
from its.config.plan import NETWORK_RATES, RATES, network_rate_key, rate_key
from its.disk.store import Store, write_atomic
from its.engine import Result
from its.engine.bare import BareNetwork
from its.engine.slopes import SLOPES
from its.model.denoiser import Denoiser
from its.process.command import Parser, command
from its.run import shards
from its.run.build import build
from its.run.experiment import Experiment
from its.types import Problem

ROOT = Path(__file__).resolve().parents[1]

NETWORKS = ("denoiser", "backward", "verifier", "decoder")
"""Where compute that a method asks for is spent."""

ROWS = ("evaluate", "gradient", SLOPES["network"])
"""Kinds of work that serve network rows."""


class Clock:
    """Seconds spent in wrapped calls, by name, without those of other wrapped calls inside.

    A backward pass that evaluates a network once more holds such a call.
    """

    def __init__(self, device: torch.device) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._inside = 0.0
        self._device = device

    def now(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    def wrap(self, name: str, call: Callable) -> Callable:
        """The call, timed. On a GPU timing synchronises; compare `NFE/s` with the bare network's there."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            around, self._inside, started = self._inside, 0.0, self.now()
            try:
                return call(*args, **kwargs)
            finally:
                whole = self.now() - started
                self.seconds[name] += whole - self._inside
                self._inside = around + whole

        return timed


def experiment(overrides: list[str]) -> tuple[Experiment, Blueprint]:
    """Build what `run.py` would build; return it and its blueprint."""
    blueprint = Blueprint.of(*composed(overrides))
    return build(blueprint), blueprint


def bare_rows_per_second(run: Experiment) -> float:
    """Rows per second of the model alone, called again and again with one full batch."""
    engine = run.engine
    network = BareNetwork(engine.model, engine.batch, engine.prices.grid[0], [*map(run.condition, range(engine.batch))])
    for _ in range(5):
        network()
    return network.rows_per_second(2.0)


def best_known(blueprint: Blueprint) -> float:
    """Rows per second that scripts/benchmark_network.py has found for the model here; 0 without any."""
    plain = blueprint.plain
    path = Path(plain["out_dir"]).expanduser().absolute() / NETWORK_RATES
    if not path.exists():
        return 0.0
    dtype = plain["model"].get("dtype", "float32")
    key = network_rate_key(blueprint.label["model"], plain["device"], torch.get_num_threads(), dtype)
    return json.loads(path.read_text(encoding="utf-8")).get(key, {}).get("rows_per_second", 0.0)


class TimedModel:
    """A model whose calls are timed; everything else is the model's."""

    def __init__(self, model: Any, clock: Clock) -> None:
        self._model = model
        self._call = clock.wrap("denoiser", model)
        self.decoder = None if model.decoder is None else TimedDecoder(model.decoder, clock)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def __call__(self, *args: Any) -> Any:
        return self._call(*args)


class TimedDecoder:
    """A decoder whose calls are timed."""

    def __init__(self, decoder: Any, clock: Clock) -> None:
        self.shape = decoder.shape
        self._call = clock.wrap("decoder", decoder)

    def __call__(self, latents: torch.Tensor) -> torch.Tensor:
        return self._call(latents)


@contextmanager
def timed(run: Experiment, clock: Clock) -> Iterator[None]:
    """Everything of the run's engine that is not Python, on the clock."""
    engine, grad = run.engine, torch.autograd.grad
    engine.model = cast(Denoiser, TimedModel(engine.model, clock))
    for verifier in engine.verifiers.values():
        verifier.reward = clock.wrap("verifier", verifier.reward)  # type: ignore[method-assign]
    engine.noise = clock.wrap("noise", engine.noise)
    torch.autograd.grad = clock.wrap("backward", grad)
    try:
        yield
    finally:
        torch.autograd.grad = grad


def measure(run: Experiment, images: int, best: float) -> dict[str, float]:
    """Run the engine on `images` problems, and write its shards to a folder that goes away.

    Args:
        best: rows per second of the best bare network known; the one measured here may be better.
    """
    # Run, with every part timed.
    clock = Clock(run.engine.model.device)
    bare = bare_rows_per_second(run)
    with timed(run, clock), TemporaryDirectory() as folder:
        last, total = run_until_drained(run, images, clock, Store(Path(folder)))
    if not last["served"]:
        raise ValueError(
            f"--images is {images}, and all were begun before one was finished; ask for several batches "
            f"of {run.engine.batch}"
        )

    # Occupancy, and shares of the time.
    served = [last["served"][kind] for kind in ROWS if kind in last["served"]]
    filled, capacity = map(sum, zip(*served, strict=True))
    share = {name: last["spent"].get(name, 0.0) / last["seconds"] for name in (*NETWORKS, "noise", "io")}
    networks = sum(share[name] for name in NETWORKS)
    return {
        "images/s": last["finished"] / last["seconds"],
        "NFE/s": last["rows"] / last["seconds"],
        "bare NFE/s": bare,
        "networks": networks,
        "occupancy": filled / capacity,
        "product": networks * filled / capacity,
        "of best": last["rows"] / last["seconds"] / max(best, bare),
        **share,
        "python": 1.0 - sum(share.values()),
        "peak MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "nfe_per_second": run.engine.rows_evaluated / total,
    }


def run_until_drained(run: Experiment, images: int, clock: Clock, store: Store) -> tuple[dict[str, Any], float]:
    """Run a search; return the counts at the admission of the last image, and the seconds until all were finished."""
    # Note the counts when the last image is admitted.
    engine, last = run.engine, cast(dict[str, Any], {})
    started, finished = clock.now(), 0

    def problems() -> Iterator[Problem]:
        for index in range(images):
            yield Problem(index, run.condition(index))
        last.update(
            seconds=clock.now() - started,
            spent=dict(clock.seconds),
            served=dict(engine.served),
            finished=finished,
            rows=engine.rows_evaluated,
        )

    def write(results: list[Result]) -> None:
        store.write(f"{finished}.safetensors", shards.pack(results))

    # Run, and write shards as a run does.
    write, results = clock.wrap("io", write), []
    for result in engine.run(run.search, run.caps, problems(), run.currency):
        finished += 1
        results.append(result)
        if len(results) == run.shard:
            write(results)
            results = []
    return last, clock.now() - started


def fixed_seconds(overrides: list[str], images: int) -> float:
    """Time what no NFE buys: loading, features, metrics and figures of a plain run of so many images."""
    with TemporaryDirectory() as folder:
        started = time.perf_counter()
        run, _ = experiment([*overrides, "search=none", f"images={images}", f"out_dir={folder}"])
        run.run()
        whole = time.perf_counter() - started
        return whole - sum(note["seconds"] for note in Store(run.folder).notes())


@command
def main() -> None:
    # Read the command line.
    parser = Parser(__doc__)
    parser.add_argument("--images", type=int, default=1000)
    searches = sorted(file.stem for file in (ROOT / "conf" / "search").glob("*.yaml"))
    parser.add_argument("--searches", default=",".join(searches), help="comma-separated")
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_intermixed_args()

    # Measure each search.
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    rates: dict[str, Any] = {}
    fixed = fixed_seconds(options.overrides, options.images)
    for search in options.searches.split(","):
        run, blueprint = experiment([*options.overrides, f"search={search}"])
        figures = measure(run, options.images, best_known(blueprint))
        print(f"{search:<14}" + "  ".join(f"{name} {value:.3g}" for name, value in figures.items()), flush=True)
        label, plain = blueprint.label, blueprint.plain
        rate = {"nfe_per_second": figures["nfe_per_second"], "fixed_seconds": fixed}
        rates[rate_key(label["search"], label["model"], plain)] = rate
        path = Path(plain["out_dir"]).expanduser().absolute() / RATES

    # Keep the rates for plans.
    earlier = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    write_atomic(path, (json.dumps(earlier | rates, indent=1, sort_keys=True) + "\n").encode())
    print(f"rates for plan=true are in {path}")


if __name__ == "__main__":
    main()
