"""Requests: what a search asked for is charged, in list order, and turned into work."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from its.engine.pool import UNMADE
from its.engine.state import State, Task, Value, Walk
from its.guidance.guidance import Guidance
from its.particles.image import Particle
from its.particles.order import Rewarded
from its.particles.prices import Prices, Route
from its.particles.recipes import Start
from its.particles.verbs import Advance, Reward


class Clerk:
    """The only one who charges.

    Args:
        prices: routes and their cost.
        guidance: what it asks for beside the network's forwards.
        decodes: whether a value must be decoded before it is scored.
        evaluate: called with a state whose guess has been paid for and is not known yet.
        look: called with a state at which the guidance is to look: instead of `evaluate` if it looks through the
            network, so that what scoring has evaluated the next step need not; else once its guess is known.
        step: called with a walk whose state's guess, and look, is known.
        fill: called with a task, a position of its reply, and the answer there.
        score: called with a value and the further role that has been asked to score it.
    """

    def __init__(
        self,
        prices: Prices,
        guidance: Guidance,
        *,
        decodes: bool,
        evaluate: Callable[[State], None],
        look: Callable[[State], None],
        step: Callable[[Walk], None],
        fill: Callable[[Task, int, Particle | Rewarded], None],
        score: Callable[[Value, Collection[str]], None],
    ) -> None:
        self._prices = prices
        self._decodes = decodes
        self._evaluate = evaluate
        self._look = look
        self._guided = guidance.needs != "nothing"
        self._through = guidance.needs == "network"
        self._calls = guidance.calls
        self._step = step
        self._fill = fill
        self._score = score

    def open(self, task: Task, request: object) -> None:
        """Charge a request and start its work; `task.pending` says how much the reply still lacks."""
        if isinstance(request, Advance):
            self._advance(task, request)
        elif isinstance(request, Reward):
            self._reward(task, request)
        else:
            raise TypeError(
                f"{type(task.search).__name__} yielded {request!r}; a search yields advance(...) or reward(...)"
            )

    def _advance(self, task: Task, request: Advance) -> None:
        plans, costs, seen = [], [], set()
        for particle, to in zip(request.particles, request.to, strict=True):
            route, cost = self._prices.route(particle.level, to, request.steps, particle.is_start)
            source = particle.raised(route[0]) if particle.is_start else particle
            state = self._state(task, source)
            if len(route) > 1:
                cost -= self._prices.evaluation if state.paid or state in seen else 0
                seen.add(state)
            plans.append((source, state, route))
            costs.append(cost)
        clocks = task.image.ledger.charge(costs, prefix=task.search.anytime)
        task.reply = [None] * len(clocks)
        task.pending = len(clocks)
        if self._guided:
            self._charge_looks(task, clocks, self._looks(plans))
        for position, (clock, (source, state, route)) in enumerate(zip(clocks, plans, strict=False)):
            if len(route) == 1:
                self._fill(task, position, source)
                continue
            walk = Walk(task, position, source.child(route[-1]), route, state, max(clock, state.value.clock))
            if request.noise is not None:
                walk.noise = self._state(task, request.noise[position])
            if (state.look if self._guided else state.eps) is None:
                self._await_guess(state, walk)
            else:
                self._step(walk)

    def _looks(self, plans: Sequence[tuple[Particle, State, Route]]) -> list[int]:
        """How often the guidance looks on each route; the first look at a state serves all that start there."""
        looks, seen = [], set()
        for _, state, route in plans:
            times = (len(route) - 1) * self._prices.rounds
            looks.append(times - (state.looked or state in seen) if times else 0)
            if times:
                seen.add(state)
        return looks

    def _charge_looks(self, task: Task, clocks: list[int], looks: list[int]) -> None:
        ledger = task.image.ledger
        for clock, times in zip(clocks, looks, strict=False):
            ledger.call("guide_calls", clock, times * self._calls)
            if self._through:
                ledger.call("nfe_backward", clock, times * self._prices.evaluation)

    def _await_guess(self, state: State, walk: Walk) -> None:
        state.walks += (walk,)
        if self._guided:
            self._pay_look(state, walk.clock)
        else:
            self._pay(state, walk.clock)

    def _pay_look(self, state: State, clock: int) -> None:
        """Look at a state once its guess is known; a look through the network is its evaluation."""
        if not state.looked:
            state.looked = True
            self._pay(state, clock)
            if not self._through and state.eps is not None:
                self._look(state)

    def _pay(self, state: State, clock: int) -> None:
        if not state.paid:
            state.paid = True
            state.value.clock = clock
            if self._through:
                state.looked = True
                self._look(state)
            else:
                self._evaluate(state)

    def _state(self, task: Task, particle: Particle) -> State:
        """The particle's state; a recipe's parents get theirs first."""
        if particle.image is not task.image:
            raise ValueError(f"{type(task.search).__name__} used a particle of another image")
        if particle.state is None:
            recipe, particle.recipe = particle.recipe, None
            if recipe is not None and not isinstance(recipe, Start):
                self._state(task, recipe.parent)
            particle.state = State(task, particle.level, UNMADE, 0, particle.step, recipe=recipe)
        return particle.state

    def _reward(self, task: Task, request: Reward) -> None:
        values, costs, seen = [], [], set()
        for particle in request.particles:
            value, state = self._value(task, particle, request.of)
            known = state is None or state.paid or state in seen
            seen.add(state)
            values.append((value, state))
            costs.append(0 if known else self._prices.evaluation)
        clocks = task.image.ledger.charge(costs, prefix=task.search.anytime)
        task.reply = [None] * len(clocks)
        task.pending = len(clocks)
        finished = request.of == "own" and request.by == "select"
        for position, (clock, (value, state)) in enumerate(zip(clocks, values, strict=False)):
            if state is not None:
                if self._through and not state.paid:
                    self._charge_looks(task, [clock], [1])
                self._pay(state, clock)
            elif finished:
                particle = request.particles[position]
                task.candidates.append((position, value, particle.root, max(clock, value.clock), particle.key))
            self._want(task, position, value, request.by, max(clock, value.clock))

    def _value(self, task: Task, particle: Particle, of: str) -> tuple[Value, State | None]:
        """What is scored, and the state whose evaluation that takes (None: no evaluation)."""
        state = self._state(task, particle)
        if of == "before":
            if state.before is None:
                raise ValueError(
                    f"{type(task.search).__name__} asked for the reward of='before' of a particle "
                    "that no step has led to; advance it first"
                )
            return state.before, None
        return state.value, None if particle.level.clean else state

    def _want(self, task: Task, position: int, value: Value, role: str, clock: int) -> None:
        score = value.scores.get(role)
        if isinstance(score, list):
            score.append(position)
        elif score is not None:
            self._fill(task, position, score)
        else:
            ledger = task.image.ledger
            if self._decodes and not value.scores:
                ledger.call("decoder_calls", clock)
            ledger.call("verifier_calls", clock)
            value.scores[role] = [position]
            self._score(value, (role,))
