"""Options of how a pipeline is run, and its images, each against diffusers' own of the same files."""

import json
import shutil
from pathlib import Path

import diffusers
import pytest
import torch
from diffusers import AutoencoderKL
from diffusers.models.attention_dispatch import AttentionBackendName, _AttentionBackendRegistry

from its.engine import Engine
from its.levels import Columns
from its.model.flux2_vae import decoder as flux2_decoder
from its.model.prompted import Places
from its.model.vae import decoder
from its.sampler.ddim import DDIM
from its.search.svdd import SVDD
from its.types import Problem
from its.verifier.null_rewards import NullRewards
from tests.model.pipelines import FAMILIES, PROMPTS, WRITERS, noise

pytestmark = pytest.mark.usefixtures("text_cache")

CALLS = {
    "sd15": ("StableDiffusionPipeline", {"guidance_scale": 7.5}),
    "sdxl": ("StableDiffusionXLPipeline", {"guidance_scale": 5.0}),
    "pixart_sigma": (
        "PixArtSigmaPipeline",
        {"guidance_scale": 4.5, "use_resolution_binning": False, "clean_caption": False},
    ),
    "flux_dev": ("FluxPipeline", {"guidance_scale": 3.5, "max_sequence_length": 64}),
    "flux_schnell": ("FluxPipeline", {"max_sequence_length": 64}),
    "flux2_klein": ("Flux2KleinPipeline", {"max_sequence_length": 96}),
    "sd35": ("StableDiffusion3Pipeline", {"max_sequence_length": 64}),
    "qwen_image": ("QwenImagePipeline", {"max_sequence_length": 128, "negative_prompt": " "}),
    "z_image": ("ZImagePipeline", {"max_sequence_length": 128}),
    "sana": ("SanaPipeline", {"max_sequence_length": 64, "use_resolution_binning": False}),
    "sana_sprint": ("SanaSprintPipeline", {"max_sequence_length": 64, "use_resolution_binning": False}),
    "lcm": ("LatentConsistencyModelPipeline", {}),
    "sd_turbo": ("StableDiffusionPipeline", {"guidance_scale": 0.0}),
}
"""Each family's class of diffusers, and how it is called as its loader runs it."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Each family's twin, written as it is first asked for."""
    root = tmp_path_factory.mktemp("twins")

    def folder(family: str) -> str:
        if not (root / family).exists():
            WRITERS[family](str(root / family))
        return str(root / family)

    return folder


def guess(model, x, prompts=PROMPTS[:2]):
    return model(x, Columns.of([model.path.noisiest] * len(x), x.ndim, "cpu"), prompts)


def latents_of(vae, z):
    """The latents of a network that a VAE's own are, by the entries of its configuration."""
    if hasattr(vae, "bn"):
        tiles = diffusers.Flux2KleinPipeline._patchify_latents(z)
        std = (vae.bn.running_var + vae.config.batch_norm_eps).sqrt()
        return (tiles - vae.bn.running_mean[:, None, None]) / std[:, None, None]
    if hasattr(vae.config, "latents_std") and vae.config.latents_std is not None:
        mean, std = (torch.tensor(vae.config[f"latents_{name}"])[:, None, None] for name in ("mean", "std"))
        return (z[:, :, 0] - mean) / std
    return (z - (vae.config.get("shift_factor") or 0)) * vae.config.scaling_factor


USUAL = ("sd15", "flux2_klein", "sana", "qwen_image")
"""Families of four kinds of decoders, which the default tier tries."""


@pytest.mark.parametrize(
    "family", [pytest.param(each, marks=[] if each in USUAL else [pytest.mark.long]) for each in FAMILIES]
)
def test_decoder_of_every_family_makes_the_pipelines_own_image(folders, family):
    """Of the latents that the pipeline itself has come to, as it returns its image, before rounding."""
    kind, options = CALLS[family]
    absent = {"safety_checker": None, "feature_extractor": None} if family in ("sd15", "lcm", "sd_turbo") else {}
    pipeline = getattr(diffusers, kind).from_pretrained(folders(family), **absent)
    pipeline.set_progress_bar_config(disable=True)
    decoded, decode = [], pipeline.vae.decode
    pipeline.vae.decode = lambda z, **options: decoded.append(z) or decode(z, **options)
    model = FAMILIES[family](folders(family))
    side = model.decoder.shape[-1]
    image = pipeline(
        prompt=PROMPTS[0],
        height=side,
        width=side,
        num_inference_steps=2,
        generator=torch.Generator().manual_seed(0),
        output_type="pt",
        **options,
    ).images
    with torch.no_grad():
        ours = model.decoder(latents_of(pipeline.vae, decoded[0]))
    assert image.std() > 0.01
    torch.testing.assert_close((ours + 1) / 2, image, rtol=0, atol=1e-5)


def with_sample_size(folder: str, copy: Path, size) -> str:
    """A copy of a pipeline's VAE, trained at another size."""
    shutil.copytree(Path(folder, "vae"), copy / "vae")
    path = copy / "vae" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"sample_size": size}))
    return str(copy)


@pytest.mark.parametrize("family", ["sd15", "flux2_klein"])
def test_decoder_in_tiles_is_diffusers_own(folders, tmp_path, family):
    """Of several tiles, whose seams are blended: not what the decoder makes of the whole."""
    folder = with_sample_size(folders(family), tmp_path, 32)
    kind, side = (AutoencoderKL, 8) if family == "sd15" else (diffusers.AutoencoderKLFlux2, 4)
    theirs = kind.from_pretrained(f"{folder}/vae").eval()
    theirs.enable_tiling()
    options = {"dtype": "float32", "slicing": False}
    (tmp_path / "model_index.json").touch()
    load = decoder if family == "sd15" else flux2_decoder
    tiled, whole = (load(folder, side, tiling=tiling, **options) for tiling in (True, False))
    z = noise(2, theirs.config.latent_channels, 8, 8)
    assert z.shape[-1] > theirs.tile_latent_min_size
    latents = latents_of(theirs, z)
    with torch.no_grad():
        expected = theirs.decode(z).sample.clamp(-1, 1)
        torch.testing.assert_close(tiled(latents), expected, rtol=0, atol=1e-5)
        assert (whole(latents) - expected).abs().max() > 1e-2
        tiled.vae.use_slicing = True
        torch.testing.assert_close(tiled(latents), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [8, [64, 64]])
def test_decoder_refuses_tiles_of_no_size(folders, tmp_path, size):
    folder = with_sample_size(folders("sd15"), tmp_path, size)
    decoder(f"{folder}/vae", 8)
    with pytest.raises(ValueError, match=r"sample_size of .*config\.json is .*tiles.*model\.vae_tiling=false"):
        decoder(f"{folder}/vae", 8, tiling=True)


@pytest.mark.parametrize("family", ["flux_dev", "flux2_klein"])
@pytest.mark.parametrize("backend", ["native", "_native_math", "_native_flash"])
def test_attention_backends_agree_with_torchs_own(folders, family, backend):
    plain, other = (FAMILIES[family](folders(family), attention=each) for each in (None, backend))
    layers = [*other.module.transformer.attn_processors.values()]
    assert {each._attention_backend for each in layers} == {AttentionBackendName(backend)}
    x = noise(2, *plain.shape)
    torch.testing.assert_close(guess(other, x).eps, guess(plain, x).eps, rtol=0, atol=1e-5)


def test_attention_backend_of_one_network_leaves_those_of_others_alone(folders, monkeypatch):
    """Of a run before in this process; and what the environment says would decide pixels, and nothing would tell."""
    registry = _AttentionBackendRegistry
    before = registry.get_active_backend()
    FAMILIES["flux_dev"](folders("flux_dev"), attention="_native_math")
    assert registry.get_active_backend() == before
    monkeypatch.setattr(registry, "_active_backend", AttentionBackendName.FLEX)
    model = FAMILIES["flux_dev"](folders("flux_dev"))
    layers = [*model.module.transformer.attn_processors.values()]
    assert {each._attention_backend for each in layers} == {AttentionBackendName.NATIVE}


@pytest.mark.parametrize(
    ("family", "backend", "message"),
    [
        ("flux_dev", "flash_hub", "fetched from the hub as it runs; choose one of .*_native_math"),
        ("flux_dev", "nonsense", "choose one of .*_native_math"),
        ("flux_dev", "_native_cudnn", "does not run here"),
        ("flux2_klein", "sage", "does not run here"),
        ("sd15", "native", "UNet2DConditionModel attends by torch alone"),
        ("pixart_sigma", "native", "PixArtTransformer2DModel attends by torch alone"),
    ],
)
def test_attention_refuses_backends_before_anything_is_sampled(folders, family, backend, message):
    before = _AttentionBackendRegistry.get_active_backend()
    with pytest.raises(ValueError, match=rf"model\.attention is '{backend}'.*{message}.*set model\.attention=null"):
        FAMILIES[family](folders(family), attention=backend)
    assert _AttentionBackendRegistry.get_active_backend() == before


@pytest.mark.parametrize("family", ["sd15", "flux2_klein"])
def test_offload_changes_no_bit_of_a_search(folders, family):
    """Of rows at mixed levels and prompts, decoded in between."""
    found = []
    for offload in (False, True):
        model = FAMILIES[family](folders(family), offload=offload)
        engine = Engine(model, DDIM(steps=3, eta=1.0, spacing="trailing"), {"select": NullRewards()}, seed=0, batch=4)
        problems = [Problem(index, prompt) for index, prompt in enumerate(PROMPTS)]
        results = engine.run(SVDD(), (2 * engine.prices.sampling,), problems)
        found.append({each.problem.index: [outcome.image.tobytes() for outcome in each.outcomes] for each in results})
    assert found[0] == found[1]


def test_places_bring_networks_that_gradients_may_pass():
    """Searches evaluate in inference mode, in which a tensor that is made may never be part of a gradient."""
    network, places = torch.nn.Linear(1, 1), Places("meta")
    with torch.inference_mode():
        places.bring(network)
    assert not network.weight.is_inference()
