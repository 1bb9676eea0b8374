"""Train the digit classifier that knows the noise level, for classifier guidance.

    python scripts/train_digits_noisy.py                into its/weights/digits, 2 min, 2 cores

It is trained on the verifier's half of the images, on the generator's noise path. The figures of `noisy.md` beside the
weights are measured on the other half.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional
from train_digits import DEFAULT_OUT, accuracy, fit, hashes, new_scheduler, tensors

from its.classifier.digits import NoisyNet
from its.process.command import Parser, command

TIMES = (999, 749, 499, 249, 0)


def columns(t: Tensor) -> tuple[Tensor, Tensor]:
    """Return alpha and sigma `[n, 1, 1, 1]` at training steps `t [n]`."""
    squared = new_scheduler().alphas_cumprod[t][:, None, None, None]
    return squared.sqrt(), (1 - squared).sqrt()


def train(seed: int, steps: int, batch: int = 128) -> NoisyNet:
    """Fit the class of an image from a row at a uniformly drawn noise level."""
    torch.manual_seed(seed)
    network = NoisyNet().train()
    x_0, class_ids = tensors("verifier")

    def loss_of(rows: Tensor) -> Tensor:
        alpha, sigma = columns(torch.randint(0, 1000, (len(rows),)))
        x_t = alpha * x_0[rows] + sigma * torch.randn_like(x_0[rows])
        return functional.cross_entropy(network(x_t, alpha, sigma), class_ids[rows])

    for _ in fit(network, loss_of, size=len(x_0), batch=batch, steps=steps, decay=5e-2):
        pass
    return network.eval()


def accuracy_at(time: int, network: NoisyNet) -> float:
    """Return the accuracy on the report half at one training step's noise level."""
    x_0, class_ids = tensors("report")
    alpha, sigma = columns(torch.full((len(x_0),), time))
    noise = torch.randn(x_0.shape, generator=torch.Generator().manual_seed(1))
    return accuracy(network, class_ids, alpha * x_0 + sigma * noise, alpha, sigma)


@command
def main() -> None:
    """Train, save, measure, and write noisy.md."""
    # Read the command line.
    parser = Parser(__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT)
    options = parser.parse_args()

    # Train, save and measure.
    network = train(options.seed, options.steps)
    path = options.out / "noisy.safetensors"
    save_file(network.state_dict(), path)
    rows = "".join(f"| {time} | {accuracy_at(time, network):.4f} |\n" for time in TIMES)
    (options.out / "noisy.md").write_text(
        "# Noise-aware digit classifier\n\nWritten by `python scripts/train_digits_noisy.py "
        f"--seed {options.seed} --steps {options.steps}`, torch {torch.__version__}.\n\n"
        f"| training step of 1000 | accuracy on the report half |\n|---|---|\n{rows}\nsha256:\n\n"
        f"{hashes([path], options.out)}\n",
        encoding="utf-8",
    )
    print(rows)


if __name__ == "__main__":
    main()
