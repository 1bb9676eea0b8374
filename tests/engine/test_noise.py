"""Draws are Philox4x32-10 of (seed, problem, key, element) and nothing else."""

from shutil import which

import numpy as np
import pytest
import torch
from scipy.stats import kstest, norm

from its.engine import noise
from its.engine.noise import normal, philox
from its.particles.host_random import HostRandom
from its.particles.keys import fold

ONES = 0xFFFFFFFF


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ((0,) * 4, (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((ONES,) * 4, (ONES, ONES), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
    ids=["zeros", "ones", "pi"],
)
@pytest.mark.parametrize("kind", [np.array, torch.tensor])
def test_philox_equals_the_published_random123_vectors(counter, key, expected, kind):
    """The vectors that Random123 publishes for philox4x32 with 10 rounds."""
    words = philox([kind([word]) for word in counter], [kind([word]) for word in key])
    assert tuple(int(word[0]) for word in words) == expected


def test_philox_gives_arrays_and_tensors_the_same_words():
    """Rows are drawn by NumPy on the CPU and by torch on a GPU."""
    rng = np.random.default_rng(0)
    counter = [rng.integers(0, 2**32, shape) for shape in ((500, 1), (500, 1), (1, 16), (1, 1))]
    key = rng.integers(0, 2**32, (2, 500, 1))
    for array, tensor in zip(
        philox(counter, key), philox([torch.from_numpy(c) for c in counter], torch.from_numpy(key)), strict=True
    ):
        assert array.shape == (500, 16)
        np.testing.assert_array_equal(array, tensor)


def test_normal_takes_each_element_from_its_documented_block():
    """Element e of a row comes from block e // 4 of counter (key low, key high, block, 0) under (seed, problem)."""
    key, problem, seed = 0x0123456789ABCDEF, 77, 5
    row = normal(seed, [problem], [key], (10,))[0].double().numpy()
    for block in range(3):
        counter = [torch.tensor([word]) for word in (key & ONES, key >> 32, block, 0)]
        words = philox(counter, [torch.tensor([seed]), torch.tensor([problem])])
        u = [(int(word) + 0.5) / 2**32 for word in words]
        expected = [
            np.sqrt(-2 * np.log(u[0])) * np.cos(2 * np.pi * u[1]),
            np.sqrt(-2 * np.log(u[0])) * np.sin(2 * np.pi * u[1]),
            np.sqrt(-2 * np.log(u[2])) * np.cos(2 * np.pi * u[3]),
            np.sqrt(-2 * np.log(u[2])) * np.sin(2 * np.pi * u[3]),
        ]
        part = row[4 * block : 4 * block + 4]
        np.testing.assert_allclose(part, expected[: len(part)], rtol=1e-6)


@pytest.mark.parametrize("shape", [(1,), (3,), (1, 4, 4), (3, 5, 7), (3, 128, 128)])
def test_normal_row_is_independent_of_its_companions(shape):
    problems, keys = [3, 3, 0, 2**32 - 1, 9], [1, 2**64 - 1, 1, 5, 2**63]
    together = normal(1, problems, keys, shape)
    assert together.shape == (5, *shape)
    for rows in ([0], [4], [2, 1], [4, 3, 2, 1, 0]):
        apart = normal(1, [problems[k] for k in rows], [keys[k] for k in rows], shape)
        assert torch.equal(apart, together[rows])


def test_normal_smaller_row_is_the_beginning_of_a_larger_one():
    assert torch.equal(normal(1, [2], [3], (7,))[0], normal(1, [2], [3], (2, 50)).flatten()[:7])


def test_normal_differs_with_every_part_of_its_key():
    rows = [
        normal(seed, [problem], [key], (64,))
        for seed in (0, 1, 2**32 - 1)
        for problem in (0, 1, 2**32 - 1)
        for key in (0, 1, 2**32, 2**64 - 1)
    ]
    assert len({row.numpy().tobytes() for row in rows}) == len(rows)
    correlation = torch.corrcoef(torch.cat(rows)).fill_diagonal_(0)
    assert correlation.abs().max() < 0.6


def test_normal_follows_the_standard_normal_law():
    """Under a true normal each bound fails once in more than a thousand choices of the seed; this seed is fixed."""
    z = normal(0, list(range(1000)), [7] * 1000, (1000,)).double()
    n = z.numel()
    assert abs(z.mean()) < 3.3 / n**0.5
    assert abs(z.var() - 1) < 3.3 * (2 / n) ** 0.5
    assert abs((z**3).mean()) < 3.3 * (15 / n) ** 0.5
    assert abs((z**4).mean() - 3) < 3.3 * (96 / n) ** 0.5
    assert kstest(z.flatten()[:200_000].numpy(), norm.cdf).pvalue > 1e-3
    neighbours = (z[:, :-1] * z[:, 1:]).mean()
    assert abs(neighbours) < 3.3 / n**0.5
    assert abs((z[:-1] * z[1:]).mean()) < 3.3 / n**0.5


def test_normal_reaches_its_tails_and_stays_finite():
    z = normal(1, list(range(500)), [0] * 500, (4000,))
    assert 4.5 < z.abs().max() < 6.8
    assert torch.isfinite(z).all()


def host(seed, problem, calls=1):
    stream = HostRandom(seed, problem)
    return [tuple(stream.uniform(3)) for _ in range(calls)]


def test_host_random_is_keyed_by_seed_problem_and_call():
    """Neighbouring problems of a large seed too: the key has 64 bits of each part."""
    draws = [
        draw
        for seed in (0, 1, 2**31, 2**32 - 1)
        for problem in (0, 1, 2, 2**32 - 1)
        for draw in host(seed, problem, calls=5)
    ]
    assert len(set(draws)) == len(draws) == 80
    assert host(3, 4, calls=2) == host(3, 4, calls=2)


def test_host_random_calls_equal_separate_numpy_philox_generators():
    """Two images take turns, and leave numbers of theirs unread, such as half of a 64-bit word in a permutation."""
    streams = {problem: HostRandom(5, problem) for problem in (7, 2**32 - 1)}
    for call in (1, 2, 3):
        for problem, stream in streams.items():
            fresh = np.random.Generator(np.random.Philox(key=((5 << 32) | problem) << 64 | fold(0, call)))
            ours, numpys = {
                1: (stream.permutation, fresh.permutation),
                2: (stream.uniform, fresh.random),
                3: (stream.normal, fresh.standard_normal),
            }[call]
            assert list(ours(5)) == list(numpys(5))


def test_host_random_calls_ignore_the_size_of_earlier_ones():
    few, many = HostRandom(0, 0), HostRandom(0, 0)
    few.uniform(1)
    many.normal((100, 3))
    assert few.permutation(20) == many.permutation(20)


def test_host_random_follows_its_distributions():
    stream = HostRandom(0, 0)
    u = stream.uniform(20_000)
    assert (u >= 0).all()
    assert (u < 1).all()
    assert kstest(u, "uniform").pvalue > 1e-3
    assert kstest(stream.normal((200, 100)).ravel(), norm.cdf).pvalue > 1e-3
    picks = stream.choice(3, 10_000, p=[0.5, 0.5, 0.0])
    assert set(picks) == {0, 1}
    assert abs(sum(picks) - 5000) < 3.3 * 50
    assert sorted(stream.permutation(50)) == list(range(50))


CPU = torch.device("cpu")


def table(rows: int) -> np.ndarray:
    """Keys of rows, the largest words among them, under one seed."""
    words = np.random.default_rng(rows).integers(0, 2**32, (4, rows))
    words[:, 0] = words[3] = ONES
    return words


@pytest.fixture
def compilations(monkeypatch) -> list[object]:
    """Graphs that torch.compile made, none of which a compiler has to compile."""
    graphs: list[object] = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    real = torch.compile
    monkeypatch.setattr(torch, "compile", lambda call, fullgraph, **_: real(call, fullgraph=fullgraph, backend=backend))
    torch._dynamo.reset()
    return graphs


@pytest.mark.parametrize("size", [1, 3, 4, 105, 512])
def test_by_elements_draws_what_by_blocks_does(size):
    keyed, places = torch.from_numpy(table(20)), torch.arange(size)[None, :]
    assert torch.equal(noise.by_elements(keyed, places), noise.by_blocks(table(20), size, CPU))


def test_compiled_is_one_graph_for_any_number_of_rows_in_any_mode(compilations):
    """fullgraph refuses breaks. One row, tensors of inference mode and other strides would each be compiled again."""
    draw = noise.compiled(CPU, 10)
    for rows in (1, 2, 7, 300):
        for mode in (torch.inference_mode, torch.no_grad, torch.enable_grad):
            with mode():
                assert torch.equal(draw(table(rows)), noise.by_blocks(table(rows), 10, CPU))
    assert len(compilations) == 1
    noise.compiled(CPU, 16)
    noise.compiled(CPU, 23)
    assert len(compilations) == 2


def test_kernel_that_cannot_be_compiled_is_said_once_and_draws_the_same(monkeypatch, caplog):
    def no_compiler(*_, **__):
        raise RuntimeError("Cannot find a working triton installation")

    monkeypatch.setattr(torch, "compile", no_compiler)
    noise.kernel.cache_clear()
    for _ in range(3):
        assert torch.equal(noise.kernel(CPU, 10)(table(5)), noise.by_blocks(table(5), 10, CPU))
    [said] = caplog.messages
    assert said.endswith("(RuntimeError: Cannot find a working triton installation)")
    noise.kernel.cache_clear()


def test_kernel_that_draws_other_numbers_is_not_taken(monkeypatch, caplog):
    """As would one whose compiler multiplies in 32 bits."""
    monkeypatch.setattr(torch, "compile", lambda call, **_: lambda keyed, places: call(keyed & 0xFFFF, places))
    noise.kernel.cache_clear()
    assert torch.equal(noise.kernel(CPU, 10)(table(5)), noise.by_blocks(table(5), 10, CPU))
    assert "its numbers differ from NumPy's" in caplog.text
    noise.kernel.cache_clear()


def test_kernel_passes_on_a_want_of_memory(monkeypatch):
    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch, "compile", full)
    noise.kernel.cache_clear()
    with pytest.raises(torch.OutOfMemoryError):
        noise.kernel(CPU, 10)


@pytest.mark.long
@pytest.mark.skipif(not which("g++"), reason="torch.compile needs a C++ compiler here, and there is no g++")
def test_compiled_by_inductor_draws_what_by_blocks_does():
    torch._dynamo.reset()
    for size in (10, 3072):
        draw = noise.compiled(CPU, size)
        for rows in (1, 2, 50):
            torch.testing.assert_close(draw(table(rows)), noise.by_blocks(table(rows), size, CPU), rtol=1e-6, atol=1e-9)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is here")
@pytest.mark.parametrize("shape", [(3,), (3, 5, 7), (3, 32, 32)])
def test_normal_on_a_gpu_equals_the_cpus(shape, caplog):
    """The same integers, else a number would be another altogether; normals as far as float64's log and cos go."""
    for rows in (1, 2, 513):
        keys = np.random.default_rng(rows).integers(0, 2**64, rows, dtype=np.uint64).tolist()
        ours, theirs = (normal(5, range(rows), keys, shape, device) for device in ("cuda", "cpu"))
        torch.testing.assert_close(ours.cpu(), theirs, rtol=1e-6, atol=1e-9)
    assert not caplog.messages  # it was one kernel
