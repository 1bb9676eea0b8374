"""Every entry of every file of a pipeline, left out, changed and added to: refused, or what diffusers makes of it."""

import json
import shutil
from functools import partial

import pytest
import torch
from torch import Tensor

from its.model import flux2
from its.twins import flux2 as flux2_twin
from tests.model.pipelines import FAMILIES, PROMPTS, WRITERS, noise
from tests.model.references import ours, theirs

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("text_cache")]

FILES = {
    "sd15": ("unet", "vae", "text_encoder", "tokenizer"),
    "sdxl": ("unet", "vae", "text_encoder_2", "tokenizer_2"),
    "pixart_sigma": ("transformer", "text_encoder", "tokenizer"),
    "flux_dev": ("transformer", "vae", "text_encoder_2", "tokenizer_2"),
    "flux2_klein": ("transformer", "vae", "text_encoder", "tokenizer"),
    "sana": ("transformer", "vae", "text_encoder", "tokenizer"),
    "sana_sprint": ("transformer",),
    "lcm": ("unet",),
    "sd_turbo": ("unet", "text_encoder"),
}
"""Parts by family, beside the index and the scheduler; those that several families have, once."""

SCHEDULERS = (
    "DDIM",
    "PNDM",
    "EulerDiscrete",
    "DPMSolverMultistep",
    "LMSDiscrete",
    "UniPCMultistep",
    "LCM",
    "DDPM",
    "SCM",
)

VALUES = {
    "_class_name": [f"{name}Scheduler" for name in SCHEDULERS],
    "algorithm_type": ["dpmsolver", "sde-dpmsolver++"],
    "act_fn": ["relu", "gelu"],
    "beta_schedule": ["linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid"],
    "feed_forward_proj": ["relu", "gated-silu"],
    "final_sigmas_type": ["sigma_min"],
    "hidden_act": ["gelu", "relu"],
    "model_max_length": [20, 1000],
    "padding_side": ["left", "right"],
    "prediction_type": ["epsilon", "v_prediction", "sample", "flow_prediction"],
    "rescale_betas_zero_snr": [True],
    "solver_type": ["heun"],
    "time_shift_type": ["linear"],
    "timestep_spacing": ["leading", "trailing", "linspace"],
    "trained_betas": [[0.001 + 1e-5 * step for step in range(1000)]],
    "truncation_side": ["left"],
}
"""Values of entries that are words, and of entries that files leave out."""

LEFT_OUT = {
    "scheduler": {
        **dict.fromkeys(("clip_sample", "invert_sigmas", "rescale_betas_zero_snr", "set_alpha_to_one"), False),
        **dict.fromkeys(("stochastic_sampling", "thresholding", "use_dynamic_shifting", "use_flow_sigmas"), False),
        **dict.fromkeys(("use_beta_sigmas", "use_exponential_sigmas", "use_karras_sigmas", "use_lu_lambdas"), False),
        **dict.fromkeys(("shift_terminal", "sigma_max", "sigma_min", "trained_betas", "variance_type"), None),
        **dict.fromkeys(("final_sigmas_type", "prediction_type", "time_shift_type", "timestep_spacing"), ""),
        **{"clip_sample_range": 1.0, "flow_shift": 1.0, "predict_epsilon": True, "steps_offset": 1},
        **{"max_timesteps": 1.5708, "intermediate_timesteps": 1.3},
    },
    "tokenizer": {"padding_side": "right", "truncation_side": "right", "split_special_tokens": False, "legacy": True},
    "vae": {"shift_factor": 0.2, "scaling_factor": 0.5, "force_upcast": True, "latents_mean": None},
}
"""Entries that files may leave out, with a value of their kind."""


def changed(key, value):
    """Return other values for an entry."""
    if isinstance(value, bool):
        others = [not value, None]
    elif isinstance(value, int):
        others = [value + 1, 0, None]
    elif isinstance(value, float):
        others = [2 * value, 0.0, None]
    elif isinstance(value, list):
        others = [value[::-1], value[:-1], value + value[:1], None]
    else:
        others = ["other", 1, True, [1.0], None]
    return [other for other in [*VALUES.get(key, []), *others] if json.dumps(other) != json.dumps(value)]


def contents(place, entries):
    """Yield an entry's name, and a file's content with that entry left out, changed or added."""
    for key in entries:
        yield key, {name: value for name, value in entries.items() if name != key}
    left_out = next((each for part, each in LEFT_OUT.items() if place.startswith(part)), {})
    for key, value in {**left_out, **entries}.items():
        for other in changed(key, value):
            yield key, {**entries, key: other}
    yield "another_entry", {**entries, "another_entry": 1}


def outcome(load, family, folder):
    """Return what is wrong with our reading of a folder; empty if it is refused, or equal to diffusers'."""
    # Load and sample.
    try:
        model = load(folder)
        model.prepare(PROMPTS[:2])
        latents = noise(2, *model.shape)
        mine = ours(family, folder, model, latents, PROMPTS[:2], 3)
    except ValueError as error:
        return "" if folder in str(error) or "sampler.spacing=" in str(error) else f"refused without a name: {error}"
    except RuntimeError:
        return ""  # torch's own, of sizes that do not go together
    except Exception as error:
        return f"crashed: {error!r}"

    # Compare; what diffusers itself does not run has no trajectory.
    try:
        reference = theirs(family, folder, latents, PROMPTS[:2], 3)
    except Exception:
        return ""
    return "" if all(map(equal, mine, reference)) else "differs"


def equal(mine: Tensor, their: Tensor) -> bool:
    return mine.shape == their.shape and torch.allclose(mine, their, rtol=1e-4, atol=1e-4, equal_nan=True)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("changes")
    writers = {**WRITERS, "flux2_klein": partial(flux2_twin.write, distilled=False)}
    for family in FILES:
        writers[family](str(root / family))
    return root


@pytest.mark.parametrize(
    ("family", "part"), [(family, part) for family in FILES for part in ("index", "scheduler", *FILES[family])]
)
def test_changed_files_are_refused_or_read_as_diffusers_reads_them(folders, tmp_path, family, part):
    names = {"index": "model_index.json", "scheduler": "scheduler/scheduler_config.json"}
    names |= {each: f"{each}/tokenizer_config.json" for each in FILES[family] if each.startswith("tokenizer")}
    place = names.get(part, f"{part}/config.json")
    folder = shutil.copytree(folders / family, tmp_path / family)
    index, entries = (json.loads((folder / name).read_text()) for name in ("model_index.json", place))
    load = FAMILIES[family]
    if family == "flux2_klein":
        load = partial(flux2.load, **FAMILIES[family].keywords, guidance_scale=4.0)
    faults = []
    for key, content in contents(place, entries):
        if key == "_class_name" and part == "scheduler" and key in content:
            stated = {**index, "scheduler": ["diffusers", content[key]]}
            (folder / "model_index.json").write_text(json.dumps(stated))
        (folder / place).write_text(json.dumps(content))
        if fault := outcome(load, family, str(folder)):
            faults.append(f"{key}={content.get(key, 'left out')!r}: {fault[:200]}")
        if part != "index":
            (folder / "model_index.json").write_text(json.dumps(index))
    assert not faults, "\n".join(faults)
