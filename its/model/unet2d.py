"""diffusers' UNet2DModel pipelines (DDPM, DDIM), by folder or hub name."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from torch import Tensor, nn

from its.model.checkpoint import home_of_file
from its.model.config_file import EMA, METADATA, ConfigFile
from its.model.denoiser import NetworkDenoiser
from its.model.diffusers_network import pretrained
from its.model.run_as import run_as
from its.model.scheduler_config import SchedulerConfig
from its.model.wrappers import StateDict
from its.sampler.noise_paths import VP
from its.sampler.sampler import Variance
from its.weights import Device, Dtype, GuidanceInterval, GuidanceScale, Weights, locate

if TYPE_CHECKING:
    from diffusers import UNet2DModel

PIPELINES = ("DDPMPipeline", "DDIMPipeline", "PNDMPipeline")
OTHER_PIPELINE = f"choose a pipeline of UNet2DModel alone ({', '.join(PIPELINES)})"
OTHER_NETWORK = (
    "choose a UNet2DModel that predicts from pixels, time and class ids, or correct the entry if it is wrong"
)


class UNet2D(nn.Module):
    """A UNet2DModel as a `Network`."""

    def __init__(self, unet: UNet2DModel) -> None:
        super().__init__()
        self.unet = unet.eval().requires_grad_(False)

    def forward(self, x: Tensor, time: Tensor, label: Tensor | None) -> Tensor:
        return self.unet(x, time, class_labels=label).sample


def parts(folder: Path) -> dict[str, Path]:
    """Return the folders of a pipeline's scheduler and network, which are one where it is flat.

    Raises:
        ValueError: it is no folder, the pipeline is of another class, or has a part that is not known here.
    """
    if folder.is_file():
        remedy = home_of_file(str(folder)) or OTHER_PIPELINE
        raise ValueError(f"{folder} is a file, and a pipeline of diffusers is a folder; {remedy}")
    if (folder / "model_index.json").is_file():
        index = ConfigFile.read(folder / "model_index.json", OTHER_PIPELINE)
        index.require(
            {**METADATA, "_class_name": Literal[PIPELINES], "scheduler": Sequence[str], "unet": Sequence[str]}
        )
    flat = (folder / "scheduler_config.json").exists()
    return {name: folder if flat else folder / name for name in ("scheduler", "unet")}


def network_config(path: Path) -> ConfigFile:
    """Read the configuration of a UNet2DModel.

    Raises:
        ValueError: it is another network's, or has an entry that the installed diffusers would leave out.
    """
    from diffusers import UNet2DModel

    config = ConfigFile.read(path, OTHER_NETWORK)
    if config.needed("_class_name") != "UNet2DModel":
        raise config.refusal("_class_name", "only UNet2DModel is read here")
    own = dict.fromkeys(list(signature(UNet2DModel.__init__).parameters)[1:], Any)
    config.require(
        {
            **METADATA,
            **EMA,
            **own,
            "in_channels": int,
            "out_channels": int,
            "class_embed_type": type(None),
            "time_embedding_type": Literal["positional", "learned"],
            "num_class_embeds": int | None,
            "sample_size": int | Sequence[int],
        }
    )
    taken, given = (config.get(key, 3) for key in ("in_channels", "out_channels"))
    if given not in (taken, 2 * taken):
        raise config.refusal(
            "out_channels", f"in_channels is {taken}, and it is as many, or twice with a learned variance"
        )
    return config


def size_of(config: ConfigFile) -> tuple[int, int]:
    """Return height and width of a network's images.

    Raises:
        ValueError: the configuration does not say.
    """
    size = config.needed("sample_size")
    sides = [size, size] if isinstance(size, int) else size
    if len(sides) != 2 or min(sides) < 1:
        raise config.refusal("sample_size", "it is a side, or height and width", "write the images' size there")
    return sides[0], sides[1]


def path_of(scheduler: SchedulerConfig) -> VP:
    """Return the noise path that a scheduler states."""
    last = 1.0 if scheduler.set_alpha_to_one else scheduler.alphas_cumprod[0]
    return VP(scheduler.alphas_cumprod, offset=scheduler.steps_offset, final_alpha_cumprod=last)


def published_variance(scheduler: SchedulerConfig, network: ConfigFile) -> Variance:
    """Return the variance of ancestral steps that a network was published with.

    One with twice the channels has learned it, also where its scheduler leaves that aside, as DDIM's does.

    Raises:
        ValueError: the scheduler wants a learned one, and the network gives none.
    """
    learned = network.get("out_channels", 3) != network.get("in_channels", 3)
    if scheduler.variance_type == "learned_range" and not learned:
        raise network.refusal(
            "out_channels", "its scheduler_config.json has variance_type learned_range, which takes twice in_channels"
        )
    if learned:
        return "learned"
    return "fixed_large" if scheduler.variance_type == "fixed_large" else "fixed_small"


def advice(state: StateDict) -> str:
    """Say what to do with tensors that do not fit: name the sizes that they tell."""
    return (
        f"its names and shapes tell {sizes_of(state)}: correct its config.json, or fetch the one that it was published "
        "with"
    )


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
    weights_key: str | None = None,
    conditional: bool = False,
    guidance_scale: GuidanceScale = 1.0,
    guidance_interval: GuidanceInterval | None = None,
    null_class: int | None = None,
    clip: float | Literal["checkpoint"] | None = "checkpoint",
    rederive_eps: bool = False,
    dtype: Dtype = "float32",
    channels_last: bool = False,
    compile: bool = False,
    device: Device = "cpu",
) -> NetworkDenoiser:
    """Load a network and its scheduler's settings as diffusers saves them.

    Args:
        weights: a folder, or a name on the hub, with `config.json`, weights and `scheduler_config.json`, flat or as a
            pipeline's `unet` and `scheduler`. Safetensors, or torch's format, which is read with `weights_only`.
        weights_key: variant of the weights (`fp16`, `non_ema`); None is the one without a name, or the only one.
        conditional: whether the network is given the class.
        guidance_scale, guidance_interval: see `its.model.denoiser.NetworkDenoiser`; times are training steps.
        null_class: label of no condition; default: the last class embedding, if there are any.
        clip: as in `its.model.clipping.Clipping`; `checkpoint` takes the scheduler's `clip_sample`.
        rederive_eps: see there.
        dtype, channels_last, compile: see `its.model.run_as.run_as`.

    Raises:
        ValueError: an entry of the configurations is not known, the weights do not fit, hold more than tensors, or are
            of a network without the classes asked for.
    """
    # Read the scheduler's settings and the network.
    folder = locate(weights)
    places = parts(folder)
    scheduler = SchedulerConfig.read(places["scheduler"] / "scheduler_config.json")
    config = network_config(places["unet"] / "config.json")
    network = pretrained("UNet2DModel", places["unet"], weights, weights_key, advice)

    # Find the label of no condition.
    classes = network.config.num_class_embeds
    null_class = classes - 1 if null_class is None and classes else null_class
    if conditional and null_class is None:
        raise ValueError("model.conditional is true, and this network takes no class labels; set it to false")

    return NetworkDenoiser(
        run_as(UNet2D(network).to(device), dtype, channels_last=channels_last, compile=compile),
        path_of(scheduler),
        scheduler.prediction_type,
        (network.config.in_channels, *size_of(config)),
        conditional=conditional,
        null_class=null_class,
        guidance_scale=guidance_scale,
        guidance_interval=guidance_interval,
        clip=scheduler.clip if clip == "checkpoint" else clip,
        rederive_eps=rederive_eps,
        variance=published_variance(scheduler, config),
        device=device,
    )
