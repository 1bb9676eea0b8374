"""The engine: the only caller of network, decoder and verifier. Many coroutines, one batch shape."""

from its.engine.engine import Engine, Outcome, Result

__all__ = ["Engine", "Outcome", "Result"]
