"""Genes of a schedule search stand for sorted sets of distinct places, whatever is done to them."""

from itertools import pairwise

import numpy as np
import pytest

from its.particles.host_random import HostRandom
from its.sampler.spacing import spaced
from its.search.parts.genotypes import HIGHEST, LOWEST, Density, Steps

GENOTYPES = [
    Steps(5, 1000),
    Steps(1, 3),
    Steps(9, 10),
    Steps(4, 4),
    Density(5, 1000),
    Density(40, 50),
    Density(4, 4),
    Density(10, 4000, 3),
]


@pytest.mark.parametrize("genotype", GENOTYPES, ids=str)
def test_genotypes_give_sorted_distinct_grids_of_the_right_length(genotype):
    random = HostRandom(0, 0)
    genes = [genotype.random(random) for _ in range(50)]
    for _ in range(200):
        one, other = (genes[k] for k in random.choice(len(genes), 2))
        genes += [genotype.mutant(one, 0.5, random), genotype.child(one, other, random)]
    for gene in genes:
        grid = genotype.grid(gene)
        assert len(grid) == genotype.steps
        assert all(a < b for a, b in pairwise(grid))
        assert grid[0] >= 0
        assert grid[-1] < genotype.total
        assert all(type(place) is int for place in grid)


def test_steps_mutant_has_times_that_its_parent_has_not():
    random = HostRandom(0, 0)
    assert Steps(2, 4).mutant((0, 3), 1.0, random) == (1, 2)
    assert Steps(2, 4).mutant((0, 3), 0.0, random) == (0, 3)
    scarce = {Steps(3, 4).mutant((0, 1, 3), 1.0, random) for _ in range(50)}
    assert scarce == {(1, 2, 3)}, "one time is free, so one is exchanged, the first that is hit"


def test_steps_mutate_each_time_with_the_given_probability():
    random = HostRandom(0, 0)
    parent = tuple(range(0, 1000, 100))
    lost = [10 - len({*parent} & {*Steps(10, 1000).mutant(parent, 0.25, random)}) for _ in range(400)]
    assert np.mean(lost) == pytest.approx(2.5, abs=4 * np.sqrt(10 * 0.25 * 0.75 / 400))


def test_steps_child_keeps_what_both_parents_have():
    random = HostRandom(0, 0)
    children = {Steps(3, 10).child((0, 4, 7), (4, 7, 9), random) for _ in range(50)}
    assert children == {(0, 4, 7), (4, 7, 9)}
    apart = {Steps(2, 10).child((0, 1), (8, 9), random) for _ in range(300)}
    assert apart == {(a, b) for a in (0, 1, 8, 9) for b in (0, 1, 8, 9) if a < b}


@pytest.mark.parametrize("steps", [1, 4, 5, 10, 250, 1000])
def test_density_of_even_weights_equals_trailing_spacing(steps):
    density = Density(steps, 1000)
    times = [999 - place for place in density.grid(density.seed)]
    assert times == spaced("trailing", steps, 1000, whole=True).tolist()


def test_density_grid_lies_at_its_quantiles():
    """Four times with weights 1, 2, 3, 4: shares 0.1, 0.3, 0.6, 1; half is reached at time 2, all of it at time 3."""
    assert Density(2, 4, 2).grid((1, 4)) == (0, 1)
    assert Density(2, 4, 2).grid((4, 1)) == (0, 2), "shares 0.4, 0.7, 0.9, 1: half is reached at time 1"


def test_density_weights_stay_in_their_ranges():
    density, random = Density(5, 1000), HostRandom(0, 0)
    first = {weight for _ in range(100) for weight in density.random(random)}
    later = {weight for _ in range(100) for weight in density.mutant(density.seed, 1.0, random)}
    assert (first, later) == ({*range(5, 11)}, {*range(LOWEST, HIGHEST + 1)})
    a, b = (3,) * 11, (10,) * 11
    assert {weight for _ in range(20) for weight in density.child(a, b, random)} == {3, 10}
    assert len(density.random(random)) == 11
