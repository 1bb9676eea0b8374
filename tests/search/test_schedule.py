"""The evolution itself, on a fitness that is a formula."""

from itertools import combinations, pairwise

import numpy as np
import pytest

from its.particles.host_random import HostRandom
from its.search.parts.genotypes import Density, Steps
from its.search.schedule import Schedule

SMALL = {"population_num": 12, "select_num": 4, "mutation_num": 6, "crossover_num": 4, "max_epochs": 6}
GOAL = np.array([10, 40, 50, 90])
OWN = (0, 25, 50, 75)


def far(gene) -> float:
    return float(np.abs(np.array(gene) - GOAL).sum())


def played(search: Schedule, genotype, fitness=far, seed: int = 0) -> list[list]:
    """The populations of a whole search."""
    populations, seen = search.populations(genotype, HostRandom(seed, 0)), []
    population = next(populations)
    while True:
        seen.append(population)
        try:
            population = populations.send([fitness(genotype.grid(gene)) for gene in population])
        except StopIteration:
            return seen


@pytest.mark.parametrize(
    "genotype", [Steps(4, 100, OWN), Steps(4, 100), Density(4, 100)], ids=["steps", "free", "density"]
)
@pytest.mark.parametrize("strategy", ["evolution", "random"])
def test_schedule_scores_no_grid_twice_under_either_strategy(genotype, strategy):
    seen = played(Schedule(strategy=strategy, **SMALL), genotype)
    assert [len(population) for population in seen] == [12] * 6
    grids = [genotype.grid(gene) for population in seen for gene in population]
    assert len(grids) == len(set(grids)) == sum(Schedule(**SMALL).sizes)


def test_schedule_children_may_outnumber_the_population():
    many = Schedule(**{**SMALL, "mutation_num": 35, "crossover_num": 25})
    assert [len(population) for population in played(many, Steps(4, 100, OWN))] == [12, *[60] * 5]


def test_schedule_evolution_beats_as_many_random_grids():
    def best(strategy: str, seed: int) -> float:
        search = Schedule(strategy=strategy, m_prob=0.3, **{**SMALL, "max_epochs": 20})
        return min(far(gene) for population in played(search, Steps(4, 100, OWN), seed=seed) for gene in population)

    gain = [best("random", seed) - best("evolution", seed) for seed in range(20)]
    assert np.mean(gain) > 3 * np.std(gain) / np.sqrt(len(gain))


def test_schedule_first_population_is_the_seed_random_grids_and_mutants():
    first, *_ = played(Schedule(**SMALL), Steps(4, 100, OWN))
    assert first[0] == OWN
    kept = [len({*gene} & {*OWN}) for gene in first]
    assert min(kept[7:]) >= 2, "mutants at 0.1 keep most of the seed"
    assert max(kept[1:7]) <= 2, "random ones do not"
    assert OWN not in played(Schedule(use_ddim_init_x=False, **SMALL), Steps(4, 100, OWN))[0]


def test_schedule_children_come_from_the_best_of_all_epochs():
    """With one parent, and one time of it exchanged at most, every further population is its neighbourhood."""
    search = Schedule(
        population_num=6, select_num=1, mutation_num=6, crossover_num=0, m_prob=0.02, max_epochs=5, finalists=1
    )
    seen = played(search, Steps(4, 100, OWN))
    best = OWN
    for earlier, later in pairwise(seen):
        best = min([best, *earlier], key=far)
        near = [len({*gene} & {*best}) for gene in later]
        assert sum(shared >= 3 for shared in near) >= 2, "a mutant shares three of its four times with its parent"


def test_schedule_repeats_under_the_same_seed_only():
    search = Schedule(**SMALL)
    assert played(search, Steps(4, 100, OWN)) == played(search, Steps(4, 100, OWN))
    assert played(search, Steps(4, 100, OWN)) != played(search, Steps(4, 100, OWN), seed=1)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"select_num": 60}, "search.select_num is 60, and a population has search.population_num=50"),
        ({"finalists": 51}, "search.finalists is 51"),
        ({"time_step": 0}, "search.time_step is 0; it is a whole number of at least 1"),
        ({"time_step": 2.5}, "search.time_step is 2.5; it is a whole number"),
        ({"max_epochs": 0}, "search.max_epochs is 0; it is a whole number of at least 1"),
        ({"mutation_num": -1}, "search.mutation_num is -1; it is a whole number of at least 0"),
        ({"num_samples": True}, "search.num_samples is True; it is a whole number"),
        ({"num_samples": 1}, "search.num_samples is 1; it is a whole number of at least 2"),
        ({"fresh_seeds": 1}, "search.fresh_seeds is 1; it is a whole number of at least 2"),
        ({"m_prob": 0.0}, "search.m_prob is 0.0; it is a probability above 0"),
        ({"m_prob": 1.5}, "search.m_prob is 1.5; it is a probability"),
        ({"fitness": "kid"}, "search.fitness is 'kid'; choose one of fid, sfid, isc"),
        ({"strategy": "grid"}, "choose one of evolution, random"),
        ({"genotype": "spline"}, "choose one of steps, density"),
    ],
)
def test_schedule_refuses_bad_parameters(values, message):
    with pytest.raises(ValueError, match=message):
        Schedule(**values)


def test_schedule_refuses_to_score_more_grids_than_exist():
    with pytest.raises(ValueError, match="500 grids are to be scored, and there are 45 of 2 of 10 times"):
        Schedule().genotype_for(2, 10, None, range(10))


def test_schedule_draws_grids_anew_that_do_not_begin_where_they_may():
    genotype = Steps(4, 100, OWN, range(3, 10))
    seen = played(Schedule(**SMALL), genotype)
    assert {genotype.grid(gene)[0] for population in seen for gene in population} <= {*range(3, 10)}
    assert sum(map(len, seen)) > 20


def test_steps_size_counts_the_grids_that_may_begin():
    grids = [places for places in combinations(range(8), 3) if places[0] in range(1, 4)]
    assert Steps(3, 8, begins=range(1, 4)).size == len(grids)
    assert Density(3, 8, begins=range(1, 4)).size == 0
