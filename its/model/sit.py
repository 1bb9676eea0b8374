"""SiT (Ma et al. 2024, arXiv:2401.08740) and REPA (Yu et al. 2024, arXiv:2410.06940): the network of DiT on a flow."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Literal

from torch import Tensor, nn

from its.model.checkpoint import read
from its.model.denoiser import NetworkDenoiser
from its.model.dit_checkpoint import PROJECTOR, fitted, has_variance, without_projectors
from its.model.dit_network import DiT, Sizes
from its.model.run_as import run_as
from its.model.vae import decoder
from its.model.wrappers import StateDict
from its.parameters import check_values
from its.sampler.noise_paths import Flow
from its.weights import Device, Dtype, GuidanceInterval, GuidanceScale, Weights

Direction = Literal["up", "down"]
"""Where a network's time goes in sampling."""

OTHERS: Mapping[Direction, str] = {
    "down": "; if it is SiT's, choose model=sit_xl2",
    "up": " (model.learned_sigma: twice as many or not); if it is REPA's, choose model=repa_xl2",
}
"""What else to say of a checkpoint that does not fit."""

log = logging.getLogger(__name__)


class Velocity(nn.Module):
    """A DiT on linear flow as a `Network` of this tool: t is 1 at noise, and the velocity is noise - data.

    Args:
        direction: of the network's own time: `up` from 0 at noise to 1 at data, with velocity data - noise, as SiT's;
            `down` as here, as REPA's.
    """

    def __init__(self, dit: DiT, direction: Direction) -> None:
        super().__init__()
        self.dit = dit
        self.direction = direction

    def forward(self, x: Tensor, time: Tensor, label: Tensor) -> Tensor:
        """Evaluate rows; outputs behind the velocity, which SiT's network has and never trains, are left out."""
        if self.direction == "down":
            return self.dit(x, time, label)[:, : x.shape[1]]
        return -self.dit(x, 1.0 - time, label)[:, : x.shape[1]]


def load(
    weights: Weights,
    vae: Weights,
    *,
    direction: Direction,
    weights_key: str | None = None,
    size: int = 32,
    patch: int = 2,
    width: int = 1152,
    depth: int = 28,
    heads: int = 16,
    classes: int = 1000,
    learned_sigma: bool = True,
    guidance_scale: GuidanceScale = 1.0,
    guidance_interval: GuidanceInterval | None = None,
    guided_channels: int | None = 3,
    dtype: Dtype = "float32",
    vae_dtype: Dtype = "float32",
    channels_last: bool = False,
    compile: bool = False,
    device: Device = "cpu",
) -> NetworkDenoiser:
    """Load a `.pt` or safetensors state dict of SiT or REPA.

    Args:
        vae: a folder or hub name of the AutoencoderKL that decodes; see `its.model.vae.decoder`.
        direction: see `Velocity`.
        weights_key: of a file with several state dicts, see `its.model.checkpoint.read`.
        size, patch, width, depth, heads, classes: see `its.model.dit_network.Sizes`; by default SiT-XL/2 at 256 pixels.
        learned_sigma: the output has twice the channels, the second half of which is left out.
        guidance_scale, guidance_interval, guided_channels: see `its.model.denoiser.NetworkDenoiser`; times go from 1 at
            noise to 0, and SiT's code guides three of four channels, REPA's all.
        vae_dtype: type of the decoder's weights and activations.
        dtype, channels_last, compile: of the transformer; see `its.model.run_as.run_as`.

    Raises:
        ValueError: the checkpoint or the VAE does not fit, or the checkpoint is of the other direction.
    """
    check_values({"direction": direction}, {"direction": Direction}, "model.", {})
    decode = decoder(vae, size, dtype=vae_dtype, device=device)
    sizes = Sizes(size, patch, width, depth, heads, classes, decode.channels, (1 + learned_sigma) * decode.channels)
    state = read(weights, weights_key)
    _check_direction(state, direction, weights)
    dit = fitted(sizes, without_projectors(state), weights, OTHERS[direction])
    if learned_sigma and has_variance(dit):
        log.warning("%s predicts a variance too, which SiT's code leaves untrained: is it DiT's (dit_xl2)?", weights)
    return NetworkDenoiser(
        run_as(Velocity(dit, direction).to(device), dtype, channels_last=channels_last, compile=compile),
        Flow(),
        "flow",
        (decode.channels, size, size),
        conditional=True,
        null_class=classes,
        guidance_scale=guidance_scale,
        guidance_interval=guidance_interval,
        guided_channels=guided_channels,
        clip=None,
        decoder=decode,
        device=device,
    )


def _check_direction(state: StateDict, direction: Direction, weights: str) -> None:
    """Refuse REPA's checkpoints, told by its projectors, for SiT's direction: images would be of noise."""
    if direction == "up" and any(map(PROJECTOR.fullmatch, state)):
        raise ValueError(
            f"{weights} has REPA's projectors, whose time goes down from noise to data, and model.direction is up; "
            "choose model=repa_xl2"
        )
