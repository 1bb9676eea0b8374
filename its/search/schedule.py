"""Evolutionary search of the times of a few-step sampler (AutoDiffusion, Li et al. 2023, arXiv:2309.10438).

The parameters have O2TDM's names; its code is a fork of AutoDiffusion's that breeds training distributions. This search
is over sets of images: what is found is a sampler, once for all images, and not an image.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

from its.particles.host_random import HostRandom
from its.particles.image import Image
from its.particles.verbs import advance
from its.search.parts.genotypes import Density, Gene, Genotype, Places, Steps
from its.search.search import Coroutine, Search

Populations = Generator[list[Gene], Sequence[float], None]

SEED_PROB = 0.1
"""Mutation probability of the seed's mutants in the first population (AutoDiffusion)."""

TRIES, RANDOM_TRIES = 10, 1000
"""For each mutant or child, and for each random gene, before a population stays smaller."""

INTERVALS = 10
"""Between the knots of a density (O2TDM)."""

LOWER = {"fid": True, "sfid": True, "isc": False}
"""The fitnesses, and whether lower is better."""


@dataclass(frozen=True)
class Schedule(Search):
    """Breed grids from the best `select_num` so far, each judged by the same few images' FID, sFID or IS.

    Attributes:
        time_step: steps of a grid, which are the sampler's (null says so); of a density, knots less one (null is 10).
        population_num: grids of the first epoch, and at least as many of each further one.
        mutation_num, crossover_num: children of a further epoch; random grids fill it up.
        m_prob: of an entry to mutate.
        max_epochs: populations that are scored.
        use_ddim_init_x: whether the first population holds the sampler's own grid, and mutants of it.
        strategy: `evolution`, or `random`: as many random grids.
        genotype: `steps` or `density`; see `its.search.parts.genotypes`.
        num_samples: images that a grid is judged by, from the same noise for every grid.
        finalists: best grids that are judged again, on fresh seeds.
        fresh_seeds: for that, and as many more to compare the winner with the sampler's own grid.
    """

    time_step: int | None = None
    population_num: int = 50
    select_num: int = 10
    mutation_num: int = 25
    crossover_num: int = 15
    m_prob: float = 0.25
    max_epochs: int = 10
    use_ddim_init_x: bool = True
    strategy: str = "evolution"
    genotype: str = "steps"
    fitness: str = "fid"
    num_samples: int = 500
    finalists: int = 3
    fresh_seeds: int = 10
    needs_absolute = False
    makes = "grids"

    def __post_init__(self) -> None:
        # Types and least values.
        self.check(
            time_step=1,
            population_num=1,
            select_num=1,
            mutation_num=0,
            crossover_num=0,
            max_epochs=1,
            strategy=("evolution", "random"),
            genotype=("steps", "density"),
            fitness=tuple(LOWER),
            num_samples=2,
            finalists=1,
            fresh_seeds=2,
        )

        # Bounds that depend on each other, and a probability.
        if not 0 < self.m_prob <= 1:
            raise ValueError(f"search.m_prob is {self.m_prob}; it is a probability above 0")
        for name in ("select_num", "finalists"):
            if getattr(self, name) > self.population_num:
                raise ValueError(
                    f"search.{name} is {getattr(self, name)}, and a population has search.population_num="
                    f"{self.population_num} grids; lower the first or raise the second"
                )

    def check_alone(self, steps: int, guidance: str, keep_candidates: bool) -> None:
        """Refuse a guidance, or stored candidates, beside a search over sets of images.

        Args:
            steps: the sampler's. guidance: the YAML chosen.

        Raises:
            ValueError: the message names the rule and the remedy.
        """
        # A set of times has as many as the sampler has steps.
        if self.genotype == "steps" and self.time_step not in (None, steps):
            raise ValueError(
                f"search.time_step is {self.time_step} and sampler.steps is {steps}, which are the same; "
                f"set sampler.steps={self.time_step}, or search.time_step=null"
            )
        # Nothing but plain samplings is judged.
        if guidance != "none":
            raise ValueError(
                f"search=schedule judges plain samplings, and guidance={guidance} changes every step; "
                "set guidance=none, and use the sampler that it writes under any guidance"
            )
        if keep_candidates:
            raise ValueError(
                "keep_candidates=true stores the candidates of each image, and search=schedule has grids "
                "for candidates, which it always stores; set keep_candidates=false"
            )

    @property
    def sizes(self) -> tuple[int, ...]:
        """Return the number of grids of every epoch, whatever the strategy."""
        return (
            self.population_num,
            *[max(self.population_num, self.mutation_num + self.crossover_num)] * (self.max_epochs - 1),
        )

    @property
    def evaluations(self) -> int:
        """Return the most sets of images to make: those of the search, of the finalists and of the comparison."""
        return sum(self.sizes) + (self.finalists + 2) * self.fresh_seeds

    def genotype_for(self, steps: int, total: int, own: Places | None, begins: range) -> Genotype:
        """Return the genotype for a sampler of `steps` steps on a model of `total` times.

        Args:
            begins: places at which a grid may begin, since noise alone stands for x_T there.
            own: the sampler's own grid, as near as a list of times comes to it.

        Raises:
            ValueError: there are not so many grids.
        """
        # Sets of times, or a density over them.
        genotype: Genotype = Steps(steps, total, own, begins)
        if self.genotype == "density":
            genotype = Density(steps, total, 1 + (self.time_step or INTERVALS), begins)
        if genotype.size < sum(self.sizes):
            raise ValueError(
                f"{sum(self.sizes)} grids are to be scored, and there are {genotype.size} of {steps} of "
                f"{total} times; lower search.population_num or search.max_epochs"
            )
        return genotype

    def populations(self, genotype: Genotype, random: HostRandom) -> Populations:
        """Yield one population after the other to be scored; the reply is their scores, lower is better.

        The last one is scored and not bred from, so that every grid that was paid for is ranked.
        """
        # Grids are bred until enough of them are new.
        visited: set[Places] = set()

        def new(count: int, make: Callable[[], Gene], tries: int = TRIES) -> list[Gene]:
            """Return up to `count` genes of grids that may begin where they do, and that no gene before had."""
            genes: list[Gene] = []
            for _ in range(tries * count):
                if len(genes) == count:
                    break
                gene = make()
                grid = genotype.grid(gene)
                if grid[0] in genotype.begins and grid not in visited:
                    visited.add(grid)
                    genes.append(gene)
            return genes

        def filled(genes: list[Gene], size: int) -> list[Gene]:
            return genes + new(size - len(genes), lambda: genotype.random(random), RANDOM_TRIES)

        # Each population is bred from the best of all that were scored.
        archive: dict[Gene, float] = {}
        for size in self.sizes:
            genes: list[Gene] = []
            if self.strategy == "evolution":
                genes = self._bred(archive, genotype, random, new) if archive else self._first(genotype, random, new)
            population = filled(genes, size)
            archive.update(zip(population, (yield population), strict=True))

    def _first(self, genotype: Genotype, random: HostRandom, new: Callable[..., list[Gene]]) -> list[Gene]:
        """Return the seed, random genes up to half a population, and mutants of the seed."""
        seed = genotype.seed if self.use_ddim_init_x else None
        if seed is None:
            return []
        half = new(1, lambda: seed) + new(self.population_num // 2, lambda: genotype.random(random))
        return half + new(self.population_num - len(half), lambda: genotype.mutant(seed, SEED_PROB, random))

    def _bred(
        self, archive: dict[Gene, float], genotype: Genotype, random: HostRandom, new: Callable[..., list[Gene]]
    ) -> list[Gene]:
        """Return mutants and children of the best genes of all epochs."""
        top = sorted(archive, key=lambda gene: archive[gene])[: self.select_num]

        def parent() -> Gene:
            return top[random.choice(len(top), 1)[0]]

        mutants = new(self.mutation_num, lambda: genotype.mutant(parent(), self.m_prob, random))
        return mutants + new(self.crossover_num, lambda: genotype.child(parent(), parent(), random))

    def run(self, image: Image) -> Coroutine:
        """Make one image of a set: a plain sampling by the sampler that has the grid."""
        [particle] = yield advance(image.start())
        return particle
