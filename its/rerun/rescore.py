"""The act of rescoring: choose among a run's candidates by another verifier, measure, and write a curve of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from its.budget import COLUMNS, UNITS
from its.config.provenance import Provenance
from its.config.words import in_full
from its.disk.array_names import shard_name
from its.disk.columns import ORACLE
from its.disk.run_folder import RunFolder
from its.disk.store import Arrays
from its.engine import Outcome, Result
from its.engine.verdicts import verdicts_of
from its.process.command import typed
from its.report.figures import comparison_figure
from its.report.protocol import sentence
from its.report.runs import RunRecord, read_run
from its.rerun.rescoring import Rescoring, ScoredShard
from its.run import candidates, shards
from its.run.curve_files import write_curve
from its.run.measure import Curve, Row, measure, tell_strange
from its.run.stock import Stock
from its.types import Problem
from its.verifier.verifier import members_of


def rescore(rescoring: Rescoring, target: Path, command: str) -> list[Row]:
    """Choose anew at every cap and measure; write shards, curve and figures to the folder `target`.

    Args:
        command: that does this again.
    """
    files = RunFolder(target)
    run, instruments = rescoring.run, rescoring.instruments
    stock = Stock(files.path)
    flops: dict[str, int] = {}

    # Choose the best candidates, and store them as a run's shards.
    for part in rescoring.scored():
        results, picks = _results(rescoring, part)
        arrays = shards.pack(results)
        name = shard_name(part.indices.start)
        files.store.write(name, arrays, source=run.files.store.source(name))
        scored = instruments.scored(files.store, arrays, arrays["images"])
        stock.take(part.indices, scored or arrays, _picked_features(part, arrays, picks))
        flops = flops or rescoring.flops(part.candidates["images"][:1])
    files.store.tidy()
    shards.refuse_blind(stock.shards, rescoring.label["verifier"], rescoring.verifier)

    # Measure them; the run's ledgers hold, and nobody measured seconds.
    labels = np.concatenate([arrays["label"] for _, arrays in stock.shards])
    protocol = instruments.protocol(labels)
    curve = measure(
        rescoring.caps,
        stock,
        instruments.measurable(labels),
        instruments.reference.load(),
        flops=flops,
        members=members_of(rescoring.verifier),
        currency=rescoring.currency,
        oracle=ORACLE in rescoring.label["verifier"],
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
    tell_strange(curve.rows[-1], {"select": rescoring.verifier})
    return curve.rows


def _picked_features(part: ScoredShard, arrays: Arrays, picks: list[list[int]]) -> Arrays:
    """Return the features of a new shard's images, from those of the candidates that they are."""
    candidate_of_image = np.empty(len(arrays["images"]), dtype=np.int64)
    candidate_of_image[arrays["pick"].ravel()] = np.array(picks).ravel()
    return {name: array[candidate_of_image] for name, array in part.features.items()}


def _results(rescoring: Rescoring, part: ScoredShard) -> tuple[list[Result], list[list[int]]]:
    """Return what each problem comes to at every cap, and the row of the candidate that it is."""
    results, picks = [], []
    for k, (index, condition) in enumerate(zip(part.indices, part.conditions, strict=True)):
        outcomes, picked = [], []
        for cap, most in enumerate(rescoring.caps):
            # The best of the candidates that count at this cap.
            rows = candidates.counting(part.candidates, k, cap, most)
            if not len(rows):
                raise ValueError(
                    f"image {index} has no candidate within {most} {UNITS[rescoring.currency]}: "
                    f"{rescoring.label['search']} returned an image that it had not rewarded; this run cannot be "
                    "rescored"
                )
            best = candidates.choose(part.reward, rows).best
            ledger = dict(zip(COLUMNS, shards.ledger_of(part.shard)[k, cap].tolist(), strict=True))
            outcomes.append(Outcome(part.pixels[best], candidates.reward_of(part.reward, best), ledger))
            picked.append(best)
        own = slice(*part.candidates["offset"][k : k + 2])
        results.append(Result(Problem(index, condition), tuple(outcomes), verdicts=verdicts_of(part.raw[own])))
        picks.append(picked)
    return results, picks


def _figure(rescoring: Rescoring, target: Path, curve: Curve, note: str) -> bytes:
    """Draw the run's own curve and the rescored one, which was measured by the protocol `note`."""
    original = read_run(rescoring.run.files, rescoring.run.folder)
    label = {**original.label, "verifier": rescoring.label["verifier"]}
    if not rescoring.exact:
        label["search"] = f"pool of {label['search']}"
    other = RunRecord(Path(target.name), label, original.command, original.images, tuple(curve.rows), protocol=note)
    return comparison_figure([original, other])["png"]


def command_of(folder: Path, overrides: Sequence[str]) -> str:
    """Return the command that rescores `folder` by the verifier that `overrides` name."""
    return typed("scripts/rescore.py", [str(folder), *in_full(overrides)])
