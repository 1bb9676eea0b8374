"""diffusers' pipelines as references: latents and images of a folder's own pipeline, beside ours."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import diffusers
import torch
from torch import Tensor

from its.sampler.dpmpp_2m import DPMpp2M
from its.sampler.euler import Euler
from tests.model.pipelines import FAMILIES, noise, trajectory

CLASSES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "sd15": ("StableDiffusionPipeline", {"guidance_scale": 7.5}),
    "sdxl": ("StableDiffusionXLPipeline", {"guidance_scale": 5.0}),
    "pixart_sigma": ("PixArtSigmaPipeline", {"guidance_scale": 4.5, "use_resolution_binning": False}),
    "flux_dev": ("FluxPipeline", {"guidance_scale": 3.5, "max_sequence_length": 64}),
    "flux_schnell": ("FluxPipeline", {"max_sequence_length": 64}),
    "flux2_klein": ("Flux2KleinPipeline", {"guidance_scale": 4.0, "max_sequence_length": 96}),
}
"""Each family's pipeline, and what it is called with."""

UNUSED = {"safety_checker": None, "feature_extractor": None}


def pipeline_of(family: str, folder: str | Path) -> Any:
    """Load a folder as diffusers does; PNDM's steps are replaced by DDIM's."""
    kind = getattr(diffusers, CLASSES[family][0])
    pipeline = kind.from_pretrained(folder, torch_dtype=torch.float32, **(UNUSED if family == "sd15" else {}))
    pipeline.set_progress_bar_config(disable=True)
    if type(pipeline.scheduler).__name__ == "PNDMScheduler":
        pipeline.scheduler = diffusers.DDIMScheduler.from_config(pipeline.scheduler.config, clip_sample=False)
    return pipeline


def theirs(family: str, folder: str | Path, latents: Tensor, prompts: Sequence[str], steps: int) -> tuple[Tensor, ...]:
    """Return the latents and the images, in [0, 1], of the pipeline's own call."""
    pipeline = pipeline_of(family, folder)
    size = FAMILIES[family].keywords["size"]
    given = diffusers.FluxPipeline._pack_latents(latents, *latents.shape) if family.startswith("flux_") else latents
    return tuple(
        pipeline(
            prompt=[*prompts],
            height=size,
            width=size,
            num_inference_steps=steps,
            latents=given.clone(),
            output_type=kind,
            **CLASSES[family][1],
        ).images
        for kind in ("latent", "pt")
    )


def ours(
    family: str, folder: str | Path, model: Any, latents: Tensor, prompts: Sequence[str], steps: int
) -> tuple[Tensor, ...]:
    """Return the same of our model, by the checkpoint's own times and the sampler that its scheduler is."""
    scheduler = json.loads((Path(folder) / "model_index.json").read_text())["scheduler"][1]
    sampler = DPMpp2M if scheduler == "DPMSolverMultistepScheduler" else Euler
    sampled = trajectory(model, latents, prompts, steps, sampler)
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
