"""diffusers' UNet2DModel pipelines (DDPM, DDIM), by folder or hub name."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from its.model.denoiser import Prediction, guess_from
from its.model.schedule import VP, Schedule
from its.sampler.sampler import Columns, Guess
from its.types import Condition
from its.weights import locate


class UNet2D:
    """A UNet2DModel as a `Denoiser`.

    Args:
        network: diffusers' UNet2DModel, or any callable of (sample, timestep, class_labels).
        schedule: the path it was trained on.
        prediction: what its output is.
        shape: event shape (C, H, W).
        null_class: label that stands for no condition; None if the network takes no labels.
        conditional: whether it is told the class at all.
        guidance_scale: classifier-free guidance (Ho and Salimans 2022, arXiv:2207.12598):
            `out_null + scale (out_class - out_null)`; 1 is off, anything else takes two slots.
        clip: x0_hat is clamped to [-clip, clip]; None leaves it.
    """

    dtype = torch.float32
    decoder = None

    def __init__(self, network: torch.nn.Module, schedule: Schedule, prediction: Prediction, shape: tuple[int, ...],
                 *, null_class: int | None = None, conditional: bool = False, guidance_scale: float = 1.0,
                 clip: float | None = 1.0, device: torch.device | str = "cpu") -> None:
        if conditional and null_class is None:
            raise ValueError("model.conditional is true, and this network takes no class labels; set it to false")
        if guidance_scale != 1.0 and not conditional:
            raise ValueError(f"model.guidance_scale is {guidance_scale} on an unconditional model; "
                             "set model.conditional=true or model.guidance_scale=1")
        self.device = torch.device(device)
        self.network = network.to(self.device).eval().requires_grad_(False)
        self.schedule = schedule
        self.prediction: Prediction = prediction
        self.shape = shape
        self.null_class = null_class
        self.conditional = conditional
        self.guidance_scale = guidance_scale
        self.clip = clip
        self.slots = 1 if guidance_scale == 1.0 else 2

    def __call__(self, x: Tensor, levels: Columns, conditions: Sequence[Condition]) -> Guess:
        output = self._guided(levels.scale.to(x) * x, levels.time.flatten(), self._labels(conditions))
        guess = guess_from(self.prediction, output, x, levels)
        if self.clip is None:
            return guess
        return Guess(guess.x0.clamp(-self.clip, self.clip), guess.eps)

    def _labels(self, conditions: Sequence[Condition]) -> Tensor | None:
        if self.null_class is None:
            return None
        classes = conditions if self.conditional else [self.null_class] * len(conditions)
        return torch.tensor(classes, dtype=torch.int64).to(self.device, non_blocking=True)

    def _guided(self, x: Tensor, time: Tensor, labels: Tensor | None) -> Tensor:
        """The network's output; with guidance, both halves of one batch."""
        if self.slots == 1:
            return self.network(x, time, class_labels=labels).sample
        assert labels is not None
        null = torch.full_like(labels, self.null_class or 0)
        both = self.network(torch.cat([x, x]), torch.cat([time, time]), class_labels=torch.cat([labels, null])).sample
        told, untold = both.chunk(2)
        return untold + self.guidance_scale * (told - untold)


def load(weights: str, *, conditional: bool = False, guidance_scale: float = 1.0, null_class: int | None = None,
         device: str = "cpu") -> UNet2D:
    """Load a network and its scheduler's settings as diffusers saves them.

    Args:
        weights: a folder, or a name on the hub, with `config.json`, weights in safetensors and
            `scheduler_config.json`, flat or as a pipeline's `unet` and `scheduler`.
        null_class: label of no condition; default: the last class embedding, if there are any.
    """
    from diffusers import DDIMScheduler, UNet2DModel

    path = locate(weights)
    flat = (path / "scheduler_config.json").exists()
    network = UNet2DModel.from_pretrained(path, subfolder=None if flat else "unet", use_safetensors=True,
                                           low_cpu_mem_usage=False)
    scheduler = DDIMScheduler.from_pretrained(path, subfolder=None if flat else "scheduler")
    config = scheduler.config
    table = tuple(float(a) for a in scheduler.alphas_cumprod.double())
    classes = network.config.num_class_embeds
    size = network.config.sample_size
    return UNet2D(
        network, VP(table, offset=config.steps_offset), config.prediction_type,
        (network.config.in_channels, size, size),
        null_class=classes - 1 if null_class is None and classes else null_class,
        conditional=conditional, guidance_scale=guidance_scale,
        clip=config.clip_sample_range if config.clip_sample else None, device=device,
    )
