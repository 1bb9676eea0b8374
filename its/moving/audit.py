"""The audit of a published run: what it tells is held against what it stores, and this against what is made again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from omegaconf import DictConfig, OmegaConf

from its.config.blueprint import Blueprint
from its.config.composed import Composed, composed
from its.config.identity import differences
from its.moving.pack import Pack
from its.moving.recorded import differing_claim, differing_files, differing_grids
from its.moving.remade import FEATURE, LEVELS, REWARD, Remaking
from its.moving.remeasured import COST, METRIC, count_numbers, differing_numbers
from its.particles.batches import BATCHES
from its.process.workers import Worker
from its.rerun.finished_run import FinishedRun, key_of
from its.run.build import build
from its.run.experiment import Experiment
from its.run.stock import Stock
from its.verifier.answers import take_over

OPEN_KEYS = (
    "plugins",
    "hydra.searchpath",
    "device",
    *BATCHES,
    "rows",
    "rows_bytes",
    "dataset.reference",
    "dataset.report",
    "dataset.statistics",
)
"""Keys that say where the audit is done, and where what a run only names lies here."""

GROUPS = ("model", "sampler", "guidance", "guide", "search", "verifier", "budget")
"""Groups that a `config.yaml` holds."""


@dataclass
class Audit:
    """The outcome of an audit.

    Attributes:
        equal: what was held against what, in a few words each.
        different: a sentence on each difference.
        remarks: what a reader must know of the comparison.
    """

    equal: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def hold(self, what: str, differing: Iterator[str]) -> None:
        """Enter what was compared: its differences, or that it is equal."""
        before = len(self.different)
        try:
            self.different.extend(differing)
        except (AttributeError, IndexError, KeyError, OSError, TypeError, ValueError) as error:
            self.different.append(f"not compared, {what}: {type(error).__name__}: {error}")
        self.equal += [] if len(self.different) > before else [what]

    @property
    def line(self) -> str:
        """All of it in one line."""
        parts = [f"equal: {'; '.join(self.equal) or 'nothing'}"]
        count = len(self.different)
        parts += [f"DIFFERENT: {count} {'thing' if count == 1 else 'things'}, named above"] if count else []
        return ". ".join([*parts, *self.remarks])


@contextmanager
def opened(source: Path) -> Iterator[FinishedRun]:
    """Open a run's folder, or a pack, which is unpacked for as long as the block lasts.

    Raises:
        ValueError: it is neither, or what decides its images or its numbers cannot be read.
    """
    if source.is_dir():
        yield FinishedRun.of(source)
        return
    with TemporaryDirectory() as scratch:
        pack = Pack.of(source)
        pack.unpack(folder := Path(scratch, pack.name))
        yield FinishedRun.of(folder)


def audit(run: FinishedRun, words: Sequence[str], count: int, seed: int) -> Audit:
    """Audit a run; write nothing into its folder.

    Args:
        words: of run.py that say where this is done; see `OPEN_KEYS`.
        count: problems whose images are made again at every cap.
        seed: that they are drawn by.

    Raises:
        ValueError: what the run's configuration names is not allowed, or not here.
    """
    findings = Audit()
    with TemporaryDirectory() as scratch:
        typed = composed(_words(run, words, Path(scratch, "nothing")))  # below which nothing is written

        # Files, each against its line or the record.
        present = len(run.files.store.present())
        findings.hold(f"{present} files of arrays and all small ones by their sha256", differing_files(run))

        # The claim, which what follows is sized by.
        if claims := list(differing_claim(run)):
            findings.different += claims
            return findings

        # Numbers, against the files; images, against those made again.
        experiment = _experiment(run, typed, findings)
        stock = Stock(Path(scratch))
        numbers = count_numbers(run.summary["curve"])
        within = f"metrics within {METRIC:g}, costs and rewards within {COST:g}"
        findings.hold(
            f"{numbers} numbers of the curve ({within}), computed again", differing_numbers(run, experiment, stock)
        )
        findings.hold("the sample grids", differing_grids(run, stock))
        _remake(Remaking(run, experiment), count, seed, findings)
    return findings


def _experiment(run: FinishedRun, typed: Composed, findings: Audit) -> Experiment:
    """Build the run that the folder records, and enter where its command says another.

    Args:
        typed: what the command on record composes, whose words a stranger may have written.
    """
    # Of what the command says and what config.yaml says, this decides.
    blueprint = Blueprint.of(*typed)
    by_command = differences(blueprint.config, run.config)
    if by_command:
        blueprint = Blueprint.of(*typed._replace(config=_recorded(typed.config, run.config)))
    here = differences(blueprint.config, run.config)
    weights = list(_other_weights(run, blueprint))
    findings.hold("weights by their sha256", iter(weights))
    name = run.files.config.name
    sentences = [f"{key} of {name} is not what the command on record says" for key in by_command if key not in here]
    sentences += [f"{key} of {name} cannot be made here as it says" for key in here if not weights]
    findings.hold(f"{name} and command", iter(sentences))

    # Sources are told, and compared none the less.
    if others := replace(blueprint.provenance, files=run.files).others:
        findings.remarks.append(f"its images were made by another source ({', '.join(others)}) than is here")
    take_over(blueprint.folder, run.folder)  # so that no judge is asked for what it has answered
    experiment = replace(build(blueprint), folder=run.folder, worker=Worker())
    if run.summary.get("measured") != experiment.instruments.fingerprint:
        findings.remarks.append("it was measured by another version, network or reference than is here")
    return experiment


def _words(run: FinishedRun, words: Sequence[str], out_dir: Path) -> list[str]:
    """Return the words of the run's command with those that say where this is done.

    Raises:
        ValueError: a word says something else, or packages that the command named are not given.
    """
    if Path(shlex.split(run.summary["command"])[1]).name != "run.py":
        raise ValueError(f"{run.folder} was made by {run.summary['command']}; audits are of what run.py has made")
    run.require_places(words)
    for word in words:
        if not any(key_of(word) == key or key_of(word).startswith(f"{key}.") for key in OPEN_KEYS):
            raise ValueError(f"{word} would make another run than that on record; audits take {', '.join(OPEN_KEYS)}")

    # Batches are those that shards were made in, if these are of one shape.
    additions = list[str]()
    for key in BATCHES:
        sizes = {note[key] for note in run.files.store.notes() if key in note}
        additions += [f"{key}={size}" for size in sizes if len(sizes) == 1 and type(size) is int]
    additions += [f"images={run.summary['images']}", "tracker=none", "verify=false", f"out_dir={out_dir}", *words]
    latest = {key_of(word): word for word in (*run.words, *additions)}
    return list(latest.values())


def _recorded(config: DictConfig, saved: Mapping[str, Any]) -> DictConfig:
    """Return a configuration with what a `config.yaml` says in the place of what it says of the same."""
    config = config.copy()
    OmegaConf.set_struct(config, False)
    for key in GROUPS:
        if key in saved:
            config[key] = _laid_over(config[key], saved[key])
    config.dataset.images = _laid_over(config.dataset.images, saved["dataset"]["images"])
    config.seed, config.shard = saved["seed"], saved["shard"]
    return config


def _laid_over(node: Any, saved: Mapping[str, Any]) -> Any:
    """Return a saved node with what it leaves out, such as the device, if that is of the same class."""
    same = node.get("_target_") == saved.get("_target_")
    return OmegaConf.merge(node, saved) if same else saved


def _other_weights(run: FinishedRun, blueprint: Blueprint) -> Iterator[str]:
    """Yield a sentence on each file of weights that is not the one on record."""
    here = blueprint.record["weights"]
    for name, content in run.config.get("weights", {}).items():
        if here.get(name) != content:
            yield f"weights {name} are {content[:16]} on record, and {str(here.get(name))[:16]} here"


def _remake(remaking: Remaking, count: int, seed: int, findings: Audit) -> None:
    """Make images of drawn problems again, and enter what that shows."""
    indices = remaking.draw(count, seed)
    elsewhere = sorted({text for index in indices if (text := remaking.elsewhere(index))})
    how = "to the bit"
    if elsewhere:
        how = f"within {LEVELS} of 255 levels, {REWARD:g} of 1 + |reward|, and the same NFE"
        findings.remarks.append(f"bits are not compared, made elsewhere: {' and '.join(elsewhere)}")
        if unseen := remaking.unseen(indices):
            findings.remarks.append(
                f"of {len(unseen)} of these problems no image is stored, so that rewards and NFE alone are compared"
            )
    findings.hold(
        f"{len(indices)} of {remaking.run.summary['images']:,} problems (--seed {seed}), made again at all "
        f"{len(remaking.experiment.caps)} caps, {how}, and their features within {FEATURE:g}",
        remaking.differences(indices),
    )
