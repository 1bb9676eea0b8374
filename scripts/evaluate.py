"""Metrics of any images against a reference, without a model.

    python scripts/evaluate.py cifar10-train outputs/.../seed=0-1a2b3c4d
    python scripts/evaluate.py VIRTUAL_imagenet256_labeled.npz samples.npz --metrics fid,sfid,openai_isc,prc
    python scripts/evaluate.py photos/ generated/ --crop adm --size 64

REFERENCE is images or a `.npz` of statistics; SAMPLE is images: cifar10-train and the like, a folder, a `.npz` with
`arr_0` (`arr_1`) or `arr` (`label_arr`), or a run's folder. Without --metrics: fid, isc, kid and prc; which of them the
reference or the number of images cannot serve is said. --crop and --size are for folders of the reference. Both sides
have one size and as many channels, unless --any-shape says that they need not.
"""

from __future__ import annotations

import argparse
import logging
from typing import get_args

import numpy as np

from its.dataset.folder import Crop
from its.dataset.image_set import ImageSet
from its.disk.valid_json import to_json
from its.metric.class_fid import ClassFid
from its.metric.fid import Fid
from its.metric.inception import InceptionFeatures
from its.metric.isc import InceptionScore, OpenAIInceptionScore
from its.metric.kid import Kid
from its.metric.metric import Metric
from its.metric.prc import PrecisionRecall
from its.metric.reference import ROWS, extract_features
from its.metric.reference_source import check_shape, refusal
from its.metric.sfid import SFid
from its.process.command import Parser, command
from its.rerun.image_sets import open_images, open_reference

METRICS: dict[str, Metric] = {
    "fid": Fid(),
    "sfid": SFid(),
    "isc": InceptionScore(),
    "openai_isc": OpenAIInceptionScore(),
    "kid": Kid(),
    "prc": PrecisionRecall(),
    "class_fid": ClassFid(),
}
USUAL = ("fid", "isc", "kid", "prc")


def evaluate(reference: str, sample: str, wanted: list[str] | None, options: argparse.Namespace) -> dict[str, float]:
    """Return the metrics' numbers by column; see the page above.

    Raises:
        ValueError: a wanted metric is unknown or cannot be served, or something cannot be read.
    """
    # Open both sides, and refuse what cannot be served.
    unknown = [name for name in wanted or () if name not in METRICS]
    if unknown:
        raise ValueError(f"metric {unknown[0]!r} is not among {', '.join(METRICS)}")
    images = open_images(sample, root=options.root, cap=options.cap)
    extractor = InceptionFeatures(options.weights, spatial="sfid" in (wanted or ()), device=options.device)
    source = open_reference(extractor, reference, crop=options.crop, size=options.size, root=options.root)
    check_shape(source, images.shape, any_shape=options.any_shape, option="--any-shape")
    reasons = {name: refusal(METRICS[name], source) or shortage(name, images) for name in wanted or USUAL}
    for name, reason in reasons.items():
        if reason and wanted:
            raise ValueError(f"{name} {reason}")
        if reason:
            logging.info("not measured: %s %s", name, reason)

    # Measure.
    real, features = source.load(), extract_features(images, extractor)
    metrics = [METRICS[name] for name, reason in reasons.items() if not reason]
    return {
        column: value for metric in metrics for column, value in metric(features, real.part(metric.against)).items()
    }


def shortage(name: str, images: ImageSet) -> str:
    """Say which images are lacking for a metric; only FID by class reads their class ids first."""
    labels = np.zeros(len(images), np.int64)
    if name == "class_fid":
        labels = np.concatenate([ids for _, ids in images.batches(ROWS)])
    return METRICS[name].shortage(labels, np.unique(labels).tolist())


@command
def main() -> None:
    parser = Parser(__doc__)
    # Read the command line.
    parser.add_argument("reference")
    parser.add_argument("sample")
    parser.add_argument("--metrics", type=lambda text: text.split(","), help=f"among {', '.join(METRICS)}")
    parser.add_argument("--cap", type=int, default=-1, help="position among a run's caps; default: the last")
    parser.add_argument("--crop", choices=get_args(Crop), default="none")
    parser.add_argument("--size", type=int)
    parser.add_argument("--any-shape", action="store_true", help="sizes and channels may differ")
    parser.add_argument("--root", default="data", help="torchvision's folder")
    parser.add_argument("--weights", help="Inception's file; default: $ITS_INCEPTION, else torch's hub cache")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()

    # Measure, and print.
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    numbers = evaluate(options.reference, options.sample, options.metrics, options)
    lines = [f"{column:<14}{value:.7g}" for column, value in numbers.items()]
    print(to_json(numbers) if options.json else "\n".join(lines))


if __name__ == "__main__":
    main()
