"""Make the same runs with the code of an old commit and with the code here, and name every file that differs.

    python scripts/same_bits.py <old commit> [--keep <folder>] [--folders]

It is for moves of code, which change no result. It compares what runs leave: arrays to the bit (shards, pools,
features, per_image, scored grids), curves but for their seconds, and what a schedule search found. A renamed folder is
no difference: such are counted, and listed with --folders. It exits with 1 if anything differs or one side lacks it.
"""

from __future__ import annotations

import csv
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from its.disk.array_file import digests_of, from_bytes
from its.disk.run_folder import SCHEDULE, SUMMARY, RunFolder
from its.process.command import Parser, command

ROOT = Path(__file__).parents[1]

WORDS = {"keep_candidates": "search.keep_pool"}
"""New word: old word, which a commit is told whose conf/config.yaml has not the new one."""

SMALL = ("images=12", "shard=8", "metric.kid.subsets=2")

# Components overlap, so that rewards differ; precision and recall would take longer than all the rest.
MIXTURE = (*SMALL, "dataset=mixture", "model=mixture", "dataset.images.std=0.5", "~metric.prc")

SWEEPS = {
    "ddim-eta${sampler.eta}": (
        *MIXTURE,
        "search=<all>",
        "sampler.eta=0,1",
        "sampler.steps=16",
        "guidance=none,tfg",
        "budget.samplings=[4,16]",
        "keep_candidates=true",
    ),
    "heun": (*MIXTURE, "search=<all>", "sampler=heun", "budget.samplings=[4,16]", "keep_candidates=true"),
    "digits-eta${sampler.eta}": (
        *SMALL,
        "search=random,zero_order,bfs_resample",
        "sampler.eta=0,1",
        "budget.samplings=[2,4]",
        "keep_candidates=true",
    ),
    "schedule": (
        *MIXTURE,
        "search=schedule",
        "search.strategy=evolution,random",
        "search.population_num=4",
        "search.select_num=2",
        "search.mutation_num=2",
        "search.crossover_num=1",
        "search.max_epochs=2",
        "search.num_samples=12",
        "search.finalists=2",
        "search.fresh_seeds=2",
        "sampler.steps=4",
    ),
}
"""Words of each sweep, by the name of its runs. A search that refuses a sampler makes no run, on either side."""

LABEL = ("name", "dataset", "model", "sampler", "search", "verifier", "budget")
"""What runs are matched by."""

UNCOMPARED = {"command", "seconds", "time", "files", "check"}
"""Entries of tables and summaries that say how or how fast they came about, and checksums of such."""


@contextmanager
def checked_out(commit: str, folder: Path) -> Iterator[None]:
    """Have the tree of a commit in `folder` for a while."""
    git = ["git", "-C", str(ROOT), "worktree"]
    subprocess.run([*git, "add", "--quiet", "--detach", str(folder), commit], check=True)
    try:
        yield
    finally:
        subprocess.run([*git, "remove", "--force", str(folder)], check=True)


def searches(tree: Path) -> set[str]:
    """Name a tree's searches of images."""
    return {path.stem for path in tree.glob("conf/search/*.yaml")} - {"schedule"}


def words_of(tree: Path, sweep: tuple[str, ...], methods: set[str]) -> list[str]:
    """Say a sweep in the words of a tree."""
    root = yaml.safe_load((tree / "conf/config.yaml").read_text(encoding="utf-8"))
    keys = {new: old for new, old in WORDS.items() if new not in root}
    parts = [word.replace("<all>", ",".join(sorted(methods))).partition("=") for word in sweep]
    return [f"{keys.get(key, key)}{equal}{value}" for key, equal, value in parts]


def make(tree: Path, out_dir: Path, methods: set[str]) -> None:
    """Make every sweep with a tree's own code, one process each."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    out_dir.mkdir(parents=True)
    for name, sweep in SWEEPS.items():
        # Run it, in a process that exits with 1 if a search refuses.
        words, title, started = words_of(tree, sweep, methods), name.split("-")[0], time.perf_counter()
        command = [sys.executable, "run.py", "-m", f"name={name}", *words, f"out_dir={out_dir}"]
        with (out_dir / f"{title}.log").open("wb") as log:
            subprocess.run(command, cwd=tree, env=environment, stdout=log, stderr=log, check=False)

        # Say how long it took.
        jobs = math.prod(word.count(",") + 1 for word in words if "[" not in word)
        print(f"{out_dir.name}: {jobs} jobs of {title} in {time.perf_counter() - started:.0f} s", flush=True)


def runs(out_dir: Path) -> dict[tuple[str, ...], Path]:
    """Find the folder of every finished run, by its label."""
    folders = {}
    for path in sorted(out_dir.rglob("*.json")):
        if path.name in (SUMMARY, SCHEDULE):
            summary = json.loads(path.read_text(encoding="utf-8"))
            folders[tuple(summary[key] for key in LABEL)] = path.parent
    return folders


def files(run: Path) -> dict[str, Path]:
    """Find the files of a run that are compared, by their place in it."""
    paths = [*run.rglob("*.safetensors"), *run.glob(RunFolder(run).curve.name), *run.glob(SCHEDULE)]
    return {str(path.relative_to(run)): path for path in paths}


def contents(path: Path) -> dict[str, Any]:
    """Read a file's arrays, columns or entries as what can be compared with ==."""
    if path.suffix == ".safetensors":
        return digests_of(from_bytes(path.read_bytes()))
    text = path.read_text(encoding="utf-8")
    columns = zip(*csv.reader(text.splitlines()), strict=True) if path.suffix == ".csv" else json.loads(text).items()
    return {name: json.dumps(values) for name, *values in columns if name not in UNCOMPARED}


def differences(old: Path, new: Path) -> Iterator[str]:
    """Tell of every file of a run that is not the same on both sides, and of what in it."""
    before, after = files(old), files(new)
    for name in sorted(before.keys() | after.keys()):
        if name not in before or name not in after:
            yield f"{name} is {'only' if name in after else 'missing'} here"
            continue
        theirs, ours = contents(before[name]), contents(after[name])
        parts = [part for part in sorted(theirs.keys() | ours.keys()) if theirs.get(part) != ours.get(part)]
        if parts:
            yield f"{name} differs in {', '.join(parts)}"


def compare(old: Path, new: Path, methods: set[str], *, folders: bool) -> int:
    """Print what differs between two folders of runs, and how many run folders are renamed; count the differences."""
    before, after = runs(old), runs(new)

    # A search or sweep without a run is a difference too: nobody has looked.
    present = {
        part.split(mark)[0] for key in before for part, mark in ((key[0], "-"), (key[LABEL.index("search")], "+"))
    }
    expected = methods | {name.split("-")[0] for name in SWEEPS}
    lines = [f"{what}: the old code makes no run" for what in sorted(expected - present)]

    # Runs that only one side has made.
    sides = [(after, before, "missing"), (before, after, "only")]
    lines += [
        f"{' '.join(key)}: the run is {word} here; --keep keeps the logs"
        for lacking, having, word in sides
        for key in sorted(having.keys() - lacking.keys())
    ]

    # Files of those that both have made.
    both = sorted(before.keys() & after.keys())
    lines += [f"{' '.join(key)}: {each}" for key in both for each in differences(before[key], after[key])]

    # Their folders.
    pairs = [(before[key].relative_to(old), after[key].relative_to(new)) for key in both]
    renamed = [f"{theirs} -> {ours}" for theirs, ours in pairs if theirs != ours]
    counts = f"{len(both)} runs compared, {len(lines)} differences, {len(renamed)} folders renamed"
    print(*lines, counts, *(renamed if folders else ()), sep="\n")
    return len(lines)


@command
def main() -> None:
    # Read the command line.
    parser = Parser(__doc__)
    parser.add_argument("commit")
    parser.add_argument("--keep", type=Path, help="where both sides' runs stay; a new folder")
    parser.add_argument("--folders", action="store_true", help="list the folders that are renamed")
    options = parser.parse_args()
    if options.keep and options.keep.exists():
        raise ValueError(f"{options.keep} exists, and what is in it might be taken for a result; give a new folder")

    # Make both sides' runs and compare them.
    with TemporaryDirectory() as scratch, checked_out(options.commit, tree := Path(scratch, "tree")):
        place = options.keep.absolute() if options.keep else Path(scratch)
        methods = searches(tree) & searches(ROOT)
        make(tree, place / "old", methods)
        make(ROOT, place / "new", methods)
        different = compare(place / "old", place / "new", methods, folders=options.folders)
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
