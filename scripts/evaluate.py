"""Metrics of any images against a reference, without a model.

    python scripts/evaluate.py cifar10-train outputs/.../seed=0-1a2b3c4d
    python scripts/evaluate.py VIRTUAL_imagenet256_labeled.npz samples.npz --metrics fid,sfid,openai_isc,prc
    python scripts/evaluate.py digits samples.npz dataset=digits metric=standard

REFERENCE is images or a `.npz` of statistics; SAMPLE is images: cifar10-train and the like, a folder, a `.npz` with
`arr_0` (`arr_1`) or `arr` (`label_arr`), or a run's folder. Both sides have one size and as many channels.

Words of run.py after them say what measures: `dataset=` its network (dataset/report=, dataset.report.*), `metric=` the
metrics, `device=` where; `plugins=` and `hydra.searchpath=` as there. REFERENCE may then be the dataset's name, which
stands for its own reference, and a folder is read as dataset.reference says. A run is measured by its own words unless
others are given.

Without words Inception measures, and options say how. Metrics that nobody named (`--metrics`, `metric=`) and that the
reference, the network or the number of images cannot serve are left out, which is said; a named one is refused.
"""

from __future__ import annotations

import argparse
import logging
from dataclasses import replace
from typing import get_args

from its.config.hydra_node import first_part
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
from its.metric.reference_source import check_shape
from its.metric.sfid import SFid
from its.process.command import Parser, command
from its.process.leave import exits_as_errors
from its.rerun.evaluation import Evaluation, words_of_run
from its.rerun.finished_run import key_of
from its.rerun.image_sets import open_images

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

DOUBLED = {
    "metrics": "metric=",
    "crop": "dataset.reference.crop=",
    "size": "dataset.reference.size=",
    "root": "dataset.reference.root=",
    "weights": "dataset.report.weights=",
    "device": "device=",
    "any_shape": "dataset.any_shape=true",
}
"""Options, and the words that say the same."""


def evaluate(options: argparse.Namespace) -> tuple[dict[str, float], str]:
    """Return the metrics' numbers by column, and the sentence that stands beside them; see the page above.

    Raises:
        ValueError: a named metric is unknown or cannot be served, or something cannot be read.
    """
    for name, word in DOUBLED.items() if options.words else ():
        if getattr(options, name) is not None:
            raise ValueError(f"--{name.replace('_', '-')} stands beside words of run.py; say it as {word}")
    images = open_images(options.sample, root=options.root or "data", cap=options.cap)
    evaluation = _evaluation(options, images)
    source = evaluation.open_reference(
        options.reference, crop=options.crop or "none", size=options.size, root=options.root or "data"
    )
    any_shape = bool(options.any_shape or evaluation.dataset.get("any_shape"))
    option = DOUBLED["any_shape"] if options.words else "--any-shape"
    check_shape(source, images.shape, any_shape=any_shape, option=option)
    return evaluation.measure(source, images), evaluation.protocol(source, images)


def _evaluation(options: argparse.Namespace, images: ImageSet) -> Evaluation:
    """Load what measures: by the words, else by a run's own, else Inception."""
    # Read the metrics' names.
    names: list[str] | None = options.metrics
    if strangers := [name for name in names or () if name not in METRICS]:
        raise ValueError(f"metric {strangers[0]!r} is not among {', '.join(METRICS)}")
    metrics = {name: METRICS[name] for name in names or USUAL}

    # Without words, of what is no run or with Inception's file, Inception measures.
    words = words_of_run(images, options.words) if options.weights is None else None
    if words is None and not options.words:
        extractor = InceptionFeatures(options.weights, spatial="sfid" in metrics, device=options.device or "cpu")
        return Evaluation(extractor, metrics, names is not None)
    named = any(first_part(key_of(word)) == "metric" for word in options.words)
    device = f"device={options.device or 'cpu'}"
    evaluation = Evaluation.of([*(words or ()), device, *options.words], named=named)
    return evaluation if names is None else replace(evaluation, metrics=metrics, named=True)


@command
def main() -> None:
    parser = Parser(__doc__)
    # Read the command line.
    parser.add_argument("reference")
    parser.add_argument("sample")
    parser.add_argument("words", nargs="*", metavar="key=value", help="words of run.py")
    parser.add_argument("--metrics", type=lambda text: text.split(","), help=f"among {', '.join(METRICS)}")
    parser.add_argument("--cap", type=int, default=-1, help="position among a run's caps; default: the last")
    parser.add_argument("--crop", choices=get_args(Crop), help="of a folder of the reference")
    parser.add_argument("--size", type=int, help="height and width after --crop")
    parser.add_argument("--any-shape", action="store_true", default=None, help="sizes and channels may differ")
    parser.add_argument("--root", help="torchvision's folder; default: data")
    parser.add_argument("--weights", help="Inception's file; default: $ITS_INCEPTION, else torch's hub cache")
    parser.add_argument("--device", help="default: cpu")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_intermixed_args()

    # Measure, and print.
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with exits_as_errors():
        numbers, protocol = evaluate(options)
    lines = [*(f"{column:<14}{value:.7g}" for column, value in numbers.items()), protocol]
    print(to_json({**numbers, "protocol": protocol}) if options.json else "\n".join(lines))


if __name__ == "__main__":
    main()
