"""LightningDiT (Yao and Wang 2025, arXiv:2501.01423): DiT of other blocks, on a flow of VA-VAE's latents."""

from __future__ import annotations

from its.model.checkpoint import read
from its.model.denoiser import NetworkDenoiser
from its.model.dit_block import Kind
from its.model.dit_checkpoint import fitted
from its.model.dit_network import Sizes
from its.model.run_as import run_as
from its.model.sit import Velocity
from its.model.vavae import decoder
from its.sampler.noise_paths import Flow
from its.weights import Device, Dtype, GuidanceInterval, GuidanceScale, Weights


def load(
    weights: Weights,
    vae: Weights,
    latents_stats: Weights,
    *,
    weights_key: str | None = None,
    size: int = 16,
    patch: int = 1,
    width: int = 1152,
    depth: int = 28,
    heads: int = 16,
    classes: int = 1000,
    shift: float = 3.3333333333333335,
    guidance_scale: GuidanceScale = 6.7,
    guidance_interval: GuidanceInterval | None = (0.0, 0.875),
    guided_channels: int | None = 3,
    dtype: Dtype = "float32",
    vae_dtype: Dtype = "float32",
    channels_last: bool = False,
    compile: bool = False,
    device: Device = "cpu",
) -> NetworkDenoiser:
    """Load a `.pt` or safetensors state dict, whose names tell the parts of its blocks (`its.model.dit_block.Kind`).

    Args:
        vae: VA-VAE's file; see `its.model.vavae.decoder`.
        latents_stats: file of the latents' mean and std; see `its.model.latent_stats.statistics`.
        weights_key: of a file with several state dicts, see `its.model.checkpoint.read`.
        size, patch, width, depth, heads, classes: see `its.model.dit_network.Sizes`; by default LightningDiT-XL/1.
        shift: of the times of a sampling, from 1 at noise to 0; see `its.sampler.noise_paths.Flow`. The original's
            `timestep_shift`, of times that go up, is one over it.
        guidance_scale, guidance_interval, guided_channels: see `its.model.denoiser.NetworkDenoiser`; times are shifted
            ones, and the original guides the first three channels.
        vae_dtype: type of the decoder's weights and activations.
        dtype, channels_last, compile: of the transformer; see `its.model.run_as.run_as`.

    Raises:
        ValueError: the checkpoint, the VAE or the statistics do not fit.
    """
    decode = decoder(vae, latents_stats, size, dtype=vae_dtype, device=device)
    channels = decode.latents[0]
    state = read(weights, weights_key)
    sizes = Sizes(size, patch, width, depth, heads, classes, channels, channels)
    dit = fitted(sizes, state, weights, kind=Kind.of(state))
    return NetworkDenoiser(
        run_as(Velocity(dit, "up").to(device), dtype, channels_last=channels_last, compile=compile),
        Flow(shift),
        "flow",
        decode.latents,
        conditional=True,
        null_class=classes,
        guidance_scale=guidance_scale,
        guidance_interval=guidance_interval,
        guided_channels=guided_channels,
        clip=None,
        decoder=decode,
        device=device,
    )
