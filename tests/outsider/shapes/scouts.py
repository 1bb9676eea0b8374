"""A search: scouts go half of the way, and the most promising goes on."""

from dataclasses import dataclass, replace

from its import Search, advance, reward, sized


@dataclass(frozen=True)
class Scouts(Search):
    """Look at the guesses of several particles on the way, and finish the best alone."""

    turn: float = 0.5  # share of the way that all scouts go
    scouts: int | None = sized(natural=4)
    needs_absolute = False

    def run(self, image):
        level = image.grid[image.in_steps(self.turn)]
        scouts = yield advance(image.start(self.scouts), to=level)
        rewards = yield reward(scouts, of="before")
        [best] = yield advance(image.best(scouts, rewards, n=1))
        yield reward([best])

    def sized_for(self, nfe, image):
        level = image.grid[image.in_steps(self.turn)]
        return replace(self, scouts=int((nfe - image.cost(level)) // image.cost(to=level)))
