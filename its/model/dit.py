"""DiT (Peebles and Xie 2022, arXiv:2212.09748): the original's checkpoints, and diffusers' pipelines of them."""

from __future__ import annotations

from its.model.denoiser import NetworkDenoiser
from its.model.dit_checkpoint import fitted, has_variance, state_of
from its.model.dit_network import Sizes
from its.model.run_as import run_as
from its.model.vae import decoder
from its.sampler.noise_paths import linear_vp
from its.weights import Device, Dtype, GuidanceInterval, GuidanceScale, Weights


def load(
    weights: Weights,
    vae: Weights,
    *,
    weights_key: str | None = None,
    size: int = 32,
    patch: int = 2,
    width: int = 1152,
    depth: int = 28,
    heads: int = 16,
    classes: int = 1000,
    guidance_scale: GuidanceScale = 1.0,
    guidance_interval: GuidanceInterval | None = None,
    guided_channels: int | None = 3,
    dtype: Dtype = "float32",
    vae_dtype: Dtype = "float32",
    channels_last: bool = False,
    compile: bool = False,
    device: Device = "cpu",
) -> NetworkDenoiser:
    """Load a `.pt` or safetensors state dict of the original, or a folder or hub name of a DiTPipeline.

    Both give the original's numbers: a pipeline's weights are loaded into the original's network.

    Args:
        vae: a folder or hub name of the AutoencoderKL that decodes; see `its.model.vae.decoder`.
        weights_key: of a file with several state dicts, see `its.model.checkpoint.read`; of a folder, a variant.
        size, patch, width, depth, heads, classes: see `its.model.dit_network.Sizes`; by default DiT-XL/2 at 256 pixels.
        guidance_scale, guidance_interval, guided_channels: see `its.model.denoiser.NetworkDenoiser`; times are training
            steps, and the originals guide three of four channels.
        vae_dtype: type of the decoder's weights and activations.
        dtype, channels_last, compile: of the transformer; see `its.model.run_as.run_as`.

    Raises:
        ValueError: the checkpoint or the VAE does not fit, an entry of a configuration is not known, or the checkpoint
            is SiT's.
    """
    decode = decoder(vae, size, dtype=vae_dtype, device=device)
    sizes = Sizes(size, patch, width, depth, heads, classes, decode.channels, 2 * decode.channels)
    network = fitted(sizes, state_of(weights, weights_key, sizes), weights, "; if it is REPA's, choose model=repa_xl2")
    if not has_variance(network):
        raise ValueError(
            f"{weights} predicts a variance of zeros, which is never trained in SiT's code and always in DiT's; if it "
            "is SiT's, choose model=sit_xl2"
        )
    return NetworkDenoiser(
        run_as(network.to(device), dtype, channels_last=channels_last, compile=compile),
        linear_vp(),
        "epsilon",
        (decode.channels, size, size),
        conditional=True,
        null_class=classes,
        guidance_scale=guidance_scale,
        guidance_interval=guidance_interval,
        guided_channels=guided_channels,
        clip=None,
        variance="learned",
        decoder=decode,
        device=device,
    )
