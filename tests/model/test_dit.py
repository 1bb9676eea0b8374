"""DiT's network, checkpoints and pipelines, against values that the original code printed.

GOLDEN and SAMPLED were computed once, outside this repository, by facebookresearch/DiT from the same tensors
(`random_state`, so that nothing is zero); the marks are hashes of the names and shapes of its published networks.
"""

import json
from hashlib import sha256

import pytest
import torch
from diffusers import DDIMScheduler, DiTTransformer2DModel
from diffusers.models.embeddings import get_2d_sincos_pos_embed

from its.model import dit, sit
from its.model.dit_checkpoint import advice, sizes_of
from its.model.dit_names import in_original_names, positions, renamed
from its.model.dit_network import DiT, Sizes
from its.sampler.ddim import DDIM
from its.sampler.noise_paths import linear_vp
from its.twins.dit import write_vae
from its.twins.random_state import random_state
from tests.model.latents import SIZES, columns, files, guess, loaded, sample, state_and_noise, wave

GOLDEN = """
2.595086 -1.130097 -1.434977 -1.499115 -0.501527 -1.589366 0.681681 -1.443723 1.317703 -2.158729 1.261945 1.547612
0.109276 0.220266 2.712217 -0.536172 2.194916 -1.321115
"""
SAMPLED = """
-46.378246 50.115513 -678.149536 418.210419 -276.967712 59.376488 371.034454 -404.437134 18.071175 40.343693 495.888184
-366.727783 204.528854 -90.047272 -536.048889 529.982117
"""
XL = {"patch": 2, "width": 1152, "depth": 28, "heads": 16, "classes": 1000, "channels": 4}
SMALL = Sizes(8, 2, 64, 3, 4, 7, 4, 8)


def numbers(printed: str) -> torch.Tensor:
    return torch.tensor([float(word) for word in printed.split()])


def mark(state) -> str:
    told = "\n".join(f"{name} {list(value.shape)}" for name, value in sorted(state.items()))
    return sha256(told.encode()).hexdigest()[:16]


def on_meta(**sizes) -> dict[str, torch.Tensor]:
    with torch.device("meta"):
        return DiT(Sizes(**sizes)).state_dict()


def test_dit_equals_the_original_network():
    network = DiT(SMALL).eval()
    network.load_state_dict(random_state(network))
    with torch.inference_mode():
        made = network(wave(2, 4, 8, 8), torch.tensor([999.0, 3.0]), torch.tensor([1, 7]))
    torch.testing.assert_close(made[:, ::3, 3, ::3].flatten(), numbers(GOLDEN), rtol=0, atol=1e-5)


def test_dit_sampling_equals_the_original_steps(tmp_path):
    """Ten ancestral steps with the learned variance, guided on three of four channels."""
    x, noise = state_and_noise()
    made = sample(
        loaded(tmp_path, "dit", guidance_scale=1.5), DDIM(steps=10, eta=1.0, spacing="inclusive"), x, [1, 998], noise
    )
    torch.testing.assert_close(made[:, :, 3, ::5].flatten(), numbers(SAMPLED), rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize(
    ("sizes", "printed", "parameters"),
    [
        (XL | {"size": 32, "outputs": 8}, "2262e0bf0c1151e0", 675_129_632),
        (XL | {"size": 64, "outputs": 8}, "67853183aa7c7189", 676_014_368),
        (
            XL | {"size": 32, "outputs": 8, "patch": 4, "width": 768, "depth": 12, "heads": 12},
            "0503ba2baa91c92d",
            130_475_648,
        ),
    ],
    ids=["XL/2 at 256", "XL/2 at 512", "B/4"],
)
def test_dit_has_the_published_names_and_shapes(sizes, printed, parameters):
    state = on_meta(**sizes)
    assert mark(state) == printed
    assert sum(value.numel() for value in state.values()) == parameters
    assert sizes_of(state) == {key: value for key, value in sizes.items() if key != "heads"}


def test_dit_load_tells_the_sizes_of_another_network(tmp_path):
    weights, vae = files(tmp_path, "dit", patch=4, depth=2, classes=10)
    with pytest.raises(
        ValueError,
        match=r"missing \(blocks\.2.*mis-shaped.*tell model\.size=8 model\.patch=4 model\.width=64 model\.depth=2 "
        r"model\.classes=10 \(heads they do not\), from 4 channels of latents to 8",
    ):
        dit.load(weights, vae, **SIZES)
    base = on_meta(**XL | {"size": 32, "outputs": 8, "patch": 4, "width": 768, "depth": 12, "heads": 12})
    told = advice(base, Sizes(**XL, size=32, outputs=8))
    assert "model.patch=4 model.width=768 model.depth=12 model.classes=1000 model.heads=12: it is B/4" in told
    torch.save({"conv.weight": torch.ones(2, 2)}, weights)
    with pytest.raises(
        ValueError, match=r"it has no x_embedder\.proj\.weight.*no checkpoint of DiT, SiT, REPA or LightningDiT"
    ):
        dit.load(weights, vae, **SIZES)


def test_dit_load_refuses_heads_that_no_published_network_of_its_sizes_has(tmp_path):
    small = {"width": 384, "depth": 12, "patch": 8, "classes": 1, "heads": 4}
    weights, vae = files(tmp_path, "dit", **small)
    with pytest.raises(ValueError, match=r"model\.heads is 4, and .*12 blocks of width 384 is S, of 6 heads"):
        dit.load(weights, vae, **SIZES | small)
    with pytest.raises(ValueError, match=r"model\.width is 64; it is a multiple of 4, and of model\.heads=5"):
        dit.load(weights, vae, **SIZES | {"heads": 5})
    with pytest.raises(ValueError, match=r"model\.size is 9; it is a multiple of model\.patch=2"):
        dit.load(weights, vae, **SIZES | {"size": 9})


def test_dit_load_takes_the_average_of_a_training_script(tmp_path):
    weights, vae = files(tmp_path, "dit")
    ema = torch.load(weights)
    model = {name: torch.zeros_like(value) for name, value in ema.items()}
    torch.save({"model": model, "ema": ema, "opt": {"state": {0: {"exp_avg": torch.ones(3)}}}}, weights)
    loading = dit.load(weights, vae, **SIZES).network.state_dict()
    assert all(torch.equal(loading[name], value) for name, value in ema.items())


def test_dit_load_refuses_a_checkpoint_of_sit(tmp_path):
    with pytest.raises(ValueError, match=r"predicts a variance of zeros.*choose model=sit_xl2"):
        dit.load(*files(tmp_path, "sit"), **SIZES)


def test_dit_load_gives_the_published_path_and_guides_three_channels(tmp_path):
    model = loaded(tmp_path, "dit", guidance_scale=4.0)
    assert (model.path, model.variance, model.slots) == (linear_vp(), "learned", 2)
    assert model.clipping.limit is None
    assert model.decoder.shape == (3, 64, 64)
    plain, everywhere = (
        loaded(tmp_path, "dit", guidance_scale=scale, guided_channels=count) for scale, count in ((1.0, 3), (4.0, None))
    )
    x, level = wave(2, 4, 8, 8), model.path.level(500)
    three, cond, four = (guess(each, x, level, [3, 5]) for each in (model, plain, everywhere))
    torch.testing.assert_close(three.eps[:, :3], four.eps[:, :3])
    torch.testing.assert_close(three.eps[:, 3:], cond.eps[:, 3:])
    torch.testing.assert_close(three.share, cond.share)
    assert (three.eps[:, 3:] - four.eps[:, 3:]).norm() > 0.1


def test_dit_rows_do_not_depend_on_the_rest_of_the_batch(tmp_path):
    model = loaded(tmp_path, "dit", guidance_scale=1.5)
    x, other = torch.randn(4, 4, 8, 8), torch.randn(4, 4, 8, 8)
    other[2] = x[0]
    with torch.inference_mode():
        one, two = (
            model(rows, columns(model, *times), [3] * 4)
            for rows, times in ((x, (900, 500, 100, 3)), (other, (1, 70, 900, 999)))
        )
    assert torch.equal(one.eps[0], two.eps[2])


@pytest.fixture
def pipeline(tmp_path):
    """A DiTPipeline of random weights as diffusers saves it, and its transformer."""
    network = DiTTransformer2DModel(
        num_attention_heads=4, attention_head_dim=16, out_channels=8, num_layers=3, sample_size=8, num_embeds_ada_norm=7
    )
    state = random_state(network)
    for name in state:
        if ".norm1.emb." in name:
            state[name] = state[f"transformer_blocks.0.norm1.emb.{name.split('.emb.')[1]}"]
    network.load_state_dict(state)
    folder = tmp_path / "pipeline"
    network.eval().save_pretrained(folder / "transformer", safe_serialization=False)
    DDIMScheduler(clip_sample=False).save_pretrained(folder / "scheduler")
    edited(folder / "scheduler" / "scheduler_config.json", beta_schedule="linear", beta_start=1e-4, beta_end=0.02)
    write_vae(str(folder / "vae"))
    classes = {"scheduler": ["diffusers", "DDIMScheduler"], "transformer": ["diffusers", "Transformer2DModel"]}
    index = {"_class_name": "DiTPipeline", "id2label": {"0": "tench"}, "vae": ["diffusers", "AutoencoderKL"]}
    (folder / "model_index.json").write_text(json.dumps(index | classes))
    return folder, network


def edited(path, **entries) -> None:
    path.write_text(json.dumps((json.loads(path.read_text()) if path.exists() else {}) | entries))


def test_dit_load_gives_a_pipeline_the_numbers_of_the_original(pipeline):
    """diffusers' class does not: only with the original's frequencies of time and epsilon of the second norm."""
    folder, network = pipeline
    model = dit.load(str(folder), str(folder), **SIZES | {"classes": 7})
    x, time, label = wave(2, 4, 8, 8), torch.tensor([999.0, 500.0]), torch.tensor([1, 7])
    with torch.inference_mode():
        made, stock = model.network(x, time.double(), label), network(x, time, label).sample
        for block in network.transformer_blocks:
            block.norm1.emb.time_proj.downscale_freq_shift = 0
            block.norm3.eps = 1e-6
        mended = network(x, time, label).sample
    assert (made - mended).norm() < 5e-6 * mended.norm()
    assert (made - stock).norm() > 0.1 * stock.norm()
    alone = dit.load(str(folder / "transformer"), str(folder / "vae"), **SIZES | {"classes": 7})
    assert torch.equal(alone.network(x, time, label), made)


def test_dit_pipeline_has_the_published_names():
    """The 28 copies of the embedders count once, and queries, keys and values are one tensor."""
    with torch.device("meta"):
        network = DiTTransformer2DModel(out_channels=8)
    names = {renamed(name) for name in network.state_dict()}
    parts = {name for name in names if ".qkv." in name}
    joined = {name.replace(".q.", ".") for name in parts if ".q." in name}
    assert len(parts) == 3 * len(joined)
    assert names - parts | joined | {"pos_embed"} == set(on_meta(**XL, size=32, outputs=8))


@pytest.mark.parametrize(
    ("file", "entries", "refusal"),
    [
        (
            "scheduler/scheduler_config.json",
            {"beta_end": 0.012},
            r"beta_end of .* is 0\.012; DiT was trained with 0\.02",
        ),
        ("scheduler/scheduler_config.json", {"prediction_type": "sample"}, "prediction_type of .*with epsilon"),
        ("transformer/config.json", {"norm_type": "layer_norm"}, r'norm_type of .* here it is "ada_norm_zero"'),
        ("transformer/config.json", {"rope": True}, "rope of .* this entry is not known here"),
        ("transformer/config.json", {"num_layers": 4}, r"depth is 3 and should be 4; set model\.depth=4"),
        ("transformer/config.json", {"num_attention_heads": 8, "attention_head_dim": 8}, r"set model\.heads=8"),
        ("transformer/config.json", {"out_channels": 4}, r"outputs is 8 and should be 4; choose a DiTPipeline"),
        ("model_index.json", {"_class_name": "PixArtAlphaPipeline"}, r"_class_name of .*PixArt.*choose a DiTPipeline"),
        ("vae/config.json", {"latent_channels": 8}, "does not fit AutoencoderKL: .*mis-shaped"),
    ],
)
def test_dit_load_refuses_other_pipelines_by_name(pipeline, file, entries, refusal):
    folder, _ = pipeline
    edited(folder / file, **entries)
    with pytest.raises(ValueError, match=refusal):
        dit.load(str(folder), str(folder), **SIZES | {"classes": 7})


def test_positions_are_the_table_of_diffusers():
    """The original's is the same to the bit (docs/imagenet.md)."""
    table = get_2d_sincos_pos_embed(1152, 16, output_type="pt").float()
    torch.testing.assert_close(positions(16, 1152)[0], table, rtol=0, atol=2e-7)


def test_in_original_names_refuses_blocks_that_embed_differently(pipeline):
    _, network = pipeline
    state = network.state_dict()
    name = "transformer_blocks.2.norm1.emb.class_embedder.embedding_table.weight"
    state[name] = state[name] + 1
    with pytest.raises(ValueError, match=r"transformer_blocks\.2\.norm1\.emb\.class_embedder.* of x is another"):
        in_original_names(state, SMALL, "x")


def test_sit_load_takes_no_pipeline(pipeline):
    folder, _ = pipeline
    with pytest.raises(FileNotFoundError, match="is a folder; name the file in it"):
        sit.load(str(folder), str(folder), direction="up", **SIZES)
