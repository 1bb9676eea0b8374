"""EDM's networks (Karras et al. 2022, arXiv:2206.00364), as scripts/convert_edm.py writes them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from its.levels import Columns, Guess
from its.model.checkpoint import fit, home_of_file, read
from its.model.classifier_free import Network
from its.model.config_file import ConfigFile
from its.model.denoiser import ClassifierFreeDenoiser
from its.model.dhariwal_unet import DhariwalUNet
from its.model.run_as import run_as
from its.model.song_unet import SongUNet
from its.sampler.noise_paths import EDM
from its.types import Condition
from its.weights import Device, Dtype, GuidanceInterval, GuidanceScale, Weights, locate

COMMON = {"label_dim": 0, "label_dropout": 0, "sigma_data": 0.5}

DEFAULTS = {
    "embedding_type": "positional",
    "encoder_type": "standard",
    "decoder_type": "standard",
    "channel_mult_noise": 1,
    "resample_filter": [1, 1],
    "attn_resolutions": [16],
    "num_blocks": 4,
    "model_channels": 128,
    "channel_mult": [1, 2, 2, 2],
    **COMMON,
}
"""Defaults of EDM's constructors of a SongUNet, for entries that a configuration leaves out."""

DHARIWAL = {
    "attn_resolutions": [32, 16, 8],
    "num_blocks": 3,
    "model_channels": 192,
    "channel_mult": [1, 2, 3, 4],
    "channel_mult_emb": 4,
    **COMMON,
}
"""Those of a DhariwalUNet."""

KNOWN_OF_BOTH: dict[str, Any] = {
    "model_type": str,
    **dict.fromkeys(("img_resolution", "img_channels", "label_dim", "model_channels", "num_blocks"), int),
    **dict.fromkeys(("channel_mult", "attn_resolutions"), Sequence[int]),
    **dict.fromkeys(("label_dropout", "sigma_data"), float),
}

KNOWN: dict[str, dict[str, Any]] = {
    "SongUNet": {
        **KNOWN_OF_BOTH,
        "embedding_type": Literal["positional", "fourier"],
        "encoder_type": Literal["standard", "residual"],
        "decoder_type": Literal["standard"],
        "channel_mult_noise": int,
        "resample_filter": Sequence[int],
    },
    "DhariwalUNet": {**KNOWN_OF_BOTH, "channel_mult_emb": int},
}
"""The allow-list of a configuration's entries and values, by its `model_type`."""


class EDMDenoiser(ClassifierFreeDenoiser):
    """A preconditioned network as a `Denoiser`: x0_hat is the paper's D(x; sigma), Eq. 7, and is not clipped.

    It is a class of its own, and not a `NetworkDenoiser`: x0_hat and eps_hat are two combinations of x and the output
    with coefficients of sigma (deriving one from the other is ill-conditioned at either end), the network's time
    input is log(sigma) / 4, and its labels are one-hot.

    Args:
        network: a SongUNet or DhariwalUNet, already on `device`; labels are one-hot.
        path: the noise path; its `sigma_data` preconditions the network.
        shape: event shape (C, H, W).
        labels: number of classes that the network is given; 0 is unconditional.
        conditional: whether it is given the class; without it a network with labels gets a row of zeros.
        dropped: whether it was trained with some of its labels dropped, so that zeros stand for no condition.
        guidance_scale, guidance_interval: see `its.model.denoiser.NetworkDenoiser`; the interval is of sigma.
    """

    dtype = torch.float32

    def __init__(
        self,
        network: Network,
        path: EDM,
        shape: tuple[int, int, int],
        *,
        labels: int = 0,
        conditional: bool = True,
        dropped: bool = False,
        guidance_scale: float = 1.0,
        guidance_interval: Sequence[float] | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        none = labels if labels and dropped else None
        labelled = conditional and labels > 0
        super().__init__(path, guidance_scale, guidance_interval, none, conditional=labelled)
        self.device = torch.device(device)
        self.network = network
        self.sigma_data = path.sigma_data
        self.shape = shape
        self.labels = labels

    def __call__(self, x: Tensor, levels: Columns, conditions: Sequence[Condition]) -> Guess:
        # Evaluate the network: c_in is the level's scale, c_noise is log(sigma) / 4.
        sigma, data = levels.sigma, self.sigma_data
        total = sigma**2 + data**2
        time = (sigma.log() / 4).flatten().to(x)
        output = self.evaluated(self._labelled, levels.scale.to(x) * x, time, self._classes(conditions), levels)

        # Combine x and the output: Eq. 7 with c_skip and c_out, and the eps_hat that goes with it.
        x0 = (data**2 / total).to(x) * x + (sigma * data / total.sqrt()).to(x) * output
        return Guess(x0, (sigma / total).to(x) * x - (data / total.sqrt()).to(x) * output)

    def _labelled(self, x: Tensor, time: Tensor, label: Tensor | None) -> Tensor:
        """Evaluate rows with one-hot labels; the number behind the last class stands for none, a row of zeros."""
        table = None if label is None else torch.eye(self.labels + 1, self.labels, device=x.device)[label]
        return self.network(x, time, table)

    def _classes(self, conditions: Sequence[Condition]) -> Tensor | None:
        if not self.labels:
            return None
        classes = torch.tensor(conditions if self.conditional else [self.labels] * len(conditions), dtype=torch.int64)
        if self.conditional and (classes >= self.labels).any():
            raise ValueError(f"class {classes.max()} is asked for, and this network has 0 to {self.labels - 1}")
        return classes.to(self.device, non_blocking=True)


def load(
    weights: Weights,
    *,
    conditional: bool = True,
    guidance_scale: GuidanceScale = 1.0,
    guidance_interval: GuidanceInterval | None = None,
    sigma_min: float = 0.002,
    sigma_max: float = 80.0,
    rho: float = 7.0,
    dtype: Dtype = "float32",
    channels_last: bool = False,
    compile: bool = False,
    device: Device = "cpu",
) -> EDMDenoiser:
    """Load a network whose configuration is in its file's header.

    Args:
        conditional: whether a network with classes is given them.
        guidance_scale, guidance_interval: see `EDMDenoiser`; only a network trained with label_dropout can be guided.
        sigma_min, sigma_max, rho: of the noise path, see `EDM`.
        dtype, channels_last, compile: see `its.model.run_as.run_as`.

    Raises:
        ValueError: the file is not one of scripts/convert_edm.py, or its tensors do not fit its configuration.
    """
    config = configuration(weights)
    network = network_of(config)
    fit(network, read(weights), weights, "its header and its tensors disagree: convert it again")
    size, colours = config["img_resolution"], config["img_channels"]
    return EDMDenoiser(
        run_as(network.to(device), dtype, channels_last=channels_last, compile=compile),
        EDM(config["sigma_data"], sigma_min, sigma_max, rho),
        (colours, size, size),
        labels=config["label_dim"],
        conditional=conditional,
        dropped=config["label_dropout"] > 0,
        guidance_scale=guidance_scale,
        guidance_interval=guidance_interval,
        device=device,
    )


def configuration(weights: str) -> dict[str, Any]:
    """Read EDM's constructor arguments from the header of a converted file.

    Raises:
        ValueError: there is no such header, or it is of a network that is not implemented.
    """
    # Read the header.
    path = locate(weights)
    try:
        with safe_open(path, "pt") as file:
            header = (file.metadata() or {}).get("edm")
    except SafetensorError as error:
        remedy = home_of_file(weights) or (
            f"convert EDM's pickle once: python scripts/convert_edm.py {shlex.quote(str(path))} --sha256 HASH, where "
            "HASH is what sha256sum prints of the published file"
        )
        raise ValueError(f"{path} is not safetensors ({error}); {remedy}") from error
    if header is None:
        remedy = home_of_file(weights) or "write it with scripts/convert_edm.py"
        raise ValueError(f"{path} has no EDM configuration in its header; {remedy}")

    # Refuse networks that are not known.
    try:
        entries = dict(json.loads(header))
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"the EDM configuration in the header of {path} is damaged ({error}); convert it again"
        ) from error
    file = ConfigFile(path, entries, "choose one of EDM's CIFAR-10, FFHQ, AFHQ and ImageNet-64 networks")
    if (kind := str(file.needed("model_type"))) not in KNOWN:
        raise file.refusal("model_type", f"here it is {' or '.join(KNOWN)}")
    file.require(KNOWN[kind])
    for key in ("img_resolution", "img_channels"):
        file.needed(key)
    return {**(DEFAULTS if kind == "SongUNet" else DHARIWAL), **entries}


def network_of(config: dict[str, Any]) -> nn.Module:
    """Make the network of EDM's constructor arguments."""
    return song_unet(config) if config["model_type"] == "SongUNet" else dhariwal_unet(config)


def song_unet(config: dict[str, Any]) -> SongUNet:
    """Make a SongUNet of EDM's constructor arguments."""
    return SongUNet(
        *_sizes(config),
        fourier=config["embedding_type"] == "fourier",
        noise_width=config["channel_mult_noise"],
        residual=config["encoder_type"] == "residual",
        kernel=config["resample_filter"],
    )


def dhariwal_unet(config: dict[str, Any]) -> DhariwalUNet:
    """Make a DhariwalUNet of EDM's constructor arguments."""
    return DhariwalUNet(*_sizes(config), embedding=config["channel_mult_emb"])


def _sizes(config: dict[str, Any]) -> Iterator[Any]:
    """Yield the arguments that both networks take."""
    for key in ("img_resolution", "img_channels", "label_dim", "model_channels", "channel_mult", "num_blocks"):
        yield config[key]
    yield config["attn_resolutions"]
