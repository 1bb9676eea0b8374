"""Classifiers of timm and transformers, by folder or hub name, with the preparation that their files say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from inspect import signature
from typing import Any

from its.classifier.classifier import ImageClassifier
from its.classifier.labels import ASSUMED, class_order
from its.classifier.preparation import of_timm, require_same_pixels
from its.classifier.transformers_files import OTHER, load_with_processor
from its.model.checkpoint import fit, read, stored
from its.model.config_file import ConfigFile
from its.model.transformers_network import STEMS
from its.weights import Device, Weights, locate

TIMM: Mapping[str, Any] = {
    **dict.fromkeys(("num_features", "global_pool", "label_descriptions"), Any),
    "architecture": str,
    "num_classes": int,
    "model_args": Mapping[str, Any],
    "label_names": Sequence[str] | None,
    "pretrained_cfg": Mapping[str, Any],
}
"""The allow-list of timm's `config.json`, beside `pretrained_cfg`."""


def load(
    weights: Weights,
    *,
    weights_key: str | None = None,
    classes: str | Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
    assume_order: ASSUMED | None = None,
    device: Device = "cpu",
) -> ImageClassifier:
    """Load a classifier of timm or transformers; `config.json` says of which.

    Args:
        weights: a folder or a name on the hub.
        weights_key: the variant of transformers' weights (`fp16`), or of several state dicts in a `.bin` of timm the
            one that is meant; None is the one without a name, the only one, or the exponential moving average.
        classes: the dataset's class names, or `imagenet`, matched with the checkpoint's by name; None is its own order.
        labels: the checkpoint's class names in its order, where it has none (LABEL_0) or says them otherwise.
        assume_order: the list whose order a checkpoint without names has.

    Raises:
        ValueError: its classes are not the dataset's, its preparation is unknown, or its weights do not fit.
    """
    config = ConfigFile.read(locate(weights) / "config.json", OTHER)
    classifier, names, outputs = (_timm if "architecture" in config.entries else _transformers)(
        config, weights, weights_key
    )
    if classes is not None:
        names = dict(enumerate(labels)) if labels is not None else names
        classifier.ordered(class_order(names, outputs, classes, weights, assume_order))
    return classifier.to(device)


Loaded = tuple[ImageClassifier, dict[int, str], int]
"""A classifier in its own order, its class names by index, and how many it tells apart."""


def _transformers(config: ConfigFile, weights: str, key: str | None) -> Loaded:
    """Load a classifier of transformers."""
    network, classifier = load_with_processor("AutoModelForImageClassification", config, weights, key)
    return classifier, dict(network.config.id2label), network.config.num_labels


def _timm(config: ConfigFile, weights: str, key: str | None) -> Loaded:
    """Load a classifier of timm; its settings are in `pretrained_cfg`, or in files before it all in one."""
    from timm.data import create_transform, resolve_data_config

    # Read the configuration.
    nested = "pretrained_cfg" in config.entries
    if nested:
        config.require(TIMM)
    flat = {name: value for name, value in config.entries.items() if name not in TIMM and name != "labels"}
    settings = ConfigFile(config.path, config.needed("pretrained_cfg") if nested else flat, OTHER)
    arguments = dict(config.get("model_args", {}))
    if "in_chans" in arguments and "input_size" in settings.entries:
        sides = settings.entries["input_size"][1:]
        settings = ConfigFile(config.path, {**settings.entries, "input_size": [arguments["in_chans"], *sides]}, OTHER)
    options = of_timm(settings)

    # Make the network, and load its weights.
    network = _network_of_timm(config, arguments)
    file, _ = stored(config.path.parent, STEMS, None)
    fit(network, read(str(file), key), weights, f"its config.json says {config.entries['architecture']}")

    # Compare the preparation with timm's own.
    transform = create_transform(**resolve_data_config(pretrained_cfg=dict(settings.entries)), is_training=False)
    classifier = ImageClassifier(network, **options)
    require_same_pixels(classifier, transform, settings, len(options["mean"]))
    names = config.get("label_names", None) or settings.get("label_names", None) or config.get("labels", None) or []
    return classifier, dict(enumerate(names)), config.needed("num_classes")


def _network_of_timm(config: ConfigFile, arguments: Mapping[str, Any]) -> Any:
    """Make the network of timm's `config.json`, which pools as it is said there."""
    import timm

    # Make it.
    architecture, count = config.needed("architecture"), config.needed("num_classes")
    if not timm.is_model(architecture):
        raise config.refusal("architecture", "timm has no such network")
    if taken := signature(timm.create_model).parameters.keys() & arguments.keys() - {"kwargs"}:
        raise config.refusal("model_args", f"{', '.join(sorted(taken))} is not of the network")
    try:
        network = timm.create_model(architecture, pretrained=False, num_classes=count, **arguments)
    except (TypeError, ValueError, RuntimeError, KeyError, AssertionError) as error:
        raise config.refusal("model_args", f"timm makes no such network ({error})") from error

    # Compare the pooling, which timm writes down and does not read.
    head = getattr(network, "head", None)
    places = ((head, "global_pool"), (head, "pool_type"), (network, "global_pool"))
    pools = [getattr(pool, "pool_type", pool) for place, name in places if (pool := getattr(place, name, None))]
    pool = next((pool for pool in pools if isinstance(pool, str)), None)
    if config.get("global_pool", None) not in (None, "", pool):
        raise config.refusal("global_pool", f"{architecture} pools by {pool!r}", "write it into model_args too")
    return network
