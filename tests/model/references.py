"""diffusers' pipelines as references: latents and images of a folder's own pipeline, beside ours."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import diffusers
import torch
from diffusers.schedulers import scheduling_lcm, scheduling_scm
from torch import Tensor

from its.sampler.consistency import Consistency
from its.sampler.dpmpp_2m import DPMpp2M
from its.sampler.euler import Euler
from its.sampler.sampler import Sampler
from tests.model.pipelines import FAMILIES, noise, trajectory

SANA = {"max_sequence_length": 64, "use_resolution_binning": False}

CLASSES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "sd15": ("StableDiffusionPipeline", {"guidance_scale": 7.5}),
    "sdxl": ("StableDiffusionXLPipeline", {"guidance_scale": 5.0}),
    "pixart_sigma": ("PixArtSigmaPipeline", {"guidance_scale": 4.5, "use_resolution_binning": False}),
    "flux_dev": ("FluxPipeline", {"guidance_scale": 3.5, "max_sequence_length": 64}),
    "flux_schnell": ("FluxPipeline", {"max_sequence_length": 64}),
    "flux2_klein": ("Flux2KleinPipeline", {"guidance_scale": 4.0, "max_sequence_length": 96}),
    "sana": ("SanaPipeline", {"guidance_scale": 4.5, **SANA}),
    "sana_sprint": ("SanaSprintPipeline", {"guidance_scale": 4.5, "intermediate_timesteps": None, **SANA}),
    "lcm": ("LatentConsistencyModelPipeline", {"guidance_scale": 8.5}),
    "sd_turbo": ("StableDiffusionPipeline", {"guidance_scale": 1.0}),
}
"""Each family's pipeline, and what it is called with."""

UNUSED = {"safety_checker": None, "feature_extractor": None}

SAMPLERS: Mapping[str, type[Sampler]] = {
    "DPMSolverMultistepScheduler": DPMpp2M,
    "LCMScheduler": Consistency,
    "SCMScheduler": Consistency,
}
"""Samplers by the scheduler that they are; Euler by all others."""


def noises(latents: Tensor, steps: int) -> list[Tensor]:
    """Return what the steps of a consistency model draw."""
    return [noise(*latents.shape, seed=k) for k in range(1, steps + 1)]


@contextmanager
def drawing(latents: Tensor, steps: int) -> Iterator[None]:
    """Let diffusers' schedulers draw these in turn."""
    left = iter(noises(latents, steps))
    with ExitStack() as stack:
        for module in (scheduling_lcm, scheduling_scm):
            stack.enter_context(patch.object(module, "randn_tensor", lambda *_, **__: next(left)))
        yield


def pipeline_of(family: str, folder: str | Path) -> Any:
    """Load a folder as diffusers does; PNDM's steps are replaced by DDIM's."""
    kind = getattr(diffusers, CLASSES[family][0])
    pipeline = kind.from_pretrained(folder, torch_dtype=torch.float32, **(UNUSED if family in ("sd15", "lcm") else {}))
    pipeline.set_progress_bar_config(disable=True)
    if type(pipeline.scheduler).__name__ == "PNDMScheduler":
        pipeline.scheduler = diffusers.DDIMScheduler.from_config(pipeline.scheduler.config, clip_sample=False)
    return pipeline


def theirs(family: str, folder: str | Path, latents: Tensor, prompts: Sequence[str], steps: int) -> tuple[Tensor, ...]:
    """Return the latents and the images, in [0, 1], of the pipeline's own call."""
    pipeline = pipeline_of(family, folder)
    size = FAMILIES[family].keywords["size"]
    given = diffusers.FluxPipeline._pack_latents(latents, *latents.shape) if family.startswith("flux_") else latents

    def called(kind: str) -> Tensor:
        with drawing(latents, steps):
            return pipeline(
                prompt=[*prompts],
                height=size,
                width=size,
                num_inference_steps=steps,
                latents=given.clone(),
                output_type=kind,
                **CLASSES[family][1],
            ).images

    return called("latent"), called("pt")


def ours(
    family: str, folder: str | Path, model: Any, latents: Tensor, prompts: Sequence[str], steps: int
) -> tuple[Tensor, ...]:
    """Return the same of our model, by the checkpoint's own times and the sampler that its scheduler is."""
    scheduler = json.loads((Path(folder) / "model_index.json").read_text())["scheduler"][1]
    sampler = SAMPLERS.get(scheduler, Euler)
    sampled = trajectory(model, latents, prompts, steps, sampler, noises(latents, steps))
    if family.startswith("flux_"):
        shown = diffusers.FluxPipeline._pack_latents(sampled, *sampled.shape)
    else:
        shown = model.decoder._decoder.unscaled(sampled) if family == "flux2_klein" else sampled
    return shown, model.decoder(sampled) / 2 + 0.5


def compare(family: str, folder: str | Path, model: Any, prompts: Sequence[str], steps: int = 3) -> None:
    """Assert that our trajectory of a folder, and its images, are those of its own pipeline."""
    latents = noise(len(prompts), *model.shape)
    mine_all = ours(family, folder, model, latents, prompts, steps)
    for mine, their in zip(mine_all, theirs(family, folder, latents, prompts, steps), strict=True):
        torch.testing.assert_close(mine, their, rtol=1e-4, atol=1e-4)
