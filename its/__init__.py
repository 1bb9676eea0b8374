"""its: inference-time search for diffusion models, counted to the network evaluation.

Authors of a search, a verifier, a model, a dataset, a metric import from here alone: rooms may move, these names stay.
Each is loaded when it is first used, so that importing `its` loads nothing.
"""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pandas import DataFrame

    from its.dataset.classes import Classes, ClassOrder
    from its.engine.engine import Engine
    from its.levels import Guess, Level
    from its.metric.extractor import Extractor
    from its.metric.features import Features, Moments
    from its.metric.metric import Metric
    from its.model.classifier_free import guided
    from its.model.clipping import Clipping
    from its.model.denoiser import Decoder, Denoiser, NetworkDenoiser, guess_from
    from its.model.run_as import run_as
    from its.parameters import Rule
    from its.particles.moves import Ball, LowBand, Mix, Rotate
    from its.particles.verbs import advance, gradient, numbers, reward
    from its.sampler.noise_paths import EDM, VP, Flow
    from its.search.search import Coroutine, Search, sized
    from its.types import Problem, SpeedOnly
    from its.verifier.verifier import Verifier
    from its.weights import Device, Dtype, GuidanceInterval, GuidanceScale, Weights, locate

# Threads that wait for each other must not spin: on a core that another process uses as well, spinning made the digits
# network 50 times slower. OpenMP reads this when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"

_ROOMS = {
    "its.dataset.classes": ("ClassOrder", "Classes"),
    "its.engine.engine": ("Engine",),
    "its.levels": ("Guess", "Level"),
    "its.metric.extractor": ("Extractor",),
    "its.metric.features": ("Features", "Moments"),
    "its.metric.metric": ("Metric",),
    "its.model.classifier_free": ("guided",),
    "its.model.clipping": ("Clipping",),
    "its.model.denoiser": ("Decoder", "Denoiser", "NetworkDenoiser", "guess_from"),
    "its.model.run_as": ("run_as",),
    "its.parameters": ("Rule",),
    "its.particles.moves": ("Ball", "LowBand", "Mix", "Rotate"),
    "its.particles.verbs": ("advance", "gradient", "numbers", "reward"),
    "its.sampler.noise_paths": ("EDM", "Flow", "VP"),
    "its.search.search": ("Coroutine", "Search", "sized"),
    "its.types": ("Problem", "SpeedOnly"),
    "its.verifier.verifier": ("Verifier",),
    "its.weights": ("Device", "Dtype", "GuidanceInterval", "GuidanceScale", "Weights", "locate"),
}
"""Where each public name is defined."""

_MODULES = {name: module for module, names in _ROOMS.items() for name in names}

__all__ = ["__version__", "load_sweep", *_MODULES]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'its' has no attribute {name!r}; it has {', '.join(sorted(__all__))}")
    return getattr(import_module(_MODULES[name]), name)


def load_sweep(path: str | Path) -> DataFrame:
    """Load every row of every curve below a folder as one tidy pandas frame; see `its.report.frame.load_sweep`."""
    from its.report.frame import load_sweep

    return load_sweep(path)
