"""The engine: the only caller of network, decoder and verifier. Many coroutines, one batch shape.

`Engine.run` takes a search and problems and yields results; a `Stream` admits search runs, serves queues and acts on
what comes back. Below it meets particles, searches, samplers, guidances, models and verifiers; `its.run` runs it.
"""

from its.engine.engine import SIZES, Engine
from its.engine.result import Candidate, Outcome, Result

__all__ = ["SIZES", "Candidate", "Engine", "Outcome", "Result"]
