"""Blueprints: everything about a run that a configuration decides and that can be checked without torch."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from omegaconf import DictConfig

from its import __version__
from its.config import names
from its.config.checks import GROUPS, check_root, check_types
from its.config.dataset_words import settled_dataset
from its.config.folder import check_folder, folder_of
from its.config.identity import hash8, measured_by, record
from its.config.instantiate import TARGET, check_targets, defined, instantiate, packages_of
from its.config.kinds import Kind, Work
from its.config.oracle_run import run_kind
from its.config.parts import Parts
from its.config.problems import check_list, check_prompt, settled_images
from its.config.provenance import Provenance
from its.config.run_place import placed
from its.config.scorers import check_scorers, held_out
from its.config.secrets import check_keys, check_secrets
from its.config.smoke import Twin, settled, with_twins
from its.config.sources import Sources, measuring
from its.config.unknown import resolved
from its.disk.files import DamagedFile
from its.disk.run_folder import RunFolder
from its.process.command import typed
from its.search.search import guidance_under, require_search
from its.tracker.tracker import TrackedRun

PLACES = ("out_dir", "plugins", "plan", "tracker", "reporting", "verify")
"""Keys that say where a run is, who is told of it, or what is looked at again."""


@dataclass(frozen=True)
class Blueprint(Parts):
    """A checked configuration of which no network has been loaded.

    Attributes:
        twins: of a smoke run.
        overrides: the command line's.
        kind: what makes images and what searches a grid are two kinds.
        label: what the run is called by; a guidance is part of the search's.
        record: what decides the results, as `config.yaml` holds it. folder: of the run.
    """

    twins: tuple[Twin, ...]
    overrides: tuple[str, ...]
    kind: Kind
    label: dict[str, str]
    record: dict[str, Any]
    folder: Path

    @classmethod
    def of(
        cls, config: DictConfig, choices: dict[str, str], overrides: tuple[str, ...], *, planning: bool = False
    ) -> Self:
        """Check what needs no network.

        Args:
            config, choices, overrides: see `its.config.composed.Composed`.
            planning: weights may be absent.

        Raises:
            ValueError: a value breaks a rule; the message says which and what to do.
            FileNotFoundError: weights are nowhere, and this is no plan.
        """
        plain, twins, packages = checked(resolved(config), choices)
        if not planning:
            check_list(plain["dataset"])
        check_scorers(plain, packages)

        # Make the parts that need no network.
        if TARGET in plain["search"] and isinstance(kind := defined(plain["search"][TARGET], packages), type):
            require_search(kind)
        objects = {group: instantiate(plain[group], packages) for group in ("sampler", "guidance", "search", "budget")}
        for group in (*GROUPS, "guide", "report"):
            check_types(plain[group], group)
        kind = run_kind(Parts(plain, choices, packages, **objects))
        objects["guidance"] = guidance_under(objects["search"], objects["guidance"])

        # Its kind decides whether they go together, and what the run is called.
        parts = Parts(plain, choices, packages, **objects)
        kind.check(parts)
        label = kind.label(parts)
        decisive = record(kind.sections(parts), planning=planning)
        return cls(
            plain,
            choices,
            packages,
            **objects,
            twins=tuple(twins),
            overrides=tuple(overrides),
            kind=kind,
            label=label,
            record=decisive,
            folder=folder_of(plain["out_dir"], plain["name"], label, decisive),
        )

    @cached_property
    def metrics_config_hash(self) -> str:
        """Hash of the configuration's measuring; files of images and statistics count by their names."""
        return hash8([__version__, measured_by(measuring(self.plain))])

    @property
    def former_metrics_config_hash(self) -> str:
        """The same hash by the rule until November 2026, so that runs of then are known to be finished."""
        return hash8({"its": __version__, **names.in_first_names(measuring(self.plain))})

    @property
    def config(self) -> dict[str, Any]:
        """The content of the folder's `config.yaml`, as far as it is known before images are loaded."""
        return {**self.record, **self.kind.layout(self)}

    @property
    def command(self) -> str:
        """The command that makes this run again, wherever `out_dir` is; it has words of a command line alone."""
        return typed("run.py", [word for word in self.overrides if not word.startswith(("verify=", "share="))])

    @property
    def work(self) -> Work:
        """Files that are on disk and files that are missing.

        Raises:
            ValueError: a size or a cap breaks a rule.
        """
        return self.kind.work(self, self.folder)

    @property
    def finished(self) -> str:
        """A sentence if the folder says that nothing is left to do, else empty."""
        return self.kind.finished(self, self.provenance, (self.metrics_config_hash, self.former_metrics_config_hash))

    @cached_property
    def sources(self) -> Sources:
        """What makes the results and what measures them, as this process finds them when it is first asked."""
        return self.kind.sources(self)

    @property
    def provenance(self) -> Provenance:
        """The sources on record in the folder, held against those here."""
        return Provenance(RunFolder(self.folder), self.kind.results(self, self.folder), lambda: self.sources)

    def check_folder(self) -> None:
        """Refuse a folder that another configuration made, and to begin anew what lies in an older folder.

        A damaged configuration is no other one: the run makes it again.

        Raises:
            ValueError: the message says what to do.
        """
        with suppress(DamagedFile):
            check_folder(self.folder, self.config)

    def check_sources(self) -> None:
        """Refuse to go on with a folder in which another source made images, unless that is allowed.

        Raises:
            ValueError: naming both sources.
        """
        if not self.plain["allow_edited"]:
            self.provenance.check()

    def with_twins(self) -> dict[str, Any]:
        """Write a smoke run's twins unless they are there; return the configuration with their paths and the run's."""
        return placed(with_twins(self.plain, self.twins, self.packages), self.folder)

    def loads(self, plain: dict[str, Any]) -> list[Any]:
        """Return the nodes that a run is made of and measured by.

        Args:
            plain: this configuration, with or without the paths of a smoke run's twins.
        """
        return [self.kind.sections(replace(self, plain=plain)), measuring(plain)]

    def job(self) -> TrackedRun:
        """Return what a tracker is told."""
        experiment = Path(self.plain["out_dir"]).expanduser().absolute() / self.plain["name"]
        config = {key: value for key, value in self.plain.items() if key not in PLACES}
        return TrackedRun(self.folder, experiment, self.label, config)


def checked(plain: dict[str, Any], choices: Mapping[str, str]) -> tuple[dict[str, Any], list[Twin], tuple[str, ...]]:
    """Check a resolved configuration's root, keys, secrets and targets, before anything is made of it.

    Args:
        choices: the YAML chosen in each group.

    Returns:
        the configuration with a smoke run's twins in place, these twins, and whose classes a `_target_` may name.

    Raises:
        ValueError: a value breaks a rule, is a secret, or names what may not run.
    """
    check_root(plain)
    packages = packages_of(plain["plugins"])
    check_keys(plain)
    check_secrets(plain)
    smoke = plain["smoke"]
    plain, twins = settled(plain, packages)
    check_targets(plain, packages)
    plain["dataset"] = settled_dataset(plain["dataset"])
    check_prompt(plain)
    plain["images"] = settled_images(plain, packages, smoke=smoke)
    plain["report"] = held_out(plain["report"], choices, packages)
    return plain, twins, packages
