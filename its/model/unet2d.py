"""diffusers' UNet2DModel pipelines (DDPM, DDIM), by folder or hub name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any, Literal

from torch import Tensor

from its.model.checkpoint import StateDict, conversion, misfit_of, read, refuse_misfit
from its.model.denoiser import NetworkDenoiser
from its.sampler.noise_paths import VP
from its.weights import Device, GuidanceScale, Weights, locate

if TYPE_CHECKING:
    from diffusers import UNet2DModel


@dataclass(frozen=True)
class UNet2D:
    """A UNet2DModel as a `Network`."""

    unet: UNet2DModel

    def __call__(self, x: Tensor, time: Tensor, label: Tensor | None) -> Tensor:
        return self.unet(x, time, class_labels=label).sample


def pretrained(folder: Path, weights: str) -> Any:
    """Load the UNet2DModel of a folder with exactly the tensors there, attention under old names too.

    Args:
        weights: name of the weights, for messages.

    Raises:
        ValueError: the tensors do not fit, or the file holds more than tensors.
    """
    from diffusers import UNet2DModel

    # Choose the format: safetensors if there are any.
    safe = any(folder.glob("*.safetensors"))
    file = folder / "diffusion_pytorch_model.bin"
    if not safe and not file.is_file():
        raise ValueError(f"{folder} holds neither safetensors nor {file.name}; give a folder that diffusers saved")
    try:
        network, info = UNet2DModel.from_pretrained(
            folder,
            use_safetensors=safe,
            low_cpu_mem_usage=False,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            local_files_only=True,
        )
    except (UnpicklingError, OSError, RuntimeError) as error:
        convert = f"if it holds more than tensors and you trust it, convert it once: {conversion(file)}"
        remedy = "fetch it again" if safe else convert
        raise ValueError(f"{weights} is not read ({' '.join(str(error).split())[:300]}); {remedy}") from error

    # Refuse tensors that diffusers would leave out or make up.
    if any(keys := misfit_of(info)):
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
    """Read entries of config.json off a state dict's names and shapes."""
    first = [name.split(".") for name in state if name.startswith("down_blocks.") and name.endswith(".conv1.weight")]
    levels, blocks = (1 + max((int(parts[k]) for parts in first), default=-1) for k in (1, 3))
    sizes: dict[str, Any] = {
        "block_out_channels": [len(state[f"down_blocks.{k}.resnets.0.conv1.weight"]) for k in range(levels)],
        "layers_per_block": blocks,
    }
    for key, name, axis in (("in_channels", "conv_in.weight", 1), ("out_channels", "conv_out.weight", 0)):
        if name in state:
            sizes[key] = state[name].shape[axis]
    return sizes


def load(
    weights: Weights,
    *,
    conditional: bool = False,
    guidance_scale: GuidanceScale = 1.0,
    null_class: int | None = None,
    clip: float | Literal["checkpoint"] | None = "checkpoint",
    rederive_eps: bool = False,
    device: Device = "cpu",
) -> NetworkDenoiser:
    """Load a network and its scheduler's settings as diffusers saves them.

    Args:
        weights: a folder, or a name on the hub, with `config.json`, weights and `scheduler_config.json`, flat or as a
            pipeline's `unet` and `scheduler`. Safetensors, or torch's format, which is read with `weights_only`.
        conditional: whether the network is given the class.
        null_class: label of no condition; default: the last class embedding, if there are any.
        clip: as in `its.model.denoiser.Clipping`; `checkpoint` takes the scheduler's `clip_sample`.
        rederive_eps: see there.

    Raises:
        ValueError: the weights do not fit, hold more than tensors, or are of a network without the classes asked for.
    """
    from diffusers import DDIMScheduler

    # Read the network and its scheduler.
    folder = locate(weights)
    flat = (folder / "scheduler_config.json").exists()
    network = pretrained(folder if flat else folder / "unet", weights)
    scheduler = DDIMScheduler.from_pretrained(folder, subfolder=None if flat else "scheduler")
    config = scheduler.config

    # Find the label of no condition.
    classes = network.config.num_class_embeds
    null_class = classes - 1 if null_class is None and classes else null_class
    if conditional and null_class is None:
        raise ValueError("model.conditional is true, and this network takes no class labels; set it to false")

    size = network.config.sample_size
    alphas_cumprod = tuple(float(value) for value in scheduler.alphas_cumprod.double())
    return NetworkDenoiser(
        UNet2D(network.to(device).eval().requires_grad_(False)),
        VP(alphas_cumprod, offset=config.steps_offset),
        config.prediction_type,
        (network.config.in_channels, size, size),
        conditional=conditional,
        null_class=null_class,
        guidance_scale=guidance_scale,
        clip=(config.clip_sample_range if config.clip_sample else None) if clip == "checkpoint" else clip,
        rederive_eps=rederive_eps,
        device=device,
    )
