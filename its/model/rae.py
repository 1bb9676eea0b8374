"""RAE (Zheng et al. 2025, arXiv:2510.11690): DiT^DH on a flow of a representation's latents, and its autoguidance."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from its.model.checkpoint import fit, read
from its.model.denoiser import NetworkDenoiser
from its.model.dit_block import Kind
from its.model.ditdh_network import DiTDH, Sizes
from its.model.rae_decoder import decoder as loaded_decoder
from its.model.run_as import run_as
from its.model.wrappers import StateDict
from its.sampler.noise_paths import Flow
from its.weights import Autoguidance, Device, Dtype, GuidanceInterval, GuidanceScale, Weights


def load(
    weights: Weights,
    decoder: Weights,
    latents_stats: Weights,
    *,
    autoguidance: Weights | Autoguidance | None,
    weights_key: str | None = None,
    size: int = 16,
    channels: int = 768,
    widths: Sequence[int] = (1152, 2048),
    depths: Sequence[int] = (28, 2),
    heads: Sequence[int] = (16, 16),
    decoder_heads: int = 16,
    classes: int = 1000,
    shift: float = 6.928203230275509,
    end: float = 0.001,
    guidance_scale: GuidanceScale,
    guidance_interval: GuidanceInterval | None = None,
    dtype: Dtype = "float32",
    decoder_dtype: Dtype = "float32",
    channels_last: bool = False,
    compile: bool = False,
    device: Device = "cpu",
) -> NetworkDenoiser:
    """Load `.pt` or safetensors state dicts of RAE's collection.

    Args:
        decoder, decoder_heads: see `its.model.rae_decoder.decoder`.
        latents_stats: file of the latents' mean and var; see `its.model.latent_stats.statistics`.
        autoguidance: the smaller network that `guidance_scale` guides away from; its names and shapes tell its sizes.
            None is classifier-free guidance.
        weights_key: of a file with several state dicts, see `its.model.checkpoint.read`.
        size, channels, widths, depths, heads, classes: see `its.model.ditdh_network.Sizes`; by default DiT^DH-XL.
        shift, end: of the times of a sampling, from 1 at noise; see `its.sampler.noise_paths.Flow`.
        guidance_scale, guidance_interval: see `its.model.denoiser.NetworkDenoiser`; times are shifted ones.
        dtype, channels_last, compile: of the transformers; see `its.model.run_as.run_as`. decoder_dtype: the decoder's.

    Raises:
        ValueError: a checkpoint, the decoder or the statistics do not fit.
    """
    sizes = Sizes(size, channels, widths, depths, heads, classes)
    decode = loaded_decoder(decoder, latents_stats, size, heads=decoder_heads, dtype=decoder_dtype, device=device)
    networks = [fitted(read(weights, weights_key), sizes, weights), *weaker(autoguidance, sizes)]
    strong, *weak = (
        run_as(network.to(device), dtype, channels_last=channels_last, compile=compile) for network in networks
    )
    return NetworkDenoiser(
        strong,
        Flow(shift, end=end),
        "flow",
        decode.latents,
        conditional=True,
        null_class=classes,
        guidance_scale=guidance_scale,
        guidance_interval=guidance_interval,
        autoguidance=next(iter(weak), None),
        clip=None,
        decoder=decode,
        device=device,
    )


def fitted(state: StateDict, sizes: Sizes, weights: str) -> DiTDH:
    """Return the network of these sizes with exactly the tensors of a state dict.

    Raises:
        ValueError: they do not fit; the message tells the sizes that would.
    """
    with torch.device("meta"):
        network = DiTDH(sizes, Kind.of(state))
    fit(network.to_empty(device="cpu"), state, weights, advice(state))
    return network


def weaker(weights: str | None, sizes: Sizes) -> list[DiTDH]:
    """Load the network of autoguidance, of the sizes that its file tells; none where no file is named.

    Args:
        sizes: of the network that it guides, with whose rows and classes it is called.

    Raises:
        ValueError: it is no such network, or of other latents or classes.
    """
    if weights is None:
        return []
    state = read(weights)
    try:
        theirs = Sizes.of(state)
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"{weights} is no checkpoint of DiT^DH ({error}), which model.autoguidance names; name one, or set "
            "model.autoguidance=null"
        ) from error
    for name in ("size", "channels", "classes"):
        if getattr(theirs, name) != getattr(sizes, name):
            raise ValueError(
                f"{name} of {weights} is {getattr(theirs, name)}, and of the network that it guides "
                f"{getattr(sizes, name)}; set model.autoguidance to one of the same latents"
            )
    return [fitted(state, theirs, weights)]


def advice(state: StateDict) -> str:
    """Say what to do with a checkpoint that does not fit: name the configuration that its names and shapes tell."""
    try:
        there = Sizes.of(state)
    except KeyError as error:
        return f"it has no {error.args[0]}, so it is no checkpoint of DiT^DH: choose another model"
    except ValueError:
        return "its tensors are of no DiT^DH: fetch it again"
    words = " ".join(f"model.{name}={value}".replace(" ", "") for name, value in vars(there).items())
    return f"its names and shapes tell {words}"
