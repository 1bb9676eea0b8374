"""Measure how fast networks alone are here: formats, types, torch.compile, batches, threads and processes.

    python scripts/benchmark_network.py [--networks digits_unconditional,ddpm,dit,unet2d_condition] [key=value ...]

A network is a choice of `model=`, or one of random weights: `ddpm` (UNet2DModel as google/ddpm-cifar10-32, 35.7 M),
`dit` (DiTTransformer2DModel, DiT-S/2, 39.8 M, 32x32 latents) and `unet2d_condition` (UNet2DConditionModel as Stable
Diffusion 1.5 at a quarter of its width, 57.4 M, 32x32 latents, 77 tokens). Every line is a median of interleaved
rounds: network rows/s, how many times those of the network as it is at the same batch and threads, and whether rows
had the same bits at other places and in other company. The last lines of a network are one process of all threads
beside as many processes of one thread. The best rows/s of each network are kept for scripts/benchmark.py.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple, cast, get_args

import its  # noqa: F401  # before torch, whose threads then wait passively

# isort: split
import torch
from gpu.networks import CIFAR
from torch import Tensor, nn

from its.config.blueprint import Blueprint
from its.config.composed import composed
from its.config.instantiate import instantiate
from its.config.plan import NETWORK_RATES, network_rate_key
from its.disk.store import write_atomic
from its.engine.bare import BareNetwork
from its.model.denoiser import Denoiser, NetworkDenoiser
from its.model.run_as import run_as
from its.process.command import Parser, command
from its.sampler.noise_paths import linear_vp
from its.weights import Dtype

BATCHES = {"digits": [32, 128, 512], "digits_unconditional": [32, 128, 512]}
SMALL = [8]
"""Batches by network, and of those not listed: of large ones a batch takes seconds on a CPU."""


class Way(NamedTuple):
    """How a network is run; see `its.model.run_as.run_as`."""

    dtype: Dtype = "float32"
    channels_last: bool = False
    compile: bool = False

    def __str__(self) -> str:
        layout = "channels-last" if self.channels_last else "contiguous"
        return f"{self.dtype} {layout}{' compiled' if self.compile else ''}"


class Call(nn.Module):
    """A network of diffusers as a `Network`: `call` says what it is given."""

    def __init__(self, network: nn.Module, call: Callable[[nn.Module, Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.network = network.eval().requires_grad_(False)
        self._call = call

    def forward(self, x: Tensor, time: Tensor, label: Tensor | None) -> Tensor:
        return self._call(self.network, x, time)


def ddpm() -> tuple[Call, tuple[int, ...]]:
    """Return a random UNet2DModel of google/ddpm-cifar10-32's config.json, and the shape of its rows."""
    from diffusers import UNet2DModel

    network: Any = UNet2DModel(**CIFAR.config)
    return Call(network, lambda unet, x, time: unet(x, time).sample), CIFAR.shape


def dit() -> tuple[Call, tuple[int, ...]]:
    """Return a random DiT-S/2 of 32x32 latents, and the shape of its rows."""
    from diffusers import DiTTransformer2DModel

    network = DiTTransformer2DModel(
        num_attention_heads=6, attention_head_dim=64, num_layers=12, in_channels=4, out_channels=8, sample_size=32
    )

    def call(transformer: nn.Module, x: Tensor, time: Tensor) -> Tensor:
        labels = torch.zeros(len(x), dtype=torch.int64, device=x.device)
        return transformer(x, timestep=time, class_labels=labels).sample[:, :4]

    return Call(network, call), (4, 32, 32)


def unet2d_condition() -> tuple[Call, tuple[int, ...]]:
    """Return a random UNet of Stable Diffusion 1.5 at a quarter of its width, and the shape of its rows."""
    from diffusers import UNet2DConditionModel

    network = UNet2DConditionModel(
        sample_size=32, block_out_channels=(80, 160, 320, 320), cross_attention_dim=768, norm_num_groups=16
    )

    def call(unet: nn.Module, x: Tensor, time: Tensor) -> Tensor:
        return unet(x, time, torch.zeros((len(x), 77, 768), dtype=x.dtype, device=x.device)).sample

    return Call(network, call), (4, 32, 32)


RANDOM: dict[str, Callable[[], tuple[Call, tuple[int, ...]]]] = {
    "ddpm": ddpm,
    "dit": dit,
    "unet2d_condition": unet2d_condition,
}
"""Networks of random weights."""


def model_of(name: str, way: Way, overrides: Sequence[str]) -> Denoiser:
    """Build a network, run in a way, as a model."""
    if name not in RANDOM:
        words = [f"model={name}", *(f"model.{key}={str(value).lower()}" for key, value in way._asdict().items())]
        blueprint = Blueprint.of(*composed([*overrides, *words]))
        return cast(Denoiser, instantiate(blueprint.plain["model"], blueprint.packages))
    device = Blueprint.of(*composed(list(overrides))).plain["device"]
    network, shape = RANDOM[name]()
    run = run_as(network.to(device), way.dtype, channels_last=way.channels_last, compile=way.compile)
    return NetworkDenoiser(run, linear_vp(), "epsilon", shape, clip=None, device=device)


def bare(name: str, way: Way, batch: int, overrides: Sequence[str]) -> BareNetwork:
    """Return a network, run in a way, in full batches."""
    return of_model(model_of(name, way, overrides), batch)


def of_model(model: Denoiser, batch: int) -> BareNetwork:
    """Return a model in full batches, of noise and class 0."""
    return BareNetwork(model, batch, model.path.noisiest, [0])


def same_bits(network: BareNetwork) -> bool:
    """Return whether the first half of the rows come out the same in the places of the second, beside other rows."""
    x, half = network.x, network.rows // 2
    before = network().x0[:half]
    network.x = torch.cat([5 * torch.randn_like(x[half:]), x[:half]])
    after = network().x0[-half:]
    network.x = x
    return torch.equal(before, after)


class Line(NamedTuple):
    """A line of the table: a network in one batch, by so many threads, run in one way."""

    batch: int
    threads: int
    way: Way


def measure(name: str, options: argparse.Namespace) -> dict[Line, float]:
    """Print a network's lines, the formats of a batch interleaved; return the median rows/s of each."""
    # Build it in every way; compiled it is measured in the first type, by all threads, in the middle batch.
    batches = options.batches or BATCHES.get(name, SMALL)
    middle, most = batches[len(batches) // 2], max(options.threads)
    eager = [Way(dtype, channels_last) for dtype in options.dtypes for channels_last in (False, True)]
    compiled = [] if options.eager else [Way(options.dtypes[0], compile=True)]
    models = {way: model_of(name, way, options.overrides) for way in (*eager, *compiled)}

    medians: dict[Line, float] = {}
    for batch in batches:
        networks = {way: of_model(model, batch) for way, model in models.items() if way in eager or batch == middle}
        lines = [
            Line(batch, threads, way)
            for threads in options.threads
            for way in networks
            if threads == most or not way.compile
        ]
        rates = interleaved({line: (line.threads, networks[line.way]) for line in lines}, options)
        for line in lines:
            medians[line] = statistics.median(rates[line])
            ratio = medians[line] / medians[Line(batch, line.threads, Way())]
            alike = "the same bits" if same_bits(networks[line.way]) else "other bits in other company"
            print(
                f"{name:<20} batch {batch:<5} {f'{line.threads} threads':<11}{line.way!s:<32} "
                f"{medians[line]:>8.4g} rows/s  {ratio:5.2f}  {alike}",
                flush=True,
            )
    return medians


def interleaved(cells: dict[Line, tuple[int, BareNetwork]], options: argparse.Namespace) -> dict[Line, list[float]]:
    """Return the rows/s of each cell, round by round; each is called once before, which may compile it."""
    rates: dict[Line, list[float]] = defaultdict(list)
    for k in range(1 + options.rounds):
        for line, (threads, network) in cells.items():
            torch.set_num_threads(threads)
            rate = network.rows_per_second(options.seconds if k else 0.0)
            rates[line] += [rate] if k else []
    return rates


def measure_processes(name: str, way: Way, batch: int, options: argparse.Namespace) -> None:
    """Print one process of all threads beside as many processes of one thread, interleaved."""
    # Start the processes, which wait passively.
    threads, context = max(options.threads), multiprocessing.get_context("spawn")
    ends = [context.Pipe() for _ in range(threads)]
    workers = [
        context.Process(target=work, args=(theirs, name, way, batch, options.overrides), daemon=True)
        for _, theirs in ends
    ]
    for worker in workers:
        worker.start()
    for ours, _ in ends:
        ours.recv()  # it is ready

    # Measure in turn.
    torch.set_num_threads(threads)
    network = bare(name, way, batch, options.overrides)
    network()
    single, several = list[float](), list[float]()
    for _ in range(options.rounds):
        single.append(network.rows_per_second(options.seconds))
        for ours, _ in ends:
            ours.send(options.seconds)
        several.append(sum(ours.recv() for ours, _ in ends))
    for ours, _ in ends:
        ours.send(None)
    for label, rates in ((f"1 process x {threads} threads", single), (f"{threads} processes x 1 thread", several)):
        ratio = statistics.median(rates) / statistics.median(single)
        print(
            f"{name:<20} batch {batch:<5} {label:<44} {statistics.median(rates):>8.4g} rows/s  {ratio:5.2f}", flush=True
        )


def work(connection: Connection, name: str, way: Way, batch: int, overrides: Sequence[str]) -> None:
    """Measure in a process of one thread, for as many seconds as are asked for, until None is."""
    torch.set_num_threads(1)
    network = bare(name, way, batch, overrides)
    network()
    connection.send(None)
    while (seconds := connection.recv()) is not None:
        connection.send(network.rows_per_second(seconds))


def remember(networks: dict[str, dict[Line, float]], overrides: Sequence[str]) -> Path:
    """Keep the best rows/s of each network by its device, threads and type; return the file."""
    plain = Blueprint.of(*composed(list(overrides))).plain
    best: dict[str, dict[str, Any]] = {}
    for name, medians in networks.items():
        for line, rate in sorted(medians.items(), key=lambda entry: entry[1]):
            key = network_rate_key(name, plain["device"], line.threads, line.way.dtype)
            best[key] = {"rows_per_second": rate, "by": f"{line.way}, batch {line.batch}"}
    path = Path(plain["out_dir"]).expanduser().absolute() / NETWORK_RATES
    earlier = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    write_atomic(path, (json.dumps(earlier | best, indent=1, sort_keys=True) + "\n").encode())
    return path


def numbers(text: str) -> list[int]:
    """Read whole numbers that commas part."""
    return [int(part) for part in text.split(",")]


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(__doc__)
    parser.add_argument("--networks", default=f"digits_unconditional,{','.join(RANDOM)}", help="comma-separated")
    parser.add_argument("--batches", type=numbers, help="network rows, comma-separated; default: by network")
    parser.add_argument("--threads", type=numbers, default=sorted({1, torch.get_num_threads()}))
    parser.add_argument("--dtypes", type=lambda text: text.split(","), default=["float32", "bfloat16"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.4, help="of each line in each round")
    parser.add_argument("--eager", action="store_true", help="leave out torch.compile, which takes minutes")
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_intermixed_args()
    for dtype in options.dtypes:
        if dtype not in get_args(Dtype):
            raise ValueError(f"--dtypes names {dtype!r}; choose of {', '.join(get_args(Dtype))}")
    return options


@command
def main() -> None:
    options = arguments()
    print(f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}, medians of {options.rounds} rounds")
    networks: dict[str, dict[Line, float]] = {}
    for name in options.networks.split(","):
        networks[name] = measure(name, options)
        if max(options.threads) > 1:
            batches = sorted({line.batch for line in networks[name]})
            measure_processes(name, Way(), batches[len(batches) // 2], options)
        path = remember(networks, options.overrides)
    print(f"the best rows/s of each network are in {path}")


if __name__ == "__main__":
    main()
