"""Contact sheets: of each prompt the best image at each cap under each method, with what it scored."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from its.budget import Cap, cap_of
from its.disk.array_names import first_of
from its.disk.columns import HELD_OUT
from its.disk.delivered import image_names
from its.disk.run_folder import RunFolder
from its.disk.store import DamagedFile
from its.report.asked import PAIRWISE, REWARD, scored_columns
from its.report.categories import PromptRuns
from its.report.lettering import font, wrapped
from its.report.numbers import significant
from its.report.runs import RunRecord, UnreadableRun
from its.report.strips import seed_of

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

SIDE = 192
"""Pixels of an image's longer side; a smaller image is enlarged by whole factors."""

BLOCK = 100
"""Prompts whose images are in memory at once."""

GAP, LEFT, LINE = 10, 170, 17
"""Pixels between cells, of the column of methods, and of a line of text."""

MOST_LINES = 40
"""Lines of a prompt that a sheet shows; of a longer one the rest is left out, with dots for it."""


Picture = np.ndarray
"""A thumbnail, uint8 `[h, w, 3]`."""


def sheet_names(group: PromptRuns, suffix: str) -> list[str]:
    """Return the name of each prompt's sheet, prompts in the order in which they come."""
    return [f"prompts{suffix}/{number:04d}.png" for number in range(1, len(group.wishes.images_of) + 1)]


def sheets_of(folder: Path, group: PromptRuns, most: int | None = None) -> Iterator[bytes]:
    """Yield each prompt's sheet as PNG.

    Args:
        folder: of the experiment.
        most: sheets, of the first prompts; None for all.

    Raises:
        UnreadableRun: a shard is damaged.
    """
    seed = seed_of(group.series)
    lines = [(line.legend, [run for run in line.runs if run.seed == seed]) for line in group.series]
    lines = [(legend, runs) for legend, runs in lines if runs]
    prompts = list(group.wishes.images_of)[:most]
    for start in range(0, len(prompts), BLOCK):
        block = prompts[start : start + BLOCK]
        pictures = {run.folder: _pictures(folder, run, group, block) for _, runs in lines for run in runs}
        for number, prompt in enumerate(block, start=start + 1):
            rows = [(legend, _row(runs, group, prompt, pictures)) for legend, runs in lines]
            yield _sheet(f"{number}. {prompt}", rows)


def best_of(run: RunRecord, group: PromptRuns, prompt: str, cap: Cap) -> int:
    """Return the problem whose image of a prompt is the best of a run at a cap: by its reward, else the first."""
    problems = group.wishes.images_of[prompt]
    rewards = group.scores(run, REWARD)
    if rewards is None:
        return int(problems[0])
    of_cap = np.nan_to_num(rewards[problems, run.position(cap)], nan=-math.inf)
    return int(problems[of_cap.argmax()])


def _scores(run: RunRecord, group: PromptRuns, problem: int, cap: Cap) -> tuple[str, ...]:
    """Return what an image scored, in words."""
    words = []
    for column in scored_columns(run):
        numbers = None if column == PAIRWISE else group.scores(run, column)
        if numbers is not None:
            name = "reward" if column == REWARD else column.removeprefix(HELD_OUT)
            words.append(f"{name} {significant(float(numbers[problem, run.position(cap)]))}")
    return tuple(words)


def _pictures(
    folder: Path, run: RunRecord, group: PromptRuns, prompts: Sequence[str]
) -> dict[tuple[int, Cap], Picture]:
    """Return thumbnails of a run's best images, by problem and cap; each shard is read once."""
    files = RunFolder(folder / run.folder)
    firsts = {first_of(name): name for name in image_names(files)}
    wanted: dict[int, list[tuple[int, Cap]]] = {}
    for prompt in prompts:
        for cap in map(cap_of, run.rows):
            problem = best_of(run, group, prompt, cap)
            first = max((each for each in firsts if each <= problem), default=-1)
            wanted.setdefault(first, []).append((problem, cap))

    # Look them up, shard by shard.
    pictures = {}
    for first, places in sorted(wanted.items()):
        try:
            arrays = files.store.read(firsts[first]) if first in firsts else None
        except DamagedFile as damage:
            raise UnreadableRun(run.folder, damage) from damage
        if arrays is None:
            continue
        images, pick = arrays.get("images", ()), arrays["pick"]
        for problem, cap in places:
            row = int(pick[problem - first, run.position(cap)]) if problem - first < len(pick) else -1
            if 0 <= row < len(images):
                pictures[problem, cap] = thumbnail(images[row])
    return pictures


def _row(runs: Sequence[RunRecord], group: PromptRuns, prompt: str, pictures: Mapping[Path, Any]) -> dict[Cap, Any]:
    """Return a method's picture and scores of a prompt at each cap; the picture is None if it is not stored."""
    row = {}
    for run in reversed(runs):
        for cap in map(cap_of, run.rows):
            problem = best_of(run, group, prompt, cap)
            row[cap] = (pictures[run.folder].get((problem, cap)), _scores(run, group, problem, cap))
    return row


def thumbnail(image: np.ndarray) -> Picture:
    """Return an image `[h, w, c]` in RGB, shrunk to `SIDE` or enlarged by a whole factor up to it."""
    from PIL import Image

    height, width = image.shape[:2]
    picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).convert("RGB")
    longer = max(height, width)
    if longer > SIDE:
        size = max(1, round(width * SIDE / longer)), max(1, round(height * SIDE / longer))
        return np.asarray(picture.resize(size, Image.Resampling.LANCZOS))
    zoom = SIDE // longer
    return np.asarray(picture.resize((width * zoom, height * zoom), Image.Resampling.NEAREST))


def _sheet(title: str, rows: Sequence[tuple[str, Mapping[Cap, Any]]]) -> bytes:
    """Draw a sheet: a row for each method and a column for each cap, below the prompt."""
    from PIL import Image
    from PIL.ImageDraw import Draw

    # Measure.
    caps = sorted({cap for _, row in rows for cap in row}, key=lambda cap: cap.order)
    width = LEFT + max(2, len(caps)) * (SIDE + GAP)
    head = wrapped(title, font(14), width - 2 * GAP, MOST_LINES)
    top = GAP + len(head) * LINE + LINE
    texts = max((len(scores) for _, row in rows for _, scores in row.values()), default=0)
    tall = SIDE + texts * LINE + GAP
    canvas = Image.new("RGB", (width, top + LINE + len(rows) * tall + GAP), "white")
    pen = Draw(canvas)

    # Draw the prompt and the caps, then a row for each method.
    _text(pen, (GAP, GAP), head, 14)
    for column, cap in enumerate(caps):
        _text(pen, (LEFT + column * (SIDE + GAP), top), [str(cap)], 12)
    for k, (legend, row) in enumerate(rows):
        y = top + LINE + k * tall
        _text(pen, (GAP, y), wrapped(legend, font(12), LEFT - 2 * GAP, SIDE // LINE), 12)
        for column, cap in enumerate(caps):
            picture, scores = row.get(cap, (None, ()))
            x = LEFT + column * (SIDE + GAP)
            if picture is not None:
                canvas.paste(Image.fromarray(picture), (x, y))
            elif cap in row:
                _text(pen, (x, y), ["not stored"], 12)
            _text(pen, (x, y + SIDE), [wrapped(score, font(12), SIDE, 1)[0] for score in scores], 12)
    content = io.BytesIO()
    canvas.save(content, format="PNG")
    return content.getvalue()


def _text(pen: ImageDraw, place: tuple[int, int], lines: Sequence[str], size: int) -> None:
    """Write lines below each other from a place on."""
    x, y = place
    for k, line in enumerate(lines):
        pen.text((x, y + k * LINE), line, "black", font(size))
