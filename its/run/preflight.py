"""Few rows, then a batch, on their way through every part of a run, before anything is sampled; misfits are named."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.modules.module import register_module_forward_pre_hook

from its.disk.store import Arrays
from its.engine import Engine
from its.engine.guide import decodes
from its.engine.rehearsal import check_batches
from its.levels import Columns
from its.metric.metric import Metric, shortage_of
from its.metric.reference import Reference
from its.particles.verbs import Through
from its.run.conditions import labels_of
from its.run.instruments import IMAGES, Instruments, given, try_extractor
from its.types import Condition
from its.verifier.verifier import checked, guesses_like, require_conditions

ROWS = 2
"""Rows that each part is given: of one alone it would not be seen whether each gets a result of its own."""

REFERENCE_ARRAYS = (("moments", "features"), ("spatial", "spatial"), ("images", "features"), ("second", "second"))
"""Parts of a reference, and the arrays that are compared with them."""

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
"""Types of a model's and a decoder's rows."""


def check_fit(
    engine: Engine, instruments: Instruments, conditions: Sequence[Condition], through: Through | None = None
) -> None:
    """Pass rows through network, decoder, verifiers and extractor, and see that the reference serves the metrics.

    A batch of each kind follows. Nothing is charged, and random numbers and batch statistics stay as they were.

    Args:
        conditions: of every problem.
        through: what gradients go through that the search takes; None if it takes none.

    Raises:
        ValueError: naming the part, what it is given, what is expected of it, and the remedy.
    """
    for verifier in (*engine.verifiers.values(), *(each.verifier for each in instruments.held_out)):
        require_conditions(verifier, conditions)
    labels = labels_of(conditions)
    condition = conditions[int(labels.argmax())]
    with _traceless(engine.model.device):
        with _as_they_are():
            images = _check_model(engine, condition)
            _check_verifiers(engine, images, condition)
            arrays = _check_extractor(instruments, images)
            _check_held_out(instruments, tuple(images.shape[1:]), condition)
        check_batches(engine, condition, through)
    _check_classes(instruments.metrics, arrays, int(labels.max()))
    _check_reference(instruments, arrays, labels)


@contextmanager
def _traceless(device: torch.device) -> Iterator[None]:
    """Keep random numbers as they are, and gradients off."""
    states = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []), torch.no_grad():
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002


@contextmanager
def _as_they_are() -> Iterator[None]:
    """Compile no network for few rows, and refuse those in training mode before they learn from a row."""
    compiles = "torch._dynamo" in sys.modules  # to import it takes seconds
    hook = register_module_forward_pre_hook(_refuse_training)
    try:
        with torch.compiler.set_stance("force_eager") if compiles else nullcontext():
            yield
    finally:
        hook.remove()


def _refuse_training(module: nn.Module, inputs: Any) -> None:
    drops = isinstance(module, _DropoutNd) and module.p > 0 and module.training
    mixes = isinstance(module, _BatchNorm) and (module.training or module.running_mean is None)
    if drops or mixes:
        raise ValueError(
            f"its {type(module).__name__} is in training mode, so that a row's result depends on its company; call "
            ".eval() where it is loaded"
        )


def _check_model(engine: Engine, condition: Condition) -> Tensor:
    """Evaluate and decode rows at the noisiest level; return images of zeros as the decoder makes them."""
    model, rows = engine.model, min(ROWS, engine.batch // engine.model.slots)
    x = torch.zeros((rows, *model.shape), dtype=model.dtype, device=model.device)
    what = "rows, asked for {condition}; correct the model, or dataset.images.num_classes where it is asked for None"
    with given("model", x.shape, what, condition):
        guess = model(x, Columns.of(engine.prices.grid[:1] * rows, x.ndim, model.device), [condition] * rows)
    for name, part in (("x0_hat", guess.x0), ("eps_hat", guess.eps)):
        _check_made("model", name, part, x, x.shape, FLOATS)
    if model.decoder is None:
        return torch.zeros_like(guess.x0)
    with given("model.decoder", guess.x0.shape, "latents; take the decoder of this model"):
        images = model.decoder(guess.x0[: engine.decode_batch])
    latents = x[: engine.decode_batch]
    _check_made("model.decoder", "images", images, latents, (len(latents), *model.decoder.shape), FLOATS)
    return torch.zeros_like(images)


def _check_verifiers(engine: Engine, images: Tensor, condition: Condition) -> None:
    """Reward images, and take the gradient of the guide's reward."""
    images = images[: engine.verify_batch]
    conditions = [condition] * len(images)

    # Choose by the verifier that selects.
    select: Any = engine.verifiers.get("select")
    if select is not None:
        with given(
            "verifier@select", images.shape, "images, asked for {condition}; choose another verifier", condition
        ):
            reward = select.reward(images.clone(), conditions, *guesses_like(images, select))
        checked(select, reward, len(images))

    if engine.verifiers.get("guide") is not None:
        _check_guide(engine, condition)


def _check_guide(engine: Engine, condition: Condition) -> None:
    """Take the gradient of the guide's reward at rows of the model, through the decoder where it sees images."""
    # Decode the rows.
    guide: Any = engine.verifiers["guide"]
    rows = min(ROWS, engine.gradient_batch // engine.model.slots)
    x = torch.zeros((rows, *engine.model.shape), dtype=engine.model.dtype, device=engine.model.device)
    with torch.enable_grad():
        images = x.requires_grad_()
        if decodes(engine.guidance, engine.model):
            remedy = "give a decoder that gradients pass, without no_grad and detach, or set guidance=none"
            with given("model.decoder", x.shape, f"latents, for a gradient through it; {remedy}"):
                images = engine.model.decoder(x)  # type: ignore[misc]
                torch.autograd.grad(images.sum(), x, retain_graph=True)

        # Score them, and go back.
        levels = Columns.of(engine.prices.grid[:1] * rows, x.ndim, x.device)
        what = "rows, asked for {condition}; choose another verifier@guide"
        with given("verifier@guide", images.shape, what, condition):
            reward = guide.reward(images, [condition] * rows, *(levels,) * engine.guidance.noise_aware)
            if isinstance(reward, Tensor):
                torch.autograd.grad(reward.sum(), x)
    checked(guide, reward, rows)


def _check_extractor(instruments: Instruments, images: Tensor) -> Arrays:
    """Extract the arrays of images, and of one of the reference if these have another shape; return the former."""
    shape, other = tuple(images.shape[1:]), instruments.reference.shape
    arrays = try_extractor(instruments.extractor, shape, len(images))
    if other is not None and other != shape:
        try_extractor(instruments.extractor, other, what=f"of the reference as {IMAGES}")
    return arrays


def _check_held_out(instruments: Instruments, shape: Sequence[int], condition: Condition) -> None:
    """Score black images by every held-out verifier."""
    black = np.zeros((ROWS, *shape[1:], shape[0]), np.uint8)
    for each in instruments.held_out:
        what = f"{IMAGES.partition(';')[0]}, asked for {{condition}}; hold out another"
        with given(f"verifier@report {each.name}", black.shape, what, condition):
            each.scores(black, [condition] * ROWS)


def _check_classes(metrics: Mapping[str, Metric], arrays: Mapping[str, np.ndarray], largest: int) -> None:
    """Refuse a metric over classes that the held-out classifier does not know."""
    logits = arrays.get("classes", arrays.get("logits"))
    count = 0 if logits is None else logits.shape[1]
    for key, metric in metrics.items():
        if metric.reads == "classes" and largest >= count:
            raise ValueError(
                f"metric.{key} asks dataset.report for class {largest}, and it tells {count} apart, counted from 0; "
                f"take a classifier of this dataset, or leave it out: ~metric.{key}"
            )


def _check_reference(instruments: Instruments, arrays: Mapping[str, np.ndarray], labels: np.ndarray) -> None:
    """Load the reference, and compare its features, classes and number of images with what the metrics need."""
    reference = instruments.reference.load()
    for name, array in REFERENCE_ARRAYS:
        part = getattr(reference, name)
        is_there = part is not None and not instruments.reference.is_absent
        if is_there and array in arrays and part.width != arrays[array].shape[1]:
            raise ValueError(
                f"{array} of the reference have width {part.width}, and those that dataset.report makes have "
                f"{arrays[array].shape[1]}; take a reference of the same network and the same size of images"
            )

    # Its class ids are the dataset's.
    classes = getattr(instruments.data, "num_classes", 0)
    if reference.images is not None and classes and reference.images.labels.max() >= classes:
        raise ValueError(
            f"the reference has class {reference.images.labels.max()}, and the dataset has {classes}, counted from 0: "
            f"{instruments.reference.account}; correct dataset.images.num_classes or the names of the classes"
        )
    for key, metric in instruments.metrics.items():
        reason = _shortage(metric, reference, labels)
        if reason:
            raise ValueError(
                f"metric.{key} {reason} in the reference; measure against more images, or leave it out: ~metric.{key}"
            )


def _shortage(metric: Metric, reference: Reference, labels: np.ndarray) -> str:
    """Say which real images are lacking; empty if none are, or the file of statistics does not tell."""
    count = reference.moments.count
    if metric.against == "images" and reference.images is not None:
        return shortage_of(metric, reference.images.labels, np.unique(labels).tolist())
    if metric.against == "second" and reference.second is not None:
        count = reference.second.count
    if metric.against in ("moments", "second") and count is not None:
        return shortage_of(metric, np.zeros(count, np.int64), [])
    return ""


def _check_made(
    part: str, name: str, array: Any, given: Tensor, expected: Sequence[int], types: Sequence[torch.dtype]
) -> None:
    """Refuse an array of another shape or type than expected."""
    if isinstance(array, Tensor) and array.dtype not in types:
        raise ValueError(
            f"{part} makes {name} of {array.dtype}; expected is torch.float32: choose another, or convert them"
        )
    if not isinstance(array, Tensor) or tuple(array.shape) != tuple(expected):
        shape = list(array.shape) if isinstance(array, Tensor) else type(array).__name__
        raise ValueError(
            f"{part} makes {name} of shape {shape} of rows {list(given.shape)}; expected is {list(expected)}: choose "
            "another, or correct its configuration"
        )
