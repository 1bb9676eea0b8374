"""Verdicts of a judge outside, read from its JSONL of (sha256, correct, tag) and held against what it was handed."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from hashlib import sha256
from pathlib import Path
from typing import Any

from its.disk.files import read_file
from its.disk.verdicts import HandOut, Verdicts, read_hand_outs
from its.rerun.finished_run import FinishedRun
from its.rerun.hand_out import images_of

READ = ("sha256", "correct", "tag")
IGNORED = ("file", "filename", "prompt", "reason", "metadata", "details")
"""Keys of `list.jsonl` and of GenEval's `results.jsonl` that decide nothing."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Line:
    """A line and where it stands, in words; `tag` is None where it has none."""

    place: str
    sha256: str
    correct: float
    tag: str | None


def read_lines(path: Path, *, by_file: bool = False) -> list[Line]:
    """Read a file of verdicts.

    Args:
        by_file: lines name a file that was judged (`filename`), as GenEval's results do, whose sha256 is taken here.

    Raises:
        ValueError: a line is no verdict, an image has two, or only some lines have a tag.
    """
    try:
        text = (read_file(path) or b"").decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no UTF-8 ({error.reason}); save it in UTF-8") from error
    lines = []
    for number, content in enumerate(text.split("\n"), start=1):
        if content.strip():
            try:
                lines.append(_line(f"{path}, line {number}", _entries(content), by_file=by_file))
            except ValueError as error:
                raise ValueError(f"{path}, line {number}: {error}") from error
    if not lines:
        raise ValueError(f"{path} holds no verdict; give the judge's JSONL")

    # Hold the lines against each other.
    first: dict[str, Line] = {}
    for line in lines:
        if (other := first.setdefault(line.sha256, line)) is not line:
            raise ValueError(f"{line.place}: image {line.sha256} has a verdict already, at {other.place}; keep one")
        if (line.tag is None) != (lines[0].tag is None):
            raise ValueError(f"{line.place}: either every line has a tag or none, and {lines[0].place} differs")
    return lines


def _entries(content: str) -> dict[str, Any]:
    try:
        entries = json.loads(content, object_pairs_hook=_once)
    except RecursionError as error:
        raise ValueError("this is no verdict") from error
    if not isinstance(entries, dict):
        raise ValueError(f'it is a {type(entries).__name__}; it is an object, {{"sha256": ..., "correct": true}}')
    return entries


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) < len(pairs):
        raise ValueError("a key comes twice")
    return entries


def _line(place: str, entries: Mapping[str, Any], *, by_file: bool) -> Line:
    for key in entries:
        if key not in (*READ, *IGNORED):
            near = get_close_matches(key, READ, 1)
            raise ValueError(
                f"{key} is none of {', '.join((*READ, *IGNORED))}{f'; did you mean {near[0]}?' if near else ''}"
            )
    digest = _sha256_of(entries) if by_file else entries.get("sha256")
    if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
        raise ValueError(f"sha256 is {digest!r}; it is that of the image's file, 64 hex digits")
    correct, tag = entries.get("correct"), entries.get("tag")
    if not isinstance(correct, bool | int | float) or not math.isfinite(correct) or not 0 <= correct <= 1:
        raise ValueError(f"correct is {correct!r}; it is true, false, or a number from 0 to 1")
    if "tag" in entries and not (isinstance(tag, str | int) and not isinstance(tag, bool) and str(tag).strip()):
        raise ValueError(f"tag is {tag!r}; it is a text, or left out of every line")
    return Line(place, digest, float(correct), None if tag is None else str(tag))


def _sha256_of(entries: Mapping[str, Any]) -> str:
    """Return the sha256 of the file that a line names.

    Raises:
        ValueError: there is none.
    """
    name = entries.get("filename")
    content = read_file(name) if isinstance(name, str) and "sha256" not in entries else None
    if content is None:
        raise ValueError(
            f"filename is {name!r}, which is not there; read the results where the judged files lie, in the folder "
            "that names are relative to"
        )
    return sha256(content).hexdigest()


def verdicts_of(run: FinishedRun, lines: Sequence[Line], name: str, source: str) -> Verdicts:
    """Return the verdicts of lines, if they are one for each image that was handed out.

    Args:
        name: of the judge. source: sha256 of the file that the lines are from.

    Raises:
        ValueError: an image was never handed out, one has no verdict, or the run has other images by now.
    """
    if not _NAME.fullmatch(name) or name.endswith(("_se", "_by_tag")):
        raise ValueError(f"--name is {name!r}; it is a name such as geneval: small letters, digits and _")
    hand_out = _hand_out(run, lines)
    by_digest, digests = {line.sha256: line for line in lines}, set(hand_out.files)
    if stranger := next((line for line in lines if line.sha256 not in digests), None):
        raise ValueError(
            f"{stranger.place}: {stranger.sha256} is the sha256 of no image that was handed out with the others; "
            "it is that of the file, as list.jsonl beside the images has it"
        )
    if gaps := [k for k, digest in enumerate(hand_out.files) if digest not in by_digest]:
        raise ValueError(
            f"{len(gaps)} of {len(digests)} images have no verdict, the first is of problem {gaps[0]}, with the sha256 "
            f"{hand_out.files[gaps[0]]}; judge all"
        )
    _check_images(run, hand_out)
    verdicts = [by_digest[digest] for digest in hand_out.files]
    tags = tuple(line.tag for line in verdicts if line.tag is not None)
    return Verdicts(name, hand_out.cap, tuple(line.correct for line in verdicts), tags, source, hand_out.name)


def _hand_out(run: FinishedRun, lines: Sequence[Line]) -> HandOut:
    """Return the files that lines are about: those that they name most of, and of several the fewest."""
    hand_outs = read_hand_outs(run.files)
    if not hand_outs:
        raise ValueError(f"no images of {run.folder} were handed out; python scripts/hand_out.py does it")
    digests = {line.sha256 for line in lines}
    return max(hand_outs, key=lambda each: (len(digests.intersection(each.files)), -len(each.files)))


def _check_images(run: FinishedRun, hand_out: HandOut) -> None:
    """See that a run's images are still those that were handed out.

    Raises:
        ValueError: they are not.
    """
    caps, pixels = run.summary["caps"], sha256()
    if hand_out.cap in caps and run.summary["images"] == len(hand_out.files):
        for image in images_of(run, caps.index(hand_out.cap)):
            pixels.update(image.tobytes())
    if pixels.hexdigest() != hand_out.pixels:
        raise ValueError(
            f"{run.folder} has other images than those that were judged: it has {run.summary['images']} now, and "
            f"{len(hand_out.files)} were handed out; hand them out again"
        )
