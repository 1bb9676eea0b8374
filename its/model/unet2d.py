"""diffusers' UNet2DModel pipelines (DDPM, DDIM), by folder or hub name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from its.levels import VP, Columns, Guess, Schedule
from its.model.checkpoint import StateDict, conversion, keys_of, random_state, read, refuse_misfit
from its.model.denoiser import Prediction, guess_from
from its.types import Condition
from its.weights import Device, GuidanceScale, Weights, locate


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

    def __init__(
        self,
        network: torch.nn.Module,
        schedule: Schedule,
        prediction: Prediction,
        shape: tuple[int, ...],
        *,
        null_class: int | None = None,
        conditional: bool = False,
        guidance_scale: float = 1.0,
        clip: float | None = 1.0,
        device: torch.device | str = "cpu",
    ) -> None:
        if conditional and null_class is None:
            raise ValueError("model.conditional is true, and this network takes no class labels; set it to false")
        if guidance_scale != 1.0 and not conditional:
            raise ValueError(
                f"model.guidance_scale is {guidance_scale} on an unconditional model; "
                "set model.conditional=true or model.guidance_scale=1"
            )
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


def pretrained(folder: Path, weights: str) -> Any:
    """The UNet2DModel of a folder, with exactly the tensors that it holds; attention under old names is understood."""
    from diffusers import UNet2DModel

    safe = any(folder.glob("*.safetensors"))
    file = folder / "diffusion_pytorch_model.bin"
    if not safe and not file.is_file():
        raise ValueError(f"{folder} holds neither safetensors nor {file.name}; give a folder that diffusers saved")
    try:
        network, found = UNet2DModel.from_pretrained(
            folder,
            use_safetensors=safe,
            low_cpu_mem_usage=False,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            local_files_only=True,
        )
    except (UnpicklingError, OSError, RuntimeError) as error:
        remedy = (
            "fetch it again"
            if safe
            else (f"if it holds more than tensors and you trust it, convert it once: {conversion(file)}")
        )
        raise ValueError(f"{weights} is not read ({' '.join(str(error).split())[:300]}); {remedy}") from error
    if any(keys := keys_of(found)):
        state = read(str(next(folder.glob("*.safetensors")) if safe else file))
        refuse_misfit(
            weights,
            "UNet2DModel",
            keys,
            f"its names and shapes tell {sizes_of(state)}: correct its "
            "config.json, or fetch the one that it was published with",
        )
    return network


def sizes_of(state: StateDict) -> dict[str, Any]:
    """Entries of config.json that a state dict's names and shapes tell."""
    first = [name.split(".") for name in state if name.startswith("down_blocks.") and name.endswith(".conv1.weight")]
    levels, blocks = (1 + max((int(parts[k]) for parts in first), default=-1) for k in (1, 3))
    return {
        "block_out_channels": [len(state[f"down_blocks.{k}.resnets.0.conv1.weight"]) for k in range(levels)],
        "layers_per_block": blocks,
        **{
            key: state[name].shape[axis]
            for key, name, axis in (("in_channels", "conv_in.weight", 1), ("out_channels", "conv_out.weight", 0))
            if name in state
        },
    }


def twin(weights: str, *, size: int, channels: Sequence[int]) -> None:
    """Write a random pipeline to the folder `weights`, as google/ddpm-cifar10-32 was published.

    Flat, in torch's format, attention under the names of diffusers before 0.16, at `channels` by resolution.
    """
    from diffusers import DDPMScheduler, UNet2DModel

    folder = Path(weights)
    attends = [index == 1 for index in range(len(channels))]
    network = UNet2DModel(
        sample_size=size,
        block_out_channels=tuple(channels),
        layers_per_block=1,
        norm_num_groups=8,
        down_block_types=tuple("AttnDownBlock2D" if attend else "DownBlock2D" for attend in attends),
        up_block_types=tuple("AttnUpBlock2D" if attend else "UpBlock2D" for attend in reversed(attends)),
        attention_head_dim=None,
        downsample_padding=0,
        flip_sin_to_cos=False,
        freq_shift=1,
        norm_eps=1e-6,
    )
    network.save_config(folder)
    state = {old_name(name): value for name, value in random_state(network).items()}
    torch.save(state, folder / "diffusion_pytorch_model.bin")
    DDPMScheduler(variance_type="fixed_large").save_pretrained(folder)


def old_name(name: str) -> str:
    """An attention's tensor as diffusers named it before 0.16."""
    for new, old in (("to_q", "query"), ("to_k", "key"), ("to_v", "value"), ("to_out.0", "proj_attn")):
        name = name.replace(f".{new}.", f".{old}.")
    return name


def load(
    weights: Weights,
    *,
    conditional: bool = False,
    guidance_scale: GuidanceScale = 1.0,
    null_class: int | None = None,
    device: Device = "cpu",
) -> UNet2D:
    """Load a network and its scheduler's settings as diffusers saves them.

    Args:
        weights: a folder, or a name on the hub, with `config.json`, weights and `scheduler_config.json`, flat or as a
            pipeline's `unet` and `scheduler`. Safetensors, or torch's format, which is read with `weights_only`.
        null_class: label of no condition; default: the last class embedding, if there are any.

    Raises:
        ValueError: the weights do not fit, or hold more than tensors.
    """
    from diffusers import DDIMScheduler

    path = locate(weights)
    flat = (path / "scheduler_config.json").exists()
    network = pretrained(path if flat else path / "unet", weights)
    scheduler = DDIMScheduler.from_pretrained(path, subfolder=None if flat else "scheduler")
    config = scheduler.config
    table = tuple(float(a) for a in scheduler.alphas_cumprod.double())
    classes = network.config.num_class_embeds
    size = network.config.sample_size
    return UNet2D(
        network,
        VP(table, offset=config.steps_offset),
        config.prediction_type,
        (network.config.in_channels, size, size),
        null_class=classes - 1 if null_class is None and classes else null_class,
        conditional=conditional,
        guidance_scale=guidance_scale,
        clip=config.clip_sample_range if config.clip_sample else None,
        device=device,
    )
