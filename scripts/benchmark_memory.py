"""Measure what memory a run of many images takes: its slope by images, and the peak of each metric.

    python scripts/benchmark_memory.py slope --images 400 1600 6400 [key=value ...]
    python scripts/benchmark_memory.py metrics --rows 50000 [--only fid kid]

`slope` makes and measures 256x256 images of scripts/cheap at four caps with 256 features each, measures them anew, and
adds 100 to them; each in a process of its own, whose largest resident set counts. Words of run.py change the run.
`metrics` computes each metric of metric=inception and metric=openai on random features of 2,048 numbers (spatial ones
of 2,023, logits of 1,008), against a reference of as many images. Linux alone tells the peak of a process.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from its.disk.run_folders import run_folders
from its.process.command import Parser, command

ROOT = Path(__file__).resolve().parents[1]

CHEAP = (
    f"plugins=[{ROOT}/scripts/cheap/cheap_256.py]",
    f"hydra.searchpath=[{ROOT}/scripts/cheap/conf]",
    *("dataset=cheap_256", "model=cheap_256", "verifier=cheap_256", "sampler=euler", "sampler.steps=1"),
    *("search=more_steps", "budget.samplings=[1,2,3,4]", "metric=fid", "batch=32", "shard=25", "reporting=none"),
)
"""A run of four different images of each problem, one for each cap."""

WIDTHS = {"features": 2048, "logits": 1008, "spatial": 2023}


def peak_mb() -> float:
    """Return the largest resident set that this process has had; `ru_maxrss` counts that of its parent, too."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def alone(act: Callable[..., None], *arguments: Any) -> tuple[float, float]:
    """Do something in a process of its own; return its peak in MB and its seconds."""
    context = multiprocessing.get_context("spawn")
    there, here = context.Pipe()
    process, started = context.Process(target=_told, args=(there, act, *arguments)), time.perf_counter()
    process.start()
    there.close()
    try:
        peak = here.recv()
    except EOFError as error:
        raise ValueError(f"{act.__name__}{arguments} failed; see above") from error
    process.join()
    return peak, time.perf_counter() - started


def _told(pipe: Any, act: Callable[..., None], *arguments: Any) -> None:
    logging.disable(logging.INFO)
    act(*arguments)
    pipe.send(peak_mb())


def run(folder: str, images: int, words: Sequence[str]) -> None:
    """Do what `python run.py` does."""
    from its.config.blueprint import Blueprint
    from its.config.composed import composed
    from its.run.build import build

    build(Blueprint.of(*composed([*CHEAP, f"out_dir={folder}", f"images={images}", *words]))).run()


def anew(folder: str, images: int, words: Sequence[str]) -> None:
    """Measure a finished run again."""
    for finished in run_folders(Path(folder)):
        finished.summary.unlink()
    run(folder, images, words)


def slope(options: argparse.Namespace) -> None:
    """Print the peak of each number of images, and what an image adds."""
    peaks: dict[str, list[float]] = {"made": [], "measured anew": [], "extended": []}
    for images in options.images:
        with TemporaryDirectory(dir=options.folder) as folder:
            acts = (("made", run, images), ("measured anew", anew, images), ("extended", run, images + 100))
            for name, act, count in acts:
                peak, seconds = alone(act, folder, count, options.words)
                peaks[name].append(peak)
                print(f"{images:>6} images {name:<14} peak {peak:7.0f} MB  {seconds:6.0f} s", flush=True)
    span = options.images[-1] - options.images[0]
    for name, column in peaks.items():
        print(f"{name:<14} {(column[-1] - column[0]) / span:.4f} MB an image" if span else name)


def random_rows(seed: int, count: int, width: int) -> np.ndarray:
    """Return float32 rows, made a thousand at a time."""
    generator, rows = np.random.default_rng(seed), np.empty((count, width), np.float32)
    for start in range(0, count, 1000):
        part = rows[start : start + 1000]
        part[:] = generator.standard_normal(part.shape, dtype=np.float32)
    return rows


def metric(group: str, key: str, rows: int) -> None:
    """Compute one metric of a group as a run does, with sample and reference in memory; print what it returns."""
    from omegaconf import OmegaConf

    from its.config.composed import composed
    from its.config.instantiate import instantiate, packages_of
    from its.metric.features import Features, Moments
    from its.metric.reference import Reference

    nodes: Any = OmegaConf.to_container(composed([f"metric={group}"]).config.metric)
    arrays = {name: random_rows(k, rows, width) for k, (name, width) in enumerate(WIDTHS.items())}
    sample = Features.of(arrays, np.zeros(rows, np.int64))
    real = Features.of({"features": random_rows(3, rows, WIDTHS["features"])}, sample.labels)
    spatial = Moments.of(random_rows(4, min(rows, 4096), WIDTHS["spatial"]))
    held = peak_mb()
    metric = instantiate(nodes[key], packages_of(()))
    numbers = metric(sample, Reference(real.moments, spatial, real).part(metric.against))
    print(f"{group}.{key}: {numbers}; {held:.0f} MB before", flush=True)


def metrics(options: argparse.Namespace) -> None:
    """Print the peak of each metric."""
    from its.config.composed import composed

    for group in ("inception", "openai"):
        for key in composed([f"metric={group}"]).config.metric:
            if key in (options.only or (key,)):
                peak, seconds = alone(metric, group, key, options.rows)
                print(f"{group}.{key:<6} {options.rows} rows: peak {peak:.0f} MB, {seconds:.0f} s", flush=True)


@command
def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("what", choices=("slope", "metrics"))
    parser.add_argument("words", nargs="*", metavar="key=value", help="words of run.py, for slope")
    parser.add_argument("--images", type=int, nargs="+", default=[400, 1600, 6400], help="for slope, ascending")
    parser.add_argument("--folder", help="in which runs are made, and removed; default: the temporary folder")
    parser.add_argument("--rows", type=int, default=50_000, help="of features, for metrics")
    parser.add_argument("--only", nargs="+", help="keys of metrics")
    options = parser.parse_intermixed_args()
    {"slope": slope, "metrics": metrics}[options.what](options)


if __name__ == "__main__":
    main()
