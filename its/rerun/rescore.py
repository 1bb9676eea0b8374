"""The act of rescoring: choose among a run's candidates by another verifier, measure, and write a curve of its own."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from its.config.provenance import Provenance
from its.config.words import in_full
from its.disk.array_names import shard_name
from its.disk.columns import ORACLE
from its.disk.run_folder import RunFolder
from its.disk.store import Arrays
from its.engine.verdicts import verdicts_of
from its.process.command import typed
from its.report.figures import comparison_figure
from its.report.protocol import sentence
from its.report.runs import RunRecord, read_run
from its.rerun.rescoring import Rescoring, ScoredShard
from its.run import candidates, shards
from its.run.chosen import with_choice
from its.run.curve_files import write_curve
from its.run.measure import Curve, Row, measure, tell_strange
from its.run.stock import Stock
from its.types import Condition


def rescore(rescoring: Rescoring, target: Path, command: str) -> list[Row]:
    """Choose anew at every cap and measure; write shards, curve and figures to the folder `target`.

    Args:
        command: that does this again.
    """
    files = RunFolder(target)
    run, instruments = rescoring.run, rescoring.instruments
    stock = Stock(files.path)
    flops: dict[str, int] = {}
    conditions: list[Condition] = []

    # Choose the best candidates, and store them as a run's shards.
    picks = _set_picks(rescoring, files.path) if rescoring.by_set else {}
    for part in rescoring.scored():
        arrays, features = _chosen(rescoring, part, picks.get(part.indices))
        name = shard_name(part.indices.start)
        files.store.write(name, arrays, source=run.files.store.source(name))
        scored = instruments.scored(files.store, arrays, arrays["images"])
        stock.take(part.indices, scored or arrays, features)
        conditions += part.conditions
        flops = flops or rescoring.flops(part.candidates["images"][:1])
    files.store.tidy()
    if not rescoring.by_set:
        shards.refuse_blind(stock.shards, rescoring.label["verifier"], rescoring.verifier)

    # Measure them; the run's ledgers hold, but for the judges', and nobody measured seconds.
    protocol = instruments.protocol(conditions)
    curve = measure(
        rescoring.caps,
        stock,
        instruments.measurable(conditions),
        instruments.reference.load(),
        flops=flops,
        members=rescoring.members,
        currency=rescoring.currency,
        oracle=ORACLE in rescoring.label["verifier"],
        remote=rescoring.remote,
    )
    write_curve(files, curve, stock, _figure(rescoring, target, curve, sentence(protocol)))
    Provenance(files, (), lambda: rescoring.blueprint.sources).keep()
    entry = {
        **rescoring.label,
        "exact": rescoring.exact,
        "meaning": rescoring.meaning,
        "sources": {**rescoring.provenance.entry(), "selects": rescoring.blueprint.sources.images.name},
        "command": command,
        "images": run.summary["images"],
        "protocol": protocol,
        "curve": curve.rows,
    }
    files.finish(files.rescored_summary, entry)
    if not rescoring.by_set:
        tell_strange(curve.rows[-1], {"select": rescoring.verifier})
    return curve.rows


def _set_picks(rescoring: Rescoring, folder: Path) -> dict[range, np.ndarray]:
    """Return the rows of the candidates that an oracle chooses as a set, int64 `[n, caps]`, of each shard."""
    folder.mkdir(parents=True, exist_ok=True)
    return rescoring.set_choice(folder).picks(rescoring.pooled())


def _chosen(rescoring: Rescoring, part: ScoredShard, picks: np.ndarray | None) -> tuple[Arrays, Arrays]:
    """Return a shard of the candidates of `picks`, or else of the best ones, and their features."""
    if picks is not None:
        return with_choice(part, picks, part.reward, part.conditions)
    caps, search = rescoring.caps, rescoring.label["search"]
    best = [
        [
            candidates.choose(part.reward, part.counting(k, cap, caps, rescoring.currency, search)).best
            for cap in range(len(caps))
        ]
        for k in range(len(part.indices))
    ]
    of_problem = itertools.pairwise(part.candidates["offset"][: len(part.indices) + 1])
    verdicts = [verdicts_of(part.raw[first:last]) for first, last in of_problem]
    return with_choice(part, np.array(best), part.reward, part.conditions, verdicts, part.costs_at(caps))


def _figure(rescoring: Rescoring, target: Path, curve: Curve, note: str) -> bytes:
    """Draw the run's own curve and the rescored one, which was measured by the protocol `note`."""
    original = read_run(rescoring.run.files, rescoring.run.folder)
    label = {**original.label, "verifier": rescoring.label["verifier"]}
    if not rescoring.exact:
        label["search"] = f"pool of {label['search']}"
    other = RunRecord(
        Path(target.name),
        label,
        original.command,
        original.images,
        tuple(curve.rows),
        protocol=note,
        prompts=original.prompts,
    )
    return comparison_figure([original, other])["png"]


def command_of(folder: Path, overrides: Sequence[str]) -> str:
    """Return the command that rescores `folder` by the verifier that `overrides` name."""
    return typed("scripts/rescore.py", [str(folder), *in_full(overrides)])
