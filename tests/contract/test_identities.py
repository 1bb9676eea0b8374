"""Methods that are the same by their definition are the same to the bit."""

import math

import pytest

from its.particles.verbs import advance, reward
from its.sampler.ddim import DDIM
from its.search.bfs_resample import BFSResample
from its.search.none import NoSearch
from its.search.random import Random


def images_and_rewards(bits) -> dict:
    return {index: [outcome[:2] for outcome in outcomes] for index, outcomes in bits.items()}


def test_bfs_resample_at_temperature_0_equals_best_of_n(lab, some_setting):
    def run(search):
        engine = lab.engine(some_setting.sampler, some_setting.model(lab))
        cap = 5 * engine.prices.sampling
        return lab.bits(engine, search, (cap,), range(4))

    bfs, best_of_n = run(BFSResample(temperature=0.0)), run(Random())
    assert images_and_rewards(bfs) == images_and_rewards(best_of_n)
    assert [o[0][2]["nfe"] for o in bfs.values()] == [o[0][2]["nfe"] for o in best_of_n.values()]


def test_random_result_is_independent_of_its_block_size(lab, some_setting):
    engine = lab.engine(some_setting.sampler, some_setting.model(lab))
    runs = [lab.bits(engine, Random(block=block), (57, 131), range(4)) for block in (1, 3, 8)]
    assert runs[0] == runs[1] == runs[2]


def in_pieces(image):
    particles = image.start()
    for level in (image.grid[1], image.grid[1], image.grid[4], None):
        particles = yield advance(particles, to=level)
    yield reward(particles)
    return particles[0]


def guessed_on_the_way(image):
    particles = image.start()
    yield reward(particles)
    particles = yield advance(particles, to=image.grid[3])
    yield reward(particles)
    [particle] = yield advance(particles)
    yield reward([particle])
    return particle


@pytest.mark.parametrize("body", [in_pieces, guessed_on_the_way], ids=lambda body: body.__name__)
def test_advance_in_pieces_equals_one_advance(lab, some_setting, body):
    def run(search):
        engine = lab.engine(some_setting.sampler, some_setting.model(lab))
        return lab.bits(engine, search, (math.inf,), range(3)), engine.served["evaluate"][0]

    whole, pieces = run(NoSearch()), run(lab.script(body))
    assert images_and_rewards(whole[0]) == images_and_rewards(pieces[0])
    assert whole[1] == pieces[1]


def test_image_start_in_parts_gives_the_same_sequence_of_points(lab):
    rewards = {}

    def body(name, counts):
        def run(image):
            particles = [p for n in counts for p in image.start(n)]
            images = yield advance(particles)
            rewards[name] = yield reward(images)
            return images[0]

        return run

    lab.play(body("5", [5]))
    lab.play(body("2 + 3", [2, 3]))
    assert rewards["5"] == rewards["2 + 3"]
    assert len(set(rewards["5"])) == 5


def test_advance_on_another_grid_branches_and_shares_its_first_evaluation(lab):
    def body(image):
        [start] = image.start()
        on_own = yield advance([start, start])
        on_other = yield advance([start, start], steps=5)
        yield reward(on_own + on_other)
        rows = lab.rows(on_own + on_other)
        assert len({row.numpy().tobytes() for row in rows}) == 4
        nfe = [2 * lab.nfe(grid[:-1]) - lab.nfe(grid[:1]) for grid in (image.grid, five)]
        assert image.ledger.spent == sum(nfe)
        return on_own[0]

    sampler = DDIM(steps=10, eta=1.0, spacing="leading")
    five = sampler.grid(lab.denoiser().path, 5)
    lab.play(body, sampler)
