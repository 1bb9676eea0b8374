"""Measure real images once, for `dataset.statistics=<file>` and scripts/evaluate.py.

    python scripts/prepare_reference.py cifar10-train cifar10.npz
    python scripts/prepare_reference.py photos/ photos.npz --crop adm --size 256 --spatial
    python scripts/prepare_reference.py batch.npz stats.npz --format edm
    python scripts/prepare_reference.py train/ dinov2.npz --network dinov2 --crop adm --size 256    FD-DINOv2's

IMAGES is cifar10-train, cifar10-test, cifar100-train, cifar100-test, a folder, a `.npz` or a run's folder. Statistics
that a `.npz` holds (OpenAI's, EDM's, pytorch-fid's) are kept; what its images can add to them is measured.
Formats: `its` holds features too (for KID, precision, recall and FID per class), `openai` the images beside the
statistics, `edm` and `pytorch-fid` mean and covariance alone. What is measured is also kept in ~/.cache/its (or
$ITS_CACHE) by the content of the images, so that a second time costs nothing.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import get_args

from its.dataset.class_names import IMAGENET
from its.dataset.folder import Crop
from its.metric.dinov2 import Dinov2Features
from its.metric.inception import InceptionFeatures
from its.metric.statistics_file import Format, write_statistics
from its.process.command import Parser, command
from its.rerun.image_sets import open_reference


@command
def main() -> None:
    parser = Parser(__doc__)
    # Read the command line.
    parser.add_argument("images")
    parser.add_argument("out", type=Path, help="a .npz; it must not exist")
    parser.add_argument("--format", choices=get_args(Format), default="its")
    parser.add_argument("--spatial", action="store_true", help="sFID's features too")
    parser.add_argument("--crop", choices=get_args(Crop), default="none", help="of a folder's images")
    parser.add_argument("--size", type=int, help="height and width after --crop")
    parser.add_argument("--class-names", choices=(IMAGENET,), help="what a folder's class folders are called by")
    parser.add_argument("--root", default="data", help="torchvision's folder")
    parser.add_argument("--network", choices=("inception", "dinov2"), default="inception", help="what measures")
    parser.add_argument("--weights", help="its file; default: $ITS_INCEPTION, else torch's hub cache; its folder")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if options.out.exists() or options.out.suffix != ".npz":
        raise ValueError(f"out is {options.out}; it is a new file that ends in .npz")

    # Measure, and write.
    extractor = _network(options)
    source = open_reference(
        extractor,
        options.images,
        crop=options.crop,
        size=options.size,
        class_names=options.class_names,
        root=options.root,
    )
    write_statistics(options.out, options.format, source.load(), source.images, extractor.fingerprint)
    kind = "statistics" if source.images is None else f"{len(source.images)} images"
    print(f"{options.out.absolute()}: {kind} of {options.images}, format {options.format}")


def _network(options: argparse.Namespace) -> InceptionFeatures | Dinov2Features:
    """Load what measures.

    Raises:
        ValueError: sFID's features are asked of DINOv2, or there is no such network.
    """
    if options.network == "inception":
        return InceptionFeatures(options.weights, spatial=options.spatial, device=options.device)
    if options.spatial or options.format == "openai":
        raise ValueError(
            "--network dinov2 makes neither sFID's features nor OpenAI's files, which are read as Inception's; leave "
            "out --spatial, and choose another --format"
        )
    return Dinov2Features(**({} if options.weights is None else {"weights": options.weights}), device=options.device)


if __name__ == "__main__":
    main()
