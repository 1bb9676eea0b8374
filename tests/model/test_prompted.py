"""Rows of prompts at mixed levels, encodings that are made once, and places of networks, in every family."""

import gc
import math
import weakref

import pytest
import torch
from diffusers.models.embeddings import Timesteps
from diffusers.models.transformers.transformer_z_image import TimestepEmbedder

from its.engine import Engine
from its.levels import Columns
from its.model.pipeline import Pipeline
from its.model.prompted import Places
from its.sampler.ddim import DDIM
from its.sampler.sampler import Sampler
from its.search.paths import Paths
from its.search.random import Random
from its.search.search import Search
from its.search.svdd import SVDD
from its.types import Problem
from its.verifier.null_rewards import NullRewards
from its.verifier.verifier import Verifier
from tests.contract.conftest import SEARCHES
from tests.model.pipelines import FAMILIES, PROMPTS, WRITERS, guessed, noise

pytestmark = pytest.mark.usefixtures("text_cache")

NATIVE = {"flux_dev": 0.751, "flux_schnell": 0.751, "flux2_klein": 0.751, "sana_sprint": math.pi / 4}
NATIVE |= dict.fromkeys(("sd35", "qwen_image", "z_image"), 0.751)
"""A native time of families whose times do not go from 999 or 1000 to 0."""

TOLD = {"sana_sprint": {0.5, 0.1 * 4.5}, "z_image": {249.0}}
"""What networks are told of it and of guidance, where that is not a time of 751 and a guidance of 3.5."""

WIDER = ("sd35", "qwen_image", "z_image")
"""Families of which the default tier tries less."""

FAMILIES_ENCODERS = {
    **dict.fromkeys(("sd15", "pixart_sigma", "flux2_klein", "qwen_image", "z_image"), ("text_encoder",)),
    **dict.fromkeys(("sana", "sana_sprint", "lcm", "sd_turbo"), ("text_encoder",)),
    **dict.fromkeys(("sdxl", "flux_dev", "flux_schnell"), ("text_encoder", "text_encoder_2")),
    "sd35": ("text_encoder", "text_encoder_2", "text_encoder_3"),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Each family's twin, written as it is first asked for."""
    root = tmp_path_factory.mktemp("twins")

    def folder(family: str) -> str:
        if not (root / family).exists():
            WRITERS[family](str(root / family))
        return str(root / family)

    return folder


def columns(levels, x):
    return Columns.of(levels, x.ndim, "cpu")


@pytest.mark.parametrize("family", FAMILIES)
def test_prompted_rows_at_mixed_levels_prompts_and_lengths_equal_single_rows(folders, family):
    model = FAMILIES[family](folders(family))
    grid = DDIM(steps=4, spacing="checkpoint").grid(model.path)
    x, levels, prompts = noise(4, *model.shape), [*grid[:3], grid[0]], [*PROMPTS, PROMPTS[0]]
    together = guessed(model, x, levels, prompts)
    for k in range(4):
        alone = guessed(model, x[k : k + 1], levels[k : k + 1], prompts[k : k + 1])
        for row, single in ((together.x0[k], alone.x0[0]), (together.eps[k], alone.eps[0])):
            assert (row - single).abs().max() <= 1e-5 * single.abs().max()
    other = guessed(model, x[:1], levels[:1], [PROMPTS[1]]).x0[0]
    assert (together.x0[0] - other).abs().max() > 1e-2 * other.abs().max()


@pytest.mark.parametrize("family", FAMILIES)
def test_prompted_keeps_state_and_time_in_float32_under_bfloat16(folders, family):
    """The network is told the very time and guidance: 0.75 of 1000 is 750, which bfloat16 would make 752."""
    model = FAMILIES[family](folders(family), dtype="bfloat16")
    embedded = []
    for name, module in model.module.named_modules():
        if isinstance(module, Timesteps | TimestepEmbedder) and "add_time" not in name:
            scale = getattr(module, "scale", 1)
            module.register_forward_hook(lambda _, given, made, scale=scale: embedded.append(given[0] * scale))
    level = model.path.level(NATIVE.get(family, 751.0))
    x = noise(2, *model.shape)
    guess = guessed(model, x, [level] * 2, PROMPTS[:2])
    assert guess.x0.dtype is guess.eps.dtype is torch.float32
    told = torch.cat([given.double() for given in embedded]).unique()
    assert all(any(abs(value - each) < 1e-6 * each for each in TOLD.get(family, {751.0, 3500.0})) for value in told)
    assert embedded


@pytest.mark.parametrize(
    "family", [pytest.param(each, marks=[pytest.mark.long] if each in WIDER[1:] else []) for each in FAMILIES]
)
def test_prompted_encodes_each_prompt_once_and_resumes_without_encoders(folders, monkeypatch, family):
    """A hook on each encoder counts; the encoders are let go; a full cache loads none."""
    calls, encoders = {}, []
    encoding_half = Pipeline._encoding_half

    def watched(pipeline, *where):
        half = encoding_half(pipeline, *where)
        for part in pipeline.family.encoders:
            encoders.append(weakref.ref(getattr(half, part)))
            getattr(half, part).register_forward_hook(lambda *_, part=part: calls.update({part: calls[part] + 1}))
            calls.setdefault(part, 0)
        return half

    monkeypatch.setattr(Pipeline, "_encoding_half", watched)
    model = FAMILIES[family](folders(family))
    model.prepare([*PROMPTS, PROMPTS[0]] * 3)
    negative, loads = 1 if family in ("sd15", "pixart_sigma", "sana", *WIDER) else 0, 2 if family == "sana" else 1
    once = dict.fromkeys(FAMILIES_ENCODERS[family], len(PROMPTS) + negative)
    assert calls == once, "each prompt, and the negative one where it is a text"
    gc.collect()
    assert [each() for each in encoders] == [None] * len(once) * loads, "SANA's negative prompt is encoded by itself"

    again = FAMILIES[family](folders(family))
    again.prepare(PROMPTS)
    x = noise(2, *model.shape)
    guesses = [each(x, columns([model.path.noisiest] * 2, x), PROMPTS[:2]) for each in (model, again)]
    assert torch.equal(guesses[0].eps, guesses[1].eps)
    assert (calls, len(encoders)) == (once, len(once) * loads)


def test_places_bring_networks_by_turns():
    """Of two, the one that is called lies on the device; without turns each is brought once."""
    moves = []

    class Watched(torch.nn.Linear):
        def to(self, place):
            moves.append((self.out_features, str(place)))
            return self

    one, two = Watched(1, 1), Watched(1, 2)
    for by_turns, expected in (
        (False, [(1, "meta"), (2, "meta")]),
        (True, [(1, "meta"), (1, "cpu"), (2, "meta"), (2, "cpu"), (1, "meta")]),
    ):
        places = Places("meta", by_turns=by_turns)
        for each in (one, one, two, one):
            places.bring(each)
        assert moves == expected
        moves.clear()


def test_prompted_options_leave_results_as_they_are(folders):
    """Offload to the bit; slices, and tiles of an image that fits in one, to rounding."""
    plain = FAMILIES["sd15"](folders("sd15"))
    other = FAMILIES["sd15"](folders("sd15"), offload=True, vae_slicing=True, vae_tiling=True)
    x = noise(2, *plain.shape)
    assert torch.equal(*(each(x, columns([each.path.noisiest] * 2, x), PROMPTS[:2]).eps for each in (plain, other)))
    torch.testing.assert_close(plain.decoder(x), other.decoder(x), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("family", "options", "message"),
    [
        ("sd15", {"size": 60}, r"model\.size is 60; .* multiple of 8: set model\.size=64"),
        ("flux_dev", {"size": 72}, r"model\.size is 72; .* multiple of 16: set model\.size=64"),
        (
            "sdxl",
            {"vae_dtype": "float16"},
            "force_upcast of .* is true; so it overflows in float16: set model.vae_dtype",
        ),
        ("sd15", {"dtype": "int8"}, r"model\.dtype is 'int8'"),
        ("sdxl", {"unet": "absent.safetensors"}, "absent.safetensors' are neither"),
    ],
)
def test_prompted_refuses_options_by_name(folders, family, options, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        FAMILIES[family](folders(family), **options)


@pytest.mark.parametrize("condition", [3, None])
def test_prompted_refuses_conditions_that_are_no_prompts(folders, condition):
    model = FAMILIES["sd15"](folders("sd15"))
    with pytest.raises(ValueError, match=f"images of prompts, and the dataset asks for {condition}"):
        model.prepare([condition])


class Brightness(Verifier):
    """A guide that gradients pass."""

    def reward(self, images, conditions):
        return images.flatten(1).mean(1)


def searched(model, search: Search, sampler: Sampler, samplings: int = 2):
    """Search two prompts in batches of one row; compare the ledger with what hooks counted, and return the outcomes."""
    rows = []
    model.module.register_forward_hook(lambda _, given, made: rows.append(len(made)))
    verifiers = {"select": NullRewards()} | (
        {"guide": Brightness()} if search.takes_gradients or search.guidance else {}
    )
    engine = Engine(model, sampler, verifiers, seed=0, batch=model.slots)
    cap = samplings * engine.prices.sampling
    problems = [Problem(index, prompt) for index, prompt in enumerate(PROMPTS[:2])]
    results = list(engine.run(search, (cap,), problems, "nfe"))
    outcomes = [outcome for result in results for outcome in result.outcomes]
    nfe = sum(dict(outcome.ledger)["nfe"] for outcome in outcomes)
    # Batches of three rows, of which a guided one leaves one over; steps are evaluated again on the way back.
    padded = model.slots > 2 or search.takes_gradients == "sampler"
    assert engine.rows_evaluated == nfe <= sum(rows)
    assert padded or sum(rows) == nfe
    return outcomes


@pytest.mark.parametrize(
    ("family", "search"),
    [
        pytest.param(family, search, marks=[pytest.mark.long] if family in WIDER and type(search) is not SVDD else [])
        for family in FAMILIES
        for search in (Random(), Paths(paths=2), SVDD())
    ],
    ids=lambda each: each if isinstance(each, str) else type(each).__name__,
)
def test_every_family_is_searched_over_noise_paths_and_particles(folders, family, search):
    model = FAMILIES[family](folders(family))
    outcomes = searched(model, search, DDIM(steps=3, eta=1.0, spacing="trailing"))
    assert len(outcomes) == 2
    assert not (outcomes[0].image == outcomes[1].image).all()


@pytest.mark.parametrize("search", {name.split("-")[0]: name for name in reversed(SEARCHES)}.values())
def test_one_family_is_searched_by_every_search(folders, search):
    model = FAMILIES["sd15"](folders("sd15"), guidance_scale=1.0)
    assert searched(model, SEARCHES[search], DDIM(steps=8, eta=1.0, spacing="trailing"), 4)


@pytest.mark.long
@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_searched_by_every_search(folders, family, search):
    model = FAMILIES[family](folders(family))
    assert searched(model, SEARCHES[search], DDIM(steps=10, eta=1.0, spacing="trailing"), 6)


def test_prompted_passes_gradients_where_a_batch_has_been_evaluated_without(folders):
    """As a search's batches and a guide's are: the encodings of the first serve the second."""
    model = FAMILIES["sd15"](folders("sd15"))
    x = noise(1, *model.shape)
    levels = columns([model.path.noisiest], x)
    with torch.inference_mode():
        model(x, levels, PROMPTS[:1])
    x.requires_grad_()
    [gradient] = torch.autograd.grad(model(x, levels, PROMPTS[:1]).x0.sum(), x)
    assert gradient.abs().sum() > 0
