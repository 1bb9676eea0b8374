"""Keys of draws, against the rule of each spelled out."""

import numpy as np

from its.budget import Ledger
from its.particles.image import Image
from its.particles.keys import Verb, fold, fresh_noise_key, start_key, step_key
from its.particles.moves import Mix
from its.sampler.ddim import DDIM
from its.types import Problem


def test_start_key_and_fresh_noise_key_fold_their_number():
    assert [start_key(k) for k in range(3)] == [fold(0, 1, k) for k in range(3)]
    assert [fresh_noise_key(k) for k in range(3)] == [fold(0, 7, k) for k in range(3)]


def test_step_key_of_arrays_is_that_of_integers():
    noise_keys, level_keys, numbers = [3, 2**64 - 1], [2**63, 5], [0, 4]
    together = step_key(*(np.array(words, dtype=np.uint64) for words in (noise_keys, level_keys, numbers)))
    apart = [step_key(*words) for words in zip(noise_keys, level_keys, numbers, strict=True)]
    assert together.tolist() == apart
    assert apart == [fold(3, 6, 2**63, 0), fold(2**64 - 1, 6, 5, 4)]


def test_fold_tells_words_and_their_order_apart():
    assert len({fold(0, 1, 2), fold(0, 2, 1), fold(0, 1), fold(1, 2), fold(1, 0, 2)}) == 5


def test_child_keys_fold_level_and_number_except_for_the_first_child(lab):
    engine = lab.engine(DDIM(steps=5, eta=0.0))
    image = Image(Problem(0), 0, engine.prices, Ledger(), anytime=False, shape=engine.model.shape)
    [start] = image.start()
    [moved] = image.move(start, Mix(0.5))
    assert (moved.noise_key, moved.branch_key) == (start.noise_key, fold(start.branch_key, Verb.MOVE, 0))
    for particle in (start, moved):
        keys = particle.noise_key, particle.branch_key
        assert particle.child_keys(0) == keys
        assert particle.child_keys(2) == tuple(fold(key, Verb.ADVANCE, image.grid[0].key, 2) for key in keys)
