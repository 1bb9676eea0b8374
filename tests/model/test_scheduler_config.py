"""diffusers' scheduler configurations: betas against diffusers' own, what is refused, and defaults of old files."""

import json

import numpy as np
import pytest
from diffusers import DDIMScheduler, DDPMScheduler, PNDMScheduler

from its.model.scheduler_config import SchedulerConfig

SCHEDULES = ["linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid", "laplace"]
OLD = {  # scheduler_config.json of google/ddpm-celebahq-256
    "_class_name": "DDPMScheduler",
    "_diffusers_version": "0.1.1",
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "beta_start": 0.0001,
    "clip_sample": True,
    "num_train_timesteps": 1000,
    "trained_betas": None,
    "variance_type": "fixed_small",
}
SD15 = {  # of Stable Diffusion 1.5
    "_class_name": "PNDMScheduler",
    "_diffusers_version": "0.6.0",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "trained_betas": None,
    "clip_sample": False,
}


def read(folder, entries) -> SchedulerConfig:
    file = folder / "scheduler_config.json"
    file.write_text(json.dumps(entries))
    return SchedulerConfig.read(file)


@pytest.mark.parametrize("steps", [1000, 50])
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("zero_snr", [False, True])
@pytest.mark.parametrize("scheduler", [DDPMScheduler, DDIMScheduler])
def test_scheduler_config_alphas_cumprod_equal_those_of_diffusers(tmp_path, scheduler, schedule, zero_snr, steps):
    try:
        own = scheduler(steps, beta_schedule=schedule, rescale_betas_zero_snr=zero_snr)
    except NotImplementedError:
        assert (scheduler, schedule) in {(DDIMScheduler, "sigmoid"), (DDIMScheduler, "laplace")}
        return
    own.save_pretrained(tmp_path)
    config = SchedulerConfig.read(tmp_path / "scheduler_config.json")
    np.testing.assert_allclose(config.alphas_cumprod, own.alphas_cumprod.double().numpy(), rtol=1e-6, atol=1e-12)
    assert (config.alphas_cumprod[-1] == 0) is zero_snr


def test_scheduler_config_trained_betas_replace_the_rule(tmp_path):
    betas = [0.1, 0.2, 0.5]
    config = read(tmp_path, {**OLD, "num_train_timesteps": 3, "trained_betas": betas})
    np.testing.assert_allclose(config.alphas_cumprod, [0.9, 0.72, 0.36], rtol=1e-6)
    with pytest.raises(ValueError, match=r"trained_betas of .* is \[0\.1, 0\.2, 0\.5\]; num_train_timesteps is 1000"):
        read(tmp_path, {**OLD, "trained_betas": betas})
    with pytest.raises(ValueError, match="betas lie between 0 and 1"):
        read(tmp_path, {**OLD, "beta_end": 2.0})


def test_scheduler_config_of_old_and_pndm_files_is_what_they_did(tmp_path):
    old, pndm = read(tmp_path, OLD), read(tmp_path, SD15)
    assert (old.prediction_type, old.clip, old.set_alpha_to_one, old.variance_type) == (
        "epsilon",
        1.0,
        True,
        "fixed_small",
    )
    assert (pndm.clip, pndm.set_alpha_to_one, pndm.steps_offset, pndm.variance_type) == (None, False, 1, None)
    np.testing.assert_allclose(
        pndm.alphas_cumprod,
        PNDMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear").alphas_cumprod,
        rtol=0,
        atol=1e-6,
    )


def test_scheduler_config_reads_a_ddim_file_that_was_made_of_ddpm(tmp_path):
    DDIMScheduler.from_config(
        DDPMScheduler(variance_type="learned_range", clip_sample_range=2.0).config
    ).save_pretrained(tmp_path)
    config = SchedulerConfig.read(tmp_path / "scheduler_config.json")
    assert (config.variance_type, config.clip, config.set_alpha_to_one) == ("learned_range", 2.0, True)


@pytest.mark.parametrize(
    "scheduler",
    [
        "FlowMatchEulerDiscreteScheduler",
        "EDMEulerScheduler",
        "ScoreSdeVeScheduler",
        "KarrasVeScheduler",
        "CMStochasticIterativeScheduler",
        "EulerDiscreteScheduler",
        "DPMSolverMultistepScheduler",
        "MyScheduler",
    ],
)
def test_scheduler_config_refuses_other_schedulers_by_name(tmp_path, scheduler):
    with pytest.raises(ValueError, match=rf'_class_name of .*scheduler_config\.json is "{scheduler}".*choose a check'):
        read(tmp_path, {"_class_name": scheduler, "num_train_timesteps": 1000})


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"thresholding": True}, "thresholding of .* is true; here it is false"),
        ({"beta_schedule": "exp"}, 'beta_schedule of .* is "exp"; here it is "linear" or'),
        ({"prediction_type": "flow_prediction"}, 'prediction_type of .* is "flow_prediction"; here it is "epsilon"'),
        ({"predict_epsilon": False}, 'predict_epsilon of .* is false; .*write "prediction_type": "sample"'),
        ({"variance_type": "fixed_large_log"}, 'variance_type of .* is "fixed_large_log"; here it is'),
        ({"timestep_values": [1, 2]}, r"timestep_values of .* is \[1, 2\]; here it is null"),
        ({"use_flow_sigmas": True}, "use_flow_sigmas of .* is true"),
        ({"shift": 3.0}, r"shift of .* is 3\.0; this entry is not known here, and may decide pixels"),
        ({"num_train_timesteps": "1000"}, 'num_train_timesteps of .* is "1000"; here it is a whole number'),
        ({"num_train_timesteps": 0}, "num_train_timesteps of .* is 0; it is at least 1"),
        ({"clip_sample_range": 0}, "clip_sample_range of .*json is 0; it is above 0, and finite"),
        ({"clip_sample_range": float("inf")}, "clip_sample_range of .*json is Infinity; it is above 0, and finite"),
        ({"_class_name": ["DDPMScheduler"]}, "_class_name of .* its noise path is another"),
        ({"clip_sample": 1}, "clip_sample of .* is 1; here it is true or false"),
    ],
)
def test_scheduler_config_refuses_unknown_entries_and_values_by_name(tmp_path, entry, words):
    with pytest.raises(ValueError, match=words):
        read(tmp_path, OLD | entry)


@pytest.mark.parametrize("key", ["_class_name", "beta_schedule", "beta_start", "num_train_timesteps", "clip_sample"])
def test_scheduler_config_guesses_no_missing_entry(tmp_path, key):
    with pytest.raises(ValueError, match=rf"scheduler_config\.json has no {key}, and it is not guessed"):
        read(tmp_path, {name: value for name, value in OLD.items() if name != key})


def test_scheduler_config_refuses_what_pndm_would_not_do(tmp_path):
    with pytest.raises(ValueError, match=r"clip_sample of .* is true; here it is false"):
        read(tmp_path, SD15 | {"clip_sample": True})
    for text in ("{", "[" * 100_000):
        (tmp_path / "scheduler_config.json").write_text(text)
        with pytest.raises(ValueError, match="is not JSON"):
            SchedulerConfig.read(tmp_path / "scheduler_config.json")
    with pytest.raises(ValueError, match=r"there is no .*absent\.json"):
        SchedulerConfig.read(tmp_path / "absent.json")
