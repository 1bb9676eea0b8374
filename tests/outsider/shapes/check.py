"""Compare 50 steps of `its` with this network's own solver, from the same noise: `python -m shapes.check WEIGHTS`."""

import sys

import torch
from shapes.vit import FlowMatching, solve

from its import Engine, Problem
from its.engine.tape import Tape
from its.sampler.euler import Euler
from its.search.random import Random

STEPS, ROWS = 50, 4


class Keeper:
    """A verifier that keeps the images that it is shown."""

    absolute = True

    def reward(self, images, conditions):
        self.images = images.clone()
        return images.flatten(1).mean(dim=1)


def main(weights):
    model, keeper = FlowMatching(weights), Keeper()
    model.clipping = type(model.clipping)()  # its own solver clips nothing
    noise, labels = torch.randn(ROWS, 1, 16, 16), list(range(ROWS))
    for row, label in zip(noise, labels, strict=True):
        tape = Tape({label: {"000000 start": row}})
        engine = Engine(model, Euler(steps=STEPS), {"select": keeper}, seed=0, batch=1, noise=tape)
        list(engine.run(Random(), caps=[STEPS], problems=[Problem(label, condition=label)]))
        own = solve(model.network, row[None], torch.tensor([label]), STEPS)
        print(f"class {label}: {(keeper.images - own).abs().max():.1e}")


if __name__ == "__main__":
    main(sys.argv[1])
