"""Starting points of images, as the engine reports them."""

import numpy as np

from its.particles.image import Image
from its.particles.moves import LowBand, Rotate
from its.particles.verbs import advance, reward
from its.sampler.ddim import DDIM
from its.search.random import Random

ODE = DDIM(steps=5, eta=0.0)


def test_outcome_start_is_the_number_of_the_starting_point(lab):
    result = lab.results(lab.engine(ODE), Random(block=2), (5, 40), [1])[1]
    rewards = []

    def body(image):
        rewards.extend((yield reward((yield advance(image.start(8))))))

    lab.results(lab.engine(ODE), lab.script(body), (40,), [1])
    assert [outcome.start for outcome in result.outcomes] == [0, rewards.index(max(rewards))]


def test_outcome_start_is_none_under_a_stochastic_sampler(lab):
    result = lab.results(lab.engine(DDIM(steps=5, eta=1.0)), Random(), (40,), [1])[1]
    assert result.outcomes[0].start is None


def test_outcome_start_is_the_moved_row_and_none_after_renoise_or_jitter(lab):
    rows = []

    def moved(image: Image):
        [start] = image.start()
        [near] = image.move(start, Rotate(0.5))
        [band] = image.move(near, LowBand(np.ones((1, 2, 2)), 1))
        [half] = yield advance([band], to=image.grid[2])
        rows.append(lab.rows([band]).reshape(1, 4, 4).numpy().copy())
        return (yield advance([half], steps=2))[0]

    def renoised(image: Image):
        [half] = yield advance(image.start(), to=image.grid[3])
        return (yield advance(image.renoise([half], image.grid[1])))[0]

    def jittered(image: Image):
        [half] = yield advance(image.start(), to=image.grid[3])
        return (yield advance(image.jitter([half], 0.1)))[0]

    [outcome] = lab.play(moved, ODE).outcomes
    assert np.array_equal(outcome.start, rows[0])
    assert [lab.play(body, ODE).outcomes[0].start for body in (renoised, jittered)] == [None, None]


def test_outcome_start_of_a_moved_point_on_another_grid_is_the_point_itself(lab):
    """Of a row that was raised to the top of that grid, as large as noise is at the sampler's own."""

    class Unscaled(DDIM):
        def prior_std(self, path, level):
            return level.sigma

    def body(image: Image):
        [near] = image.move(image.start()[0], Rotate(0.5))
        rows.append(near)
        yield reward((yield advance([near], steps=3)))
        yield reward([near])

    rows: list = []
    [outcome] = lab.play(body, Unscaled(steps=5, eta=0.0, spacing="leading")).outcomes
    assert np.array_equal(outcome.start, lab.rows(rows).reshape(1, 4, 4).numpy())


def test_start_from_takes_a_point_as_it_is(lab):
    x = np.random.default_rng(0).standard_normal((1, 4, 4))

    def body(image: Image):
        fixed, after = image.start_from(x), image.start()
        yield reward([fixed, *after])
        assert np.array_equal(lab.rows([fixed]).numpy().reshape(1, 4, 4), x)
        return (yield advance([fixed]))[0]

    [outcome] = lab.play(body, ODE).outcomes
    assert np.array_equal(outcome.start, x)
