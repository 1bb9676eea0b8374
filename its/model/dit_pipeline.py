"""DiT's pipeline as diffusers saves it: its folders, and its configurations by an allow-list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from its.model.checkpoint import stored
from its.model.config_file import METADATA, ConfigFile
from its.model.dit_network import Sizes
from its.model.scheduler_entries import entries

OTHER = "choose a DiTPipeline, or correct the entry if it is wrong"

PIPELINE: Mapping[str, Any] = {
    **METADATA,
    "_class_name": Literal["DiTPipeline"],
    "id2label": Mapping[str, str],
    "scheduler": Sequence[str],
    "transformer": Sequence[str],
    "vae": Sequence[str],
}
"""Parts of a pipeline; the labels are ImageNet's in words."""

BETAS: Mapping[str, Any] = {
    "beta_schedule": "linear",
    "beta_start": 1e-4,
    "beta_end": 0.02,
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
    "clip_sample": False,
    "rescale_betas_zero_snr": False,
    "trained_betas": None,
}
"""What a scheduler's file says of the path that DiT was trained on (Peebles and Xie 2022, Sec. 4)."""

TRANSFORMER: Mapping[str, Any] = {
    **METADATA,
    "_class_name": Literal["DiTTransformer2DModel", "Transformer2DModel"],
    "activation_fn": Literal["gelu-approximate"],
    "attention_bias": Literal[True],
    "attention_head_dim": int,
    "attention_type": Literal["default"],
    "caption_channels": type(None),
    "cross_attention_dim": type(None),
    "double_self_attention": Literal[False],
    "dropout": float,
    "in_channels": int,
    "interpolation_scale": type(None),
    "norm_elementwise_affine": Literal[False],
    "norm_eps": Literal[1e-5, 1e-6],
    "norm_num_groups": Any,
    "norm_type": Literal["ada_norm_zero"],
    "num_attention_heads": int,
    "num_embeds_ada_norm": int,
    "num_layers": int,
    "num_vector_embeds": type(None),
    "only_cross_attention": Literal[False],
    "out_channels": int,
    "patch_size": int,
    "sample_size": int,
    "upcast_attention": bool,
    "use_additional_conditions": Literal[False] | None,
    "use_linear_projection": Any,
}
"""The allow-list of a transformer's entries.

Groups and projections are of another input than patches. `norm_eps` is that of the class, whatever the original's is.
"""

SHAPES = ("channels", "outputs")
"""Sizes that are no option of a model: latents are the VAE's, and a variance is learned."""


def transformer_file(folder: Path, key: str | None, sizes: Sizes) -> Path:
    """Return the weights of a pipeline, or of its transformer alone; see `its.model.checkpoint.stored`.

    Raises:
        ValueError: it is another pipeline, its noise path is not DiT's, or its network has other sizes.
    """
    if (folder / "model_index.json").is_file():
        ConfigFile.read(folder / "model_index.json", OTHER).require(PIPELINE)
        _check_betas(folder / "scheduler" / "scheduler_config.json")
        folder = folder / "transformer"
    _check_sizes(ConfigFile.read(folder / "config.json", OTHER), sizes)
    return stored(folder, ["diffusion_pytorch_model"], key)[0]


def _check_betas(path: Path) -> None:
    """Refuse a scheduler of another noise path; what a file leaves out stands at its class's default, which is this."""
    file = entries(path)
    for entry, value in BETAS.items():
        required = entry in ("beta_schedule", "beta_start", "beta_end", "num_train_timesteps")
        if (file.needed(entry) if required else file.get(entry, value)) != value:
            raise file.refusal(entry, f"DiT was trained with {value}")


def _check_sizes(file: ConfigFile, sizes: Sizes) -> None:
    """Refuse a transformer that has unknown entries, or is of other sizes than the model's."""
    file.require(TRANSFORMER)
    heads = file.needed("num_attention_heads")
    stated = {
        "size": file.needed("sample_size"),
        "patch": file.needed("patch_size"),
        "width": heads * file.needed("attention_head_dim"),
        "depth": file.needed("num_layers"),
        "heads": heads,
        "classes": file.needed("num_embeds_ada_norm"),
        "channels": file.needed("in_channels"),
        "outputs": file.needed("out_channels"),
    }
    expected = asdict(sizes)
    if others := {name: value for name, value in stated.items() if value != expected[name]}:
        here = ", ".join(f"{name} is {expected[name]} and should be {value}" for name, value in others.items())
        words = " ".join(f"model.{name}={value}" for name, value in others.items() if name not in SHAPES)
        raise ValueError(f"by {file.path} this network has other sizes: {here}; {f'set {words}' if words else OTHER}")
