"""Export images of a run (or of a `.npz` or folder) as PNG files, as OpenAI's `.npz`, or as one grid.

    python scripts/export_samples.py outputs/.../seed=0-1a2b3c4d samples/ --limit 100
    python scripts/export_samples.py outputs/.../seed=0-1a2b3c4d samples.npz
    python scripts/export_samples.py outputs/.../seed=0-1a2b3c4d grid.png

OUT ends in `.npz`: images `arr_0`, class ids `arr_1` where they are known. It ends in `.png`: a grid of the first 100.
Else it is a new folder of `00012_label7.png`, or `00012.png` where the class is not known.
"""

from __future__ import annotations

import logging
from itertools import chain, islice
from pathlib import Path

import numpy as np
from PIL import Image

from its.dataset.image_set import ImageSet
from its.disk.npz import write_npz
from its.disk.store import write_atomic
from its.metric.statistics_file import image_arrays
from its.process.command import Parser, command
from its.report.figures import sample_grid
from its.rerun.image_sets import open_images

GRID = 100


@command
def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("images", help="a run's folder, a .npz or a folder of images")
    parser.add_argument("out", type=Path)
    parser.add_argument("--limit", type=int, help="the first so many")
    parser.add_argument("--cap", type=int, default=-1, help="position among a run's caps; default: the last")
    options = parser.parse_args()
    if options.out.exists():
        raise ValueError(f"{options.out} is there already; name a new file or folder")
    if options.limit is not None and options.limit < 1:
        raise ValueError(f"limit is {options.limit}; it is 1 or more")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    images = open_images(options.images, cap=options.cap)
    count = export(images, options.out, options.limit)
    print(f"{options.out.absolute()}: {count} of {len(images)} images")


def export(images: ImageSet, out: Path, limit: int | None) -> int:
    """Write at most `limit` images in the form that `out` asks for; return how many."""
    most = min(len(images), limit or len(images))
    if out.suffix == ".npz":
        write_npz(out, image_arrays(images, most))
    elif out.suffix == ".png":
        most = min(most, GRID)
        blocks = (block for block, _ in images.batches(GRID))
        write_atomic(out, sample_grid(np.stack(list(islice(chain.from_iterable(blocks), most)))))
    else:
        out.mkdir(parents=True)
        pairs = (pair for batch in images.batches(GRID) for pair in zip(*batch, strict=True))
        for index, (image, label) in enumerate(islice(pairs, most)):
            name = f"{index:05d}_label{label}.png" if label >= 0 else f"{index:05d}.png"
            Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(out / name)
    return most


if __name__ == "__main__":
    main()
