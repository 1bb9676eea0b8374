"""Train the embedded digits problem: a generator, a verifier and a held-out report classifier.

    python scripts/train_digits.py                      into its/weights/digits, 7 min, 2 cores
    python scripts/train_digits.py --out /tmp/digits    elsewhere

One seed decides everything; another CPU type, thread count or torch version rounds differently, so
weights are bit-identical on one machine only. The figures of README.md in the output folder are measured
at the end of the same run. scripts/train_digits_noisy.py uses the training loop of this page.
"""

import copy
import hashlib
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import TypeVar

import diffusers
import torch
from diffusers import DDIMScheduler, UNet2DModel
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from its.classifier.digits import ReportNet, VerifierNet
from its.dataset.digits import Digits, Split
from its.metric.features import Moments
from its.metric.fid import frechet_distance
from its.process.command import Parser, command

Classifier = TypeVar("Classifier", VerifierNet, ReportNet)

NULL_CLASS = 10
LEARNING_RATE = 2e-3
STEPS = (5, 10, 50)
ETAS = (0.0, 0.5, 1.0)
DEFAULT_OUT = Path(__file__).resolve().parents[1] / "its" / "weights" / "digits"


def tensors(split: Split) -> tuple[Tensor, Tensor]:
    """Return float images [n, 1, 8, 8] in [-1, 1] and class ids [n] of one split."""
    images, class_ids = Digits().images(split)
    x_0 = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1
    return x_0.contiguous(), torch.from_numpy(class_ids)


def batches(size: int, batch: int, steps: int) -> Iterator[Tensor]:
    """Yield `steps` index batches of a fixed size from fresh shuffles of range(size)."""
    queue = torch.empty(0, dtype=torch.long)
    for _ in range(steps):
        if len(queue) < batch:
            queue = torch.cat([queue, torch.randperm(size)])
        yield queue[:batch]
        queue = queue[batch:]


def fit(
    network: nn.Module,
    loss_of: Callable[[Tensor], Tensor],
    *,
    size: int,
    batch: int,
    steps: int,
    decay: float,
    max_norm: float | None = None,
) -> Iterator[tuple[int, float]]:
    """Train a network by AdamW, and yield each step's number and loss after it.

    The learning rate warms up to 2e-3 over a twentieth of the steps, then falls to 0 by a cosine.

    Args:
        loss_of: loss of the images with these indices.
        size: number of images.
        max_norm: bound on the norm of the gradient.
    """
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=decay)
    rate = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, LEARNING_RATE, total_steps=steps, pct_start=0.05, cycle_momentum=False
    )
    for step, rows in enumerate(batches(size, batch, steps)):
        loss = loss_of(rows)
        optimizer.zero_grad()
        loss.backward()
        if max_norm is not None:
            nn.utils.clip_grad_norm_(network.parameters(), max_norm)
        optimizer.step()
        rate.step()
        yield step, loss.item()


def new_generator() -> UNet2DModel:
    """Return an untrained class-conditional UNet of 0.65 M parameters; class 10 is "no class"."""
    return UNet2DModel(
        sample_size=8,
        in_channels=1,
        out_channels=1,
        block_out_channels=(32, 64),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
        attention_head_dim=16,
        norm_num_groups=8,
        dropout=0.1,
        num_class_embeds=NULL_CLASS + 1,
    )


def new_scheduler() -> DDIMScheduler:
    """Return the noise schedule of training, set up for few-step sampling."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        clip_sample=True,
        clip_sample_range=1.0,
        timestep_spacing="trailing",
    )


def train_generator(seed: int, steps: int, batch: int = 128) -> UNet2DModel:
    """Fit v-prediction on all images, a fifth without class; return the averaged network."""
    torch.manual_seed(seed)
    x_0, class_ids = tensors("all")
    network, scheduler = new_generator().train(), new_scheduler()
    average = copy.deepcopy(network)

    def loss_of(rows: Tensor) -> Tensor:
        eps = torch.randn(batch, 1, 8, 8)
        t = torch.randint(0, 1000, (batch,))
        condition = class_ids[rows].masked_fill(torch.rand(batch) < 0.2, NULL_CLASS)
        x_t = scheduler.add_noise(x_0[rows], eps, t)
        velocity = network(x_t, t, class_labels=condition).sample
        return functional.mse_loss(velocity, scheduler.get_velocity(x_0[rows], eps, t))

    # Train, and average the weights over the last 500 steps or so.
    for step, loss in fit(network, loss_of, size=len(x_0), batch=batch, steps=steps, decay=1e-2, max_norm=1.0):
        with torch.no_grad():
            weight = max(0.002, 1 / (step + 1))
            for mean, value in zip(average.parameters(), network.parameters(), strict=True):
                mean.lerp_(value, weight)
        if (step + 1) % 500 == 0:
            print(f"generator step {step + 1} of {steps}, loss {loss:.4f}", flush=True)
    return average.eval()


def augmented(x_0: Tensor) -> Tensor:
    """Return images shifted by up to one pixel each way, with Gaussian noise of std up to 0.3."""
    n = len(x_0)
    crops = functional.pad(x_0, (1, 1, 1, 1), value=-1.0).unfold(2, 8, 1).unfold(3, 8, 1)
    shifted = crops[torch.arange(n), :, torch.randint(0, 3, (n,)), torch.randint(0, 3, (n,))]
    return shifted + 0.3 * torch.rand(n, 1, 1, 1) * torch.randn_like(shifted)


def train_classifier(architecture: type[Classifier], split: Split, seed: int, steps: int = 1500) -> Classifier:
    """Fit a classifier on its half with label smoothing 0.05 and augmentation."""
    torch.manual_seed(seed)
    network = architecture().train()
    x_0, class_ids = tensors(split)

    def loss_of(rows: Tensor) -> Tensor:
        return functional.cross_entropy(network(augmented(x_0[rows])), class_ids[rows], label_smoothing=0.05)

    for _ in fit(network, loss_of, size=len(x_0), batch=64, steps=steps, decay=5e-2):
        pass
    return network.eval()


@torch.inference_mode()
def accuracy(network: nn.Module, class_ids: Tensor, *inputs: Tensor) -> float:
    """Return the share of images whose most probable class is `class_ids`."""
    return (network(*inputs).argmax(1) == class_ids).double().mean().item()


def accuracy_on(split: Split, network: nn.Module) -> float:
    """Return the accuracy of a classifier on a split of the real images."""
    x_0, class_ids = tensors(split)
    return accuracy(network, class_ids, x_0)


@torch.inference_mode()
def draw(generator: UNet2DModel, condition: Tensor, steps: int, eta: float, seed: int, batch: int = 128) -> Tensor:
    """Return DDIM samples [n, 1, 8, 8] in [-1, 1] of class ids [n] (10 = no class)."""
    scheduler, random = new_scheduler(), torch.Generator().manual_seed(seed)
    # In float32, 1 - alpha_bar - variance rounds below 0 at the first step with eta 1: NaN.
    scheduler.alphas_cumprod = scheduler.alphas_cumprod.double()
    scheduler.set_timesteps(steps)
    finished = []
    for labels in condition.split(batch):
        x_t = torch.randn(len(labels), 1, 8, 8, generator=random)
        for t in scheduler.timesteps:
            velocity = generator(x_t, t, class_labels=labels).sample
            x_t = scheduler.step(velocity, t, x_t, eta=eta, generator=random).prev_sample
        finished.append(x_t.clamp(-1, 1))
    return torch.cat(finished)


def moments(features: Tensor) -> Moments:
    """Return the moments of features [n, d]."""
    return Moments.of(features.numpy())


@torch.inference_mode()
def sample_rows(generator: UNet2DModel, report: ReportNet, seed: int, count: int) -> list[str]:
    """Measure `count` samples at every (condition, eta, steps); return Markdown table rows."""
    real = moments(report.features(tensors("all")[0]))
    classes = torch.arange(count) % 10
    rows = []
    for name, eta, steps in product(("class", "null"), ETAS, STEPS):
        condition = classes if name == "class" else torch.full_like(classes, NULL_CLASS)
        x_0 = draw(generator, condition, steps, eta, seed)
        share, distance = accuracy(report, classes, x_0), frechet_distance(moments(report.features(x_0)), real)
        rows.append(f"| {name} | {eta} | {steps} | {share:.4f} | {distance:.4f} |")
    return rows


@torch.inference_mode()
def rows_per_second(generator: UNet2DModel, batch: int = 128, repeats: int = 50) -> float:
    """Return network rows a second at one batch size, after warming up."""
    x_t, t = torch.randn(batch, 1, 8, 8), torch.randint(0, 1000, (batch,))
    condition = torch.arange(batch) % (NULL_CLASS + 1)
    for _ in range(10):
        generator(x_t, t, class_labels=condition)
    start = time.perf_counter()
    for _ in range(repeats):
        generator(x_t, t, class_labels=condition)
    return batch * repeats / (time.perf_counter() - start)


def machine() -> str:
    """Return CPU name and core count, torch threads, and versions, in words."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    cpu = names[0] if names else platform.machine()
    return (
        f"{cpu}, {os.cpu_count()} cores, {torch.get_num_threads()} torch threads, "
        f"torch {torch.__version__}, diffusers {diffusers.__version__}"
    )


README = """# Digits weights

Three networks for the embedded digits problem (scikit-learn's `load_digits`, 1,797 images of 8x8):
a class-conditional generator trained on all of them, and two classifiers trained on disjoint
halves.
This page is written by the command below; no number in it is typed in.

    python scripts/train_digits.py --seed {seed} --steps {steps}

Machine: {machine}. Training took {seconds:.0f} s. Weights: {bytes} bytes.

| classifier | trained on | tested on | accuracy |
|---|---|---|---|
| verifier | verifier half | report half | {verifier:.4f} |
| report | report half | verifier half | {report:.4f} |

The generator has {parameters} parameters and evaluates {speed:.0f} rows/s at batch 128.

{count} DDIM samples a row, trailing timesteps. Accuracy: how often the report network finds class
`index % 10`, which "class" rows were asked for and "null" rows were not. Distance: Frechet distance
of the report network's features to those of all real images; between the two real halves, one of
which that network was trained on, it is {halves:.4f}.

| condition | eta | steps | accuracy | distance |
|---|---|---|---|---|
{samples}

sha256:

{hashes}
"""


def save(out: Path, generator: UNet2DModel, verifier: VerifierNet, report: ReportNet) -> None:
    """Write the three networks and the generator's noise schedule."""
    out.mkdir(parents=True, exist_ok=True)
    generator.save_pretrained(out / "generator", safe_serialization=True)
    new_scheduler().save_config(out / "generator")
    save_file(verifier.state_dict(), out / "verifier.safetensors")
    save_file(report.state_dict(), out / "report.safetensors")


def hashes(files: Sequence[Path], out: Path) -> str:
    """Return indented `sha256sum` lines of files under `out`."""
    return "\n".join(
        f"    {hashlib.sha256(p.read_bytes()).hexdigest()}  {p.relative_to(out).as_posix()}" for p in files
    )


@command
def main() -> None:
    """Train, save, measure, and write README.md."""
    # Read the command line.
    parser = Parser(__doc__)
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=4000, help="optimizer steps of the generator")
    parser.add_argument("--count", type=int, default=1000, help="samples a row of the README table")
    args = parser.parse_args()
    torch.set_num_threads(2)

    # Train.
    start = time.perf_counter()
    verifier = train_classifier(VerifierNet, "verifier", args.seed)
    report = train_classifier(ReportNet, "report", args.seed)
    generator = train_generator(args.seed, args.steps)
    seconds = time.perf_counter() - start

    # Save and measure.
    save(args.out, generator, verifier, report)
    with torch.inference_mode():
        halves = [moments(report.features(tensors(split)[0])) for split in ("verifier", "report")]
    text = README.format(
        seed=args.seed,
        steps=args.steps,
        machine=machine(),
        seconds=seconds,
        bytes=sum(p.stat().st_size for p in args.out.rglob("*.safetensors")),
        verifier=accuracy_on("report", verifier),
        report=accuracy_on("verifier", report),
        parameters=sum(p.numel() for p in generator.parameters()),
        speed=rows_per_second(generator),
        count=args.count,
        halves=frechet_distance(*halves),
        samples="\n".join(sample_rows(generator, report, args.seed, args.count)),
        hashes=hashes(sorted(p for p in args.out.rglob("*") if p.is_file() and p.name != "README.md"), args.out),
    )
    (args.out / "README.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
