"""DTS: diffusion tree sampling, and its greedy form DTS* (Jain et al. 2025, arXiv:2506.20701, Algorithm 1).

Deviation: the image is the best of all rollouts, not a further walk's; DTS* has no exploration bonus, whose constant
is not published.
"""

from dataclasses import dataclass

from its.parameters import ABOVE_ZERO
from its.particles.image import Image
from its.particles.verbs import advance, reward
from its.search.parts.resampling import normalised
from its.search.parts.rules import SHARE, STEPS
from its.search.parts.spread import branchings
from its.search.parts.tree import Node, inverse_temperature
from its.search.search import Coroutine, Search, Size, sized

FIRST = 10
"""Rewards that lambda is taken from."""


@dataclass(frozen=True)
class DTS(Search):
    """Walk down a tree of states by their values, branch off, go on to an image, and hand its reward back up.

    NFE = one tail a rollout: what the way costs from the state that it branches off, whose evaluation is known.
    """

    every: float = 0.2  # states after every so many steps (>= 1), or such a share of the sampling (< 1), join the tree
    width: float = 1.0  # C; a state with N visits has at most ceil(C N^alpha) children
    growth: float = 0.5  # alpha, above 0 and at most 1
    strength: float | None = None  # lambda; null is 1 / standard deviation of the first ten rewards
    greedy: bool = False  # DTS*: go to the child of highest value; else draw one by exp(lambda value)
    rollouts: Size = sized(natural=100)  # null under a cap
    anytime = True
    needs_noise = True
    moves_starts = False

    def __post_init__(self) -> None:
        self.check(every=STEPS, width=ABOVE_ZERO, growth=SHARE, strength=ABOVE_ZERO, rollouts=1)

    def run(self, image: Image) -> Coroutine:
        levels = [*(image.grid[i] for i in branchings(image, self.every)), image.grid[-1]]
        root, tree, rewards, strength = Node(), list[Node](), list[float](), 1.0
        while self.rollouts is None or len(rewards) < self.rollouts:
            # Select: walk down to a state that may have one more child, or to an image that is there.
            walk = [root]
            while len(walk[-1].children) >= self.width * walk[-1].visits ** self.growth:
                walk.append(self._selected(walk[-1].children, strength, image))
            # Expand it and roll out; every state on the way to an image joins the tree.
            for level in levels[len(walk) - 1 :]:
                [particle] = yield advance([walk[-1].particle or image.start()[0]], to=level)
                walk.append(Node(particle))
                walk[-2].children.append(walk[-1])
            # Back up: the whole tree as long as lambda changes, from then on the walk.
            *states, end = walk
            if end.particle:
                [end.value] = yield reward([end.particle])
                end.particle = None
                rewards.append(end.value)
                changed = states
                if len(rewards) <= FIRST:
                    tree += [state for state in states if state.visits == 1]
                    changed, strength = tree, self.strength or inverse_temperature(rewards)
                for state in reversed(changed):
                    state.back_up(strength)
            for state in states:
                state.visits += 1

    def _selected(self, states: list[Node], strength: float, image: Image) -> Node:
        if self.greedy:
            return max(states, key=lambda state: state.value)
        [k] = image.random.choice(len(states), 1, normalised([strength * state.value for state in states]))
        return states[k]
