"""Continuous batching over images: `Engine.run` keeps many searches going and every batch full."""

from __future__ import annotations

import gc
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch

from its.budget import Currency, Ledger
from its.engine.admission import Admission, Held
from its.engine.coroutine import SearchCoroutine
from its.engine.delivery import Delivery
from its.engine.draws import Draws
from its.engine.global_random import GlobalRandomWatch
from its.engine.guiding import WAYS, Parts, check_guidance
from its.engine.look import Sights
from its.engine.materialise import Materialiser
from its.engine.noise import Noise, normal
from its.engine.queue import Shape, network_shape
from its.engine.readback import Readback
from its.engine.requests import Requests
from its.engine.result import Outcome, Result
from its.engine.rows import Rows
from its.engine.score import Scoring
from its.engine.search_run import SearchRun
from its.engine.slopes import KINDS, SLOPES, Slopes
from its.engine.stream import Stream
from its.engine.tape import Announcer, Tape
from its.engine.verdicts import sum_verdicts
from its.guidance.guidance import Guidance
from its.guidance.none import NoGuidance
from its.model.denoiser import Denoiser, require_contract
from its.particles.batches import BATCHES, most_rows
from its.particles.image import Image
from its.particles.prices import Prices
from its.particles.probe import Probe
from its.particles.verbs import Through
from its.sampler.sampler import Sampler
from its.search.fitting import check_gradients
from its.search.search import Search, require_search, sized_to
from its.types import Problem
from its.verifier.verifier import Verifier, common_probe, probe_of, require_verifier

# By torch's default cuDNN rounds the factors of float32 convolutions to TF32's ten bits.
torch.backends.cudnn.allow_tf32 = False

NO_GUIDANCE = NoGuidance()

SIZES = (*BATCHES, "rows", "rows_bytes")
"""Keys of a configuration that size batches, and those that bound rows; an `Engine` has arguments of the same names."""

BLOCKS = 8
"""Blocks of rows that `rows_bytes` is cut into."""


@contextmanager
def _rare_garbage_collections() -> Iterator[None]:
    """Let Python's garbage collector run rarely, and only over new objects.

    Searches make many small objects, and few cycles. At Python's own threshold of 700 the collector took a sixth of
    the engine's time in Python; each walk through the objects of torch and diffusers took 0.3 s, every few seconds.
    """
    thresholds = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(50_000, *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()


class Engine:
    """Runs searches under one model, sampler and set of verifiers.

    Args:
        verifiers: by role; `select` is needed.
        seed: in [0, 2**32).
        guidance: wraps every step; the verifier of role `guide` gives its gradients.
        batch: network rows of one batch, for evaluations.
        gradient_batch: network rows of one batch with gradients (default half a batch).
        decode_batch, verify_batch: images of one batch for the decoder, and for a verifier (default: as `batch`).
        rows: tensor rows that images in the making may hold together (default 96 of the largest batches).
        rows_bytes: bytes of these rows and of decoded images together.
        noise: source of draws, with the signature of `its.engine.noise.normal`; a `Tape` also holds the searches' own
            random numbers, and is closed when a run is over: see docs/replay.md.
        keep_candidates: bring every candidate to the host, not only the images chosen.

    Attributes:
        probe: the level whose guess rows keep, for verifiers that compare images with it; None without one.
        served: by kind of work, network rows or images that were served, and how many places were offered.
    """

    def __init__(
        self,
        model: Denoiser,
        sampler: Sampler,
        verifiers: Mapping[str, Verifier],
        *,
        seed: int,
        guidance: Guidance = NO_GUIDANCE,
        batch: int = 128,
        gradient_batch: int | None = None,
        decode_batch: int | None = None,
        verify_batch: int | None = None,
        rows: int | None = None,
        rows_bytes: int = 2**31,
        keep_candidates: bool = False,
        noise: Noise = normal,
    ) -> None:
        # Check what does not fit together.
        require_contract(model)
        for key, size in (("batch", batch), ("gradient_batch", gradient_batch)):
            if size is not None and size < model.slots:
                raise ValueError(
                    f"{key} is {size}, and one evaluation of this model takes {model.slots} network rows; "
                    f"set {key} to at least {model.slots}"
                )
        if not 0 <= seed < 2**32:
            raise ValueError(f"seed is {seed}; it lies in [0, 2**32)")
        for verifier in verifiers.values():
            require_verifier(verifier)
        check_guidance(guidance, model, sampler, verifiers)

        self.model = model
        self.sampler = sampler = sampler.fitted(model.variance)
        self.guidance = guidance
        self.verifiers = verifiers
        self.seed = seed
        self.batch = batch
        self.gradient_batch = gradient_batch or max(batch // 2, model.slots)
        self.decode_batch = decode_batch or batch
        self.verify_batch = verify_batch or batch
        self.rows = most_rows(rows, (getattr(self, key) for key in BATCHES))
        self.rows_bytes = rows_bytes
        self.noise = noise
        self.keep_candidates = keep_candidates
        self.prices = Prices(model.path, sampler, getattr(model, "slots_at", model.slots), guidance.rounds)
        self.probe = Probe.nearest(
            self.prices.grid, common_probe({role: probe_of(each) for role, each in verifiers.items()})
        )
        self.served: dict[str, tuple[int, int]] = {}

    @property
    def rows_evaluated(self) -> int:
        """Return the network rows spent so far in this run, padding left out."""
        kinds = (WAYS[self.guidance.needs].network, SLOPES["network"])
        return sum(self.served.get(kind, (0, 0))[0] for kind in kinds)

    def check_guided(self) -> None:
        """Refuse a model that says that it is guided at some levels, at none of which this sampling stands.

        Raises:
            ValueError: naming the interval and the levels.
        """
        guidance_interval, skip_interval = (
            getattr(self.model, name, None) for name in ("guidance_interval", "skip_interval")
        )
        self.prices.check_guided(self.model.slots, guidance_interval, skip_interval)

    def run(
        self, search: Search, caps: Sequence[float], problems: Iterable[Problem], currency: Currency = "nfe"
    ) -> Iterator[Result]:
        """Yield each problem's result as it is finished, in any order.

        Args:
            caps: ascending. An anytime search serves all in one run, a planned one is run once for each.
            currency: that they are in.

        Raises:
            ValueError: a mistake of the search, with the line of its file; at the end, if draws of a tape were left
                unread.
        """
        require_search(type(search))
        check_gradients(search, self.guidance, self.sampler, self.verifiers)
        if search.makes == "images":
            self.check_guided()
        with _rare_garbage_collections():
            yield from self._run(search, tuple(caps), problems, currency)
        if isinstance(self.noise, Tape):
            self.noise.close()

    def _run(
        self, search: Search, caps: tuple[float, ...], problems: Iterable[Problem], currency: Currency
    ) -> Iterator[Result]:
        stream = self.stream(search, caps, problems, currency)
        runs_of: dict[int, list[SearchRun]] = {}
        for run in stream.run():
            self.served = stream.served
            runs = runs_of.setdefault(run.image.problem.index, [])
            runs.append(run)
            if sum(len(each.caps) for each in runs) == len(caps):
                del runs_of[run.image.problem.index]
                yield _result(sorted(runs, key=lambda each: each.cap_index))

    def stream(
        self, search: Search, caps: tuple[float, ...], problems: Iterable[Problem], currency: Currency = "nfe"
    ) -> Stream:
        """Put together the parts that run a search on problems; see `run`."""
        # Rows, and the parts that make and copy them.
        model = self.model
        block_bytes = self.rows_bytes // BLOCKS
        rows = Rows(model.shape, model.dtype, model.device, block_bytes)
        materialiser = Materialiser(self.seed, model, self.sampler, rows, self.noise, self.guidance.num_draws)
        readback: Readback = Readback()
        sights = Sights(rows, readback, model.clipping)
        slopes = self._slopes(search.takes_gradients, rows, materialiser)

        announcer = None
        if isinstance(self.noise, Tape):
            announcer = Announcer(self.noise, Draws(self.prices, self.guidance))

        # Queues of the network, the decoder and the verifiers.
        scoring = Scoring(model, self.verifiers, rows, self.probe, self.decode_batch, self.verify_batch, block_bytes)
        guiding = WAYS[self.guidance.needs](
            Parts(
                model=model,
                sampler=self.sampler,
                guidance=self.guidance,
                guide=self.verifiers.get("guide"),
                prices=self.prices,
                rows=rows,
                materialiser=materialiser,
                probe=self.probe,
                batch=self.batch,
                gradient_batch=self.gradient_batch,
            )
        )
        return Stream(
            self._search_runs(search, caps, problems, currency),
            rows,
            guiding,
            scoring,
            Requests(self.prices, guiding, scoring, sights, slopes, materialiser, self.probe, announcer),
            sights,
            slopes,
            Delivery(rows, scoring, readback, self.keep_candidates),
            readback,
            Admission(Held(self.rows, self.rows_bytes), rows.row_bytes, scoring.image_bytes),
            GlobalRandomWatch(model.device),
        )

    def _slopes(self, through: Through | None, rows: Rows, materialiser: Materialiser) -> dict[str, Slopes]:
        """Make the queue of the gradients that a search takes, by its name; none if it takes none."""
        if through is None:
            return {}
        model, guide, evaluation = self.model, self.verifiers["guide"], self.prices.evaluation
        whole = Shape(self.gradient_batch // model.slots, model.slots)
        shape = network_shape(self.gradient_batch, model, self.prices) if through == "network" else whole
        queue = KINDS[through](model, self.sampler, guide, rows, materialiser, shape, evaluation)
        return {SLOPES[through]: queue}

    def _search_runs(
        self, search: Search, caps: tuple[float, ...], problems: Iterable[Problem], currency: Currency
    ) -> Iterator[SearchRun]:
        """Yield the runs of every problem: one for all caps of an anytime search, else one for each, planned for it."""
        for problem in problems:
            for index, run_caps in enumerate([caps] if search.anytime else [(cap,) for cap in caps]):
                ledger = Ledger(run_caps[-1], currency)
                image = Image(problem, self.seed, self.prices, ledger, anytime=search.anytime, shape=self.model.shape)
                if isinstance(self.noise, Tape):
                    image.random = self.noise.open(problem.index, image.random)
                planned = search
                if not search.anytime and math.isfinite(run_caps[-1]):
                    planned = sized_to(search, int(run_caps[-1]), image)
                yield SearchRun(0, image, planned, SearchCoroutine(planned, image), run_caps, index)


def _result(runs: Sequence[SearchRun]) -> Result:
    """Return one problem's result from its runs: one of all caps, or one for each."""
    problem = runs[0].image.problem
    verdicts = sum_verdicts(run.verdicts for run in runs)
    failure = next((run.failure for run in runs if run.failure), None)
    if failure:
        return Result(problem, (), failure, verdicts)
    outcomes = tuple(
        Outcome(image, reward, run.image.ledger.at(cap), start, notes)
        for run in runs
        for cap, reward, image, start, notes in zip(
            run.caps, run.rewards, run.images, run.starts, run.notes, strict=True
        )
    )
    candidates = tuple(candidate for run in runs for candidate in run.candidates.values())
    return Result(problem, outcomes, None, verdicts, candidates)
