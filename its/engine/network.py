"""The network's two kinds of work, plain and with gradients, and the steps that follow from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from its.engine.evaluate import Evaluate
from its.engine.guide import Guide
from its.engine.maker import Maker
from its.engine.pool import Pool
from its.engine.queue import Queue
from its.engine.state import State, Value, Walk
from its.engine.steps import Rows, Steps

if TYPE_CHECKING:
    from its.engine.engine import Engine


class Network:
    """Where states and walks wait for the network.

    Without guidance a row is evaluated and steps. A guidance that needs gradients through the network evaluates every
    row itself; one that needs the guess alone looks at rows that have been evaluated plainly.

    Args:
        arrive: called with each walk at the end of its route, and its last state.
        guessed: called with each guess that has become known.

    Attributes:
        kinds: the queues by name, furthest downstream first.
    """

    def __init__(
        self,
        engine: Engine,
        pool: Pool,
        maker: Maker,
        arrive: Callable[[Walk, State], None],
        guessed: Callable[[Value], None],
    ) -> None:
        model, guidance = engine.model, engine.guidance
        self.steps = Steps(engine.sampler, guidance, pool, maker, arrive, self._go_on)
        self._guide: Guide | None = None
        if guidance.needs != "nothing":
            self._guide = Guide(
                guidance,
                engine.verifiers["guide"],
                model,
                pool,
                maker,
                engine.gradient_batch // model.slots,
                self.steps,
                engine.prices.grid,
                guessed,
            )
        self._through = guidance.needs == "network"
        self._evaluate = Evaluate(model, pool, maker, engine.batch // model.slots, self._evaluated, guessed)
        gradient: dict[str, Queue] = {} if self._guide is None else {"gradient": self._guide}
        self.kinds: dict[str, Queue] = {**gradient, "evaluate": self._evaluate}

    def evaluate(self, state: State) -> None:
        """Queue a state whose guess has been paid for."""
        self._evaluate.add(state.task.order, state)

    def look(self, state: State) -> None:
        """Queue a state at which the guidance is to look."""
        assert self._guide is not None
        self._guide.add(state.task.order, state)

    def _evaluated(self, items: Sequence[State | Walk], rows: Rows) -> None:
        if self._guide is None:
            self.steps.waiting(items, rows)
        elif not self._through:
            self._guide.accept(items, rows)

    def _go_on(self, walk: Walk) -> None:
        """Queue a walk that stands at its next level."""
        if not walk.task.failure:
            queue = self._guide if self._guide is not None and self._through else self._evaluate
            queue.add(walk.task.order, walk)
