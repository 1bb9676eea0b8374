"""Images of a run as files for a judge outside, in the folders that GenEval's authors evaluate (scripts/hand_out.py).

OUT/00000/metadata.jsonl, OUT/00000/samples/0000.png, ...   a folder for each prompt of the list (djghosh13/geneval)
OUT/list.jsonl                                              sha256 and file of each image, prompt and tag
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain, islice
from pathlib import Path
from shutil import rmtree
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from its.config.problems import LIST, ONE, kind_of
from its.dataset.prompt_list import PROMPT
from its.dataset.prompts import Prompt, Prompts, find_list
from its.disk.leftovers import temporary_name
from its.disk.verdicts import HandOut
from its.rerun.finished_run import FinishedRun
from its.rerun.image_sets import RunImages

ROWS = 100
"""Images that are read at once."""


@dataclass(frozen=True)
class Layout:
    """The prompts of a list, and where their images go.

    Attributes:
        metadata: of each prompt, what its folder says of it.
    """

    metadata: tuple[Mapping[str, Any], ...]

    @classmethod
    def of(cls, run: FinishedRun, path: str | None) -> Layout:
        """Read the list that a run's prompts are of.

        Args:
            path: of the list, where it is no longer where the run found it.

        Raises:
            ValueError: the run has no list, or that is another one. FileNotFoundError: it is not there.
        """
        node = run.config["dataset"]["images"]
        settings = {key: value for key, value in node.items() if key != "_target_"}
        if kind_of(run.config["dataset"]) == ONE:
            return cls(({"prompt": Prompt(**settings).prompt},))
        if kind_of(run.config["dataset"]) != LIST:
            raise ValueError(f"{run.folder} has no list of prompts, by which images are handed out")
        data = Prompts(**{**settings, "path": _list_of(run, path or settings["path"])})
        if data.digest != run.summary["protocol"]["prompts_sha256"]:
            raise ValueError(f"{data.path} is another list than {run.folder} was made of; give that as --list")
        return cls(tuple(_metadata(data, k) for k in range(len(data))))

    def folder(self, problem: int) -> str:
        """Return the folder of a problem's prompt."""
        return f"{problem % len(self.metadata):05d}"

    def file(self, problem: int) -> str:
        """Return the file of a problem's image."""
        return f"{self.folder(problem)}/samples/{problem // len(self.metadata):04d}.png"

    def entry(self, problem: int, digest: str) -> dict[str, Any]:
        """Return a problem's line of the list."""
        metadata = self.metadata[problem % len(self.metadata)]
        texts = {key: metadata[key] for key in ("prompt", "tag") if key in metadata}
        return {"sha256": digest, "file": self.file(problem), **texts}


def _list_of(run: FinishedRun, path: str) -> str:
    try:
        return str(find_list(path))
    except FileNotFoundError as error:
        raise FileNotFoundError(f"the list of {run.folder} is not at {path}; give it as --list") from error


def _metadata(data: Prompts, index: int) -> Mapping[str, Any]:
    """Return a prompt's row of the list, the prompt as `prompt`, and its category as `tag` unless it has one."""
    row = {key: value for key, value in data.row(index).items() if key != PROMPT}
    category = data.category_of(index)
    return ({} if category is None else {"tag": category}) | row | {"prompt": data.condition(index)}


def hand_out(run: FinishedRun, out: Path, cap: int, path: str | None = None) -> HandOut:
    """Write a run's images at a cap to a new folder, and beside the run which files these are.

    Args:
        cap: position among the run's caps. path: of the list of prompts, see `Layout.of`.

    Raises:
        FileExistsError: `out` is there. ValueError: images or list are not as the run has them.
    """
    # See that everything is there.
    if os.path.lexists(out):
        raise FileExistsError(f"{out} is there already; name a new folder")
    layout, images = Layout.of(run, path), images_of(run, cap)
    value = run.summary["caps"][cap]

    # Write the files under another name, and the record of them before they appear.
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary, digests, pixels = temporary_name(out), list[str](), sha256()
    try:
        for problem, image in enumerate(images):
            content = png(image, f"{run.folder.name}, cap {value}, problem {problem}")
            file = temporary / layout.file(problem)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            digests.append(sha256(content).hexdigest())
            pixels.update(image.tobytes())
        for problem, metadata in enumerate(layout.metadata[: len(digests)]):
            file = temporary / layout.folder(problem) / "metadata.jsonl"
            file.write_text(json.dumps(metadata) + "\n", encoding="utf-8")
        lines = (json.dumps(layout.entry(k, digest)) + "\n" for k, digest in enumerate(digests))
        (temporary / "list.jsonl").write_text("".join(lines), encoding="utf-8")
        record = HandOut(value, pixels.hexdigest(), tuple(digests))
        record.keep(run.files)
        temporary.rename(out)
    finally:
        rmtree(temporary, ignore_errors=True)
    return record


def images_of(run: FinishedRun, cap: int) -> Iterator[np.ndarray]:
    """Return the images of a run at a cap, uint8 `[H, W, C]`, in the order of its problems.

    Args:
        cap: position among the run's caps.

    Raises:
        ValueError: there is no such cap, or the images are not kept, or damaged.
    """
    batches = RunImages(run.folder, cap).batches(ROWS)
    return islice(chain.from_iterable(images for images, _ in batches), run.summary["images"])


def png(image: np.ndarray, note: str) -> bytes:
    """Return an image as PNG; a note in it tells files apart that show the same."""
    info, content = PngInfo(), io.BytesIO()
    info.add_text("its", note)
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(content, "png", pnginfo=info)
    return content.getvalue()
