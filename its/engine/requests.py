"""Requests of searches: each is charged, in list order, and becomes work. Nothing else charges forwards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from its.engine.guiding import DECODED, Guiding
from its.engine.look import Sights
from its.engine.materialise import Materialiser
from its.engine.rows import UNMADE
from its.engine.score import Scoring
from its.engine.search_run import SearchRun, Unrewarded, Value
from its.engine.slopes import Ask, Slopes
from its.engine.state import Rollout, State
from its.engine.tape import Announcer
from its.particles.order import Rewarded
from its.particles.particle import Particle, Proposed, Start
from its.particles.prices import Prices, Route
from its.particles.probe import Probe
from its.particles.verbs import Advance, Gradient, Request, Reward, Through


class Opened(NamedTuple):
    """The parts of a request that wait for nothing.

    Attributes:
        answers: positions in the reply, and what belongs there.
        ready: rollouts whose first step needs no evaluation.
    """

    answers: list[tuple[int, Particle | Rewarded]]
    ready: list[Rollout]


class Requests:
    """Charges requests and queues their work.

    Args:
        materialiser: reserves the rows of proposals, which wait for no batch.
        probe: the level whose guess rows keep; None without one.
        announcer: is told of what will be drawn; None if noise is on no tape.
    """

    def __init__(
        self,
        prices: Prices,
        guiding: Guiding,
        scoring: Scoring,
        sights: Sights,
        slopes: Mapping[str, Slopes],
        materialiser: Materialiser,
        probe: Probe | None,
        announcer: Announcer | None = None,
    ) -> None:
        self._prices = prices
        self._guiding = guiding
        self._scoring = scoring
        self._sights = sights
        self._slopes = slopes
        self._materialiser = materialiser
        self._probe = probe
        self._announcer = announcer
        self._proposals: list[State] = []

    def open(self, run: SearchRun, request: Request) -> Opened:
        """Charge a request and begin its work; `run.pending` says how much of the reply is to come.

        Raises:
            OutOfBudget: nothing of it can be paid for.
            ValueError: it cannot be carried out; in words for the search's author.
        """
        states = [self._state_of(run, particle) for particle in request.particles]
        proposals, self._proposals = self._proposals, []
        self._materialiser.propose(proposals)
        if isinstance(request, Advance):
            return self._advance(run, request, states)
        if isinstance(request, Reward):
            return self._reward(run, request, states)
        if isinstance(request, Gradient):
            return self._gradient(run, request)
        return self._look(run, states)

    def fill(self) -> None:
        """Fill the rows that requests have only reserved, before anything is stepped or served."""
        self._materialiser.fill_proposals()

    def _advance(self, run: SearchRun, request: Advance, states: Sequence[State]) -> Opened:
        # Charge the forwards.
        if request.deterministic:
            self._prices.check_deterministic()
        plans, nfe = self._plan(run, request, states)
        clocks = _charge(run, nfe, (route[-1].clean and len(route) > 1 for _, _, route in plans))
        run.expect(len(clocks))

        # Send every particle that is paid for on its way.
        opened = Opened([], [])
        for position, (clock, (source, state, route)) in enumerate(zip(clocks, plans, strict=False)):
            if len(route) == 1:
                opened.answers.append((position, source))
                continue
            child = source.child(route[-1], deterministic=request.deterministic)
            rollout = Rollout(run, position, child, route, state, max(clock, state.guess.clock))
            rollout.deterministic = request.deterministic
            if request.noise is not None:
                rollout.noise = self._state_of(run, request.noise[position])
            self._announce(state, rollout)
            if self._guiding.begin(rollout, clock):
                opened.ready.append(rollout)
        return opened

    def _plan(
        self, run: SearchRun, request: Advance, states: Sequence[State]
    ) -> tuple[list[tuple[Particle, State, Route]], list[int]]:
        """Return each particle, its state and its route, and the cost in NFE; the first evaluation is shared."""
        plans, costs, evaluated = [], [], set()
        for particle, own, to in zip(request.particles, states, request.to, strict=True):
            route, cost = self._prices.route(particle.level, to, request.steps, particle.is_start)
            source = particle.raise_to(route[0]) if particle.is_start else particle
            state = own if source is particle else self._state_of(run, source)
            if len(route) > 1:
                cost -= self._prices.evaluation(route[0]) if state.guess_paid or state in evaluated else 0
                evaluated.add(state)
            plans.append((source, state, route))
            costs.append(cost)
        return plans, costs

    def _reward(self, run: SearchRun, request: Reward, states: Sequence[State]) -> Opened:
        self._scoring.check_role(request.by)
        if request.gradient:
            self._guiding.check_gradients()

        # Charge the forwards: an evaluation for each guess that is not paid for.
        values, nfe, evaluated = [], [], set()
        for own in states:
            value, state = _scored_of(own, request.of)
            self._scoring.check_value(value, request.by, own.level)
            free = state is None or state.guess_paid or state in evaluated
            evaluated.add(state)
            values.append((value, state))
            nfe.append(0 if free else self._prices.evaluation(own.level))
        clocks = _charge(run, nfe, _unpaid_scores((value for value, _ in values), request.by))
        run.expect(len(clocks))

        # Ask for the guesses and the scores; a finished image becomes a candidate.
        opened = Opened([], [])
        makes_candidates = request.of == "own" and request.by == "select"
        for position, (clock, (value, state)) in enumerate(zip(clocks, values, strict=False)):
            if state is not None:
                self._announce(state)
                self._guiding.ask_guess(state, clock)
            clock = max(clock, value.clock)
            if state is None and makes_candidates:
                run.unrewarded.append(Unrewarded(position, request.particles[position], value, clock))
            self._ask_score(run, opened, position, value, request.by, clock)
        return opened

    def _look(self, run: SearchRun, states: Sequence[State]) -> Opened:
        # Charge an evaluation for each guess that is not paid for; verifiers have no part in it.
        nfe, evaluated = [], set()
        for state in states:
            free = state.level.clean or state.guess_paid or state in evaluated
            evaluated.add(state)
            nfe.append(0 if free else self._prices.evaluation(state.level))
        clocks = _charge(run, nfe, [False] * len(nfe))
        run.expect(len(clocks))

        # Ask for the guesses, and for their numbers.
        for position, (clock, state) in enumerate(zip(clocks, states, strict=False)):
            if not state.level.clean:
                self._announce(state)
                self._guiding.ask_guess(state, clock)
            self._sights.ask(run, position, state)
        return Opened([], [])

    def _gradient(self, run: SearchRun, request: Gradient) -> Opened:
        if request.through != run.search.takes_gradients:
            raise ValueError(
                f"asked for gradients through={request.through!r}, and the search states "
                f"takes_gradients = {run.search.takes_gradients!r}; state the one that it asks for"
            )

        # Charge the forwards.
        [slopes] = self._slopes.values()
        ways, nfe, evaluated = [], [], set()
        for particle in request.particles:
            route: Route = (particle.level,)
            source, cost, scale = particle, self._prices.evaluation(particle.level), 1.0
            if request.through == "sampler":
                route, cost = self._prices.route(particle.level, None, request.steps, particle.is_start)
                source = particle.raise_to(route[0]) if particle.is_start else particle
                scale = self._prices.raised(particle.level, route[0])
            state = self._state_of(run, source)
            known = request.through == "guess" and (state.guess_paid or state in evaluated)
            evaluated.add(state)
            ways.append((source, state, route, scale))
            nfe.append(0 if known else cost)
        clocks = _charge(run, nfe, [request.through == "sampler"] * len(nfe))
        run.expect(len(clocks))

        # Charge the way back, and ask.
        for position, (clock, (source, state, route, scale)) in enumerate(zip(clocks, ways, strict=False)):
            rollout = None
            if request.through == "sampler":
                rollout = Rollout(run, position, source.child(route[-1]), route, state, clock)
            self._charge_back(run, request.through, clock, route)
            self._announce(state, rollout)
            if request.through == "guess":
                self._guiding.ask_guess(state, clock)
            elif request.through == "network":
                state.pay(clock)
            slopes.ask(Ask(run, position, state, rollout, scale))
        return Opened([], [])

    def _charge_back(self, run: SearchRun, through: Through, clock: int, route: Route) -> None:
        """Record the backward passes of a slope, and its calls of guide and decoder."""
        ledger = run.image.ledger
        for column in ("guide_calls", *(DECODED if self._scoring.decodes else ())):
            ledger.call(column, clock)
        if through != "guess":
            levels = route if through == "network" else route[:-1]
            ledger.call("nfe_backward", clock, sum(map(self._prices.evaluation, levels)))

    def _announce(self, state: State, rollout: Rollout | None = None) -> None:
        """Announce to a tape what a state's evaluation draws, or that of a way down from it."""
        if self._announcer is None:
            return
        if rollout is None:
            self._announcer.guess(state)
        else:
            self._announcer.rollout(rollout, state)

    def _ask_score(self, run: SearchRun, opened: Opened, position: int, value: Value, role: str, clock: int) -> None:
        """Answer with the value's score, or wait for it; the first who asks pays for the calls."""
        score = value.scores.get(role)
        if isinstance(score, list):
            score.append(position)
        elif score is not None:
            opened.answers.append((position, score))
        else:
            ledger = run.image.ledger
            for part in self._scoring.view(value, role) if self._scoring.decodes else ():
                if part.pay_decode():
                    ledger.call("decoder_calls", clock)
            ledger.call("verifier_calls", clock)
            value.scores[role], value.calls[role] = [position], clock
            self._scoring.ask(value, role)

    def _state_of(self, run: SearchRun, particle: Particle) -> State:
        """Return the particle's state; the parents of a recipe get theirs first."""
        if particle.image is not run.image:
            raise ValueError(
                "used a particle of another image; every image is made by itself, and its particles are kept in "
                "variables of run"
            )
        if particle.state is None:
            recipe, particle.recipe = particle.recipe, None
            probe = None
            if recipe is not None and not isinstance(recipe, Start):
                parent = self._state_of(run, recipe.parent)
                if self._probe is not None and self._probe.passed(particle.level):
                    probe = parent.guess.probe
            state = State(run, particle.level, UNMADE, 0, particle.noise_key, recipe=recipe, probe=probe)
            particle.state = state
            if isinstance(recipe, Proposed):
                self._guiding.check_proposals()
                state.guess_paid = True
                self._proposals.append(state)
        return particle.state


def _scored_of(state: State, of: str) -> tuple[Value, State | None]:
    """Return the value that is scored of a state, and the state itself if that takes its evaluation."""
    if of == "before":
        if state.before is None:
            raise ValueError("asked for the reward of='before' of a particle that no step has led to; advance it first")
        return state.before, None
    return state.guess, None if state.level.clean else state


def _charge(run: SearchRun, nfe: Sequence[int], calls: Iterable[bool]) -> list[int]:
    """Charge the items of a request in the currency of the budget; return the clock of each that is granted.

    Args:
        calls: whether an item pays for a verifier call. One that leads to an image pays for the image's by `select`:
            without that call the image is no candidate.
    """
    ledger, prefix = run.image.ledger, run.search.anytime
    if ledger.currency == "nfe":
        return ledger.charge(nfe, prefix=prefix)
    return ledger.charge([int(call) for call in calls], nfe, prefix=prefix)


def _unpaid_scores(values: Iterable[Value], role: str) -> Iterator[bool]:
    """Yield whether each value's score is still to be paid for; an image's by `select` was paid for with the image."""
    asked = set[Value]()
    for value in values:
        prepaid = role == "select" and not value.guessed
        yield not (prepaid or role in value.scores or value in asked)
        asked.add(value)
