"""Batches of different sizes are full, and rows keep a limit in bytes; bits are the same whatever the sizes."""

import pytest

from its.engine.stream import Stream
from its.sampler.ddim import DDIM
from its.search.bfs_resample import BFSResample
from its.search.random import Random
from tests.contract.conftest import SEARCHES
from tests.contract.test_occupancy import watch


class Enlarge:
    """A decoder whose images are sixteen times as large as their latents."""

    shape = (1, 16, 16)

    def __call__(self, latents):
        return latents.repeat_interleave(4, 2).repeat_interleave(4, 3)


class Brightness:
    """A verifier of large images, which notes how many it is given."""

    absolute = True

    def __init__(self) -> None:
        self.given: set[int] = set()

    def reward(self, images, conditions):
        self.given.add(len(images))
        return images.flatten(1)[:, ::16].sum(1)


def latent_engine(lab, batch: int, decode_batch: int, verify_batch: int, **options):
    model = lab.denoiser()
    model.decoder = Enlarge()
    sizes = {"batch": batch, "decode_batch": decode_batch, "verify_batch": verify_batch}
    return lab.engine(DDIM(steps=4, eta=1.0), model, Brightness(), **sizes, **options)


CASES = {
    "bfs-8-2-1": (BFSResample(temperature=0.1), (8, 2, 1), 0.99),
    "random-8-2-1": (Random(block=1), (8, 2, 1), 0.99),
    "random-3-16-5": (Random(block=1), (3, 16, 5), 0.9),
    "random-1-4-24": (Random(block=1), (1, 4, 24), 0.97),
}
"""A search, the sizes of batches of network, decoder and verifier, and the least occupancy of each."""


@pytest.mark.parametrize(("search", "sizes", "least"), CASES.values(), ids=CASES)
def test_stream_fills_batches_of_different_sizes(lab, search, sizes, least, monkeypatch):
    """A verifier of large images in batches of 1 beside a network in batches of 8, and others; bits are those of rows.

    Places stay empty only while the last images drain.
    """
    expected = lab.bits(latent_engine(lab, 1, 1, 1), search, (8, 16), range(8))
    watch(monkeypatch)
    engine = latent_engine(lab, *sizes)
    bits = lab.bits(engine, search, (8, 16), range(120))
    assert {index: bits[index] for index in range(8)} == expected
    places = dict(zip(("evaluate", "decode", "verify select"), sizes, strict=True))
    for kind, (filled, capacity) in engine.served.items():
        assert capacity % places[kind] == 0
        assert filled / capacity > least, kind
    assert engine.verifiers["select"].given == {sizes[2]}


@pytest.mark.parametrize("search", [Random(block=1), BFSResample(temperature=0.1)], ids=lambda s: type(s).__name__)
def test_stream_holds_no_more_bytes_than_the_limit_from_the_first_run_on(lab, search, monkeypatch):
    """Where filling a verifier's batch would take many more runs than there is room for."""
    engine = latent_engine(lab, 4, 2, 64, rows_bytes=2**16)
    stream, serve, peaks = engine.stream(search, (16,), lab.problems(range(100))), Stream._serve, [0]

    def watched(self, queue):
        serve(self, queue)
        peaks.append(128 * self._rows.in_use + 2048 * self._scoring.images.in_use)

    monkeypatch.setattr(Stream, "_serve", watched)
    assert sum(1 for _ in stream.run()) == 100
    assert 0.5 * 2**16 < max(peaks) <= 1.1 * 2**16


@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize("name", ["random", "zero_order-paper", "beam", "evosearch"])
def test_stream_results_are_independent_of_how_many_rows_are_copied_at_once(lab, name, eta, monkeypatch):
    """Of children, of noise, of images, of their starting points and of candidates: two rows, or all."""
    if SEARCHES[name].needs_noise and not eta:
        return

    def made():
        engine = lab.engine(DDIM(steps=10, eta=eta), batch=8, rows=4096)
        engine.keep_candidates = True
        results = lab.results(engine, SEARCHES[name], (25, 57), range(6))
        starts = {k: [str(outcome.start) for outcome in result.outcomes] for k, result in results.items()}
        images = {k: [each.image.tobytes() for each in result.candidates] for k, result in results.items()}
        return lab.as_bits(results), starts, images

    expected = made()
    monkeypatch.setattr("its.engine.rows.AT_ONCE_BYTES", 2 * 128)
    assert made() == expected
