"""HPS against open_clip's arithmetic written out, its names one by one, its padding, and its two versions."""

import html
import re
import sys

import ftfy
import pytest
import torch
import torchvision.transforms.functional as T
import transformers
from torch.nn import functional as F

from its.classifier.hps import MEAN, STD, load
from its.classifier.open_clip import renamed
from its.classifier.preparation import picture
from its.pixels import from_uint8
from its.twins.hps import write

SIDE, HEADS = 28, 2
LONG = "a photo of the very same thing, " * 9


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    place = tmp_path_factory.mktemp("hps")
    write(str(place / "HPS_v2.1_compressed.pt"), tokenizer=str(place / "tokenizer"))
    return place / "HPS_v2.1_compressed.pt", place / "tokenizer"


def block(state, x, start, mask):
    """One of open_clip's residual blocks, by torch's own attention."""
    part = {name.removeprefix(start): value for name, value in state.items() if name.startswith(start)}
    y = F.layer_norm(x, x.shape[-1:], part["ln_1.weight"], part["ln_1.bias"])
    attention = torch.nn.MultiheadAttention(x.shape[-1], HEADS, batch_first=True)
    attention.load_state_dict({k.removeprefix("attn."): v for k, v in part.items() if k.startswith("attn.")})
    x = x + attention(y, y, y, need_weights=False, attn_mask=mask)[0]
    y = F.layer_norm(x, x.shape[-1:], part["ln_2.weight"], part["ln_2.bias"])
    y = F.linear(y, part["mlp.c_fc.weight"], part["mlp.c_fc.bias"])
    return x + F.linear(F.gelu(y), part["mlp.c_proj.weight"], part["mlp.c_proj.bias"])


def plain(state, pixels, tokens):
    """open_clip's cosine of one normalised picture `[3, H, W]` and one prompt."""
    x = F.conv2d(pixels[None], state["visual.conv1.weight"], stride=14).flatten(2).mT
    x = torch.cat([state["visual.class_embedding"][None, None], x], dim=1) + state["visual.positional_embedding"]
    x = F.layer_norm(x, x.shape[-1:], state["visual.ln_pre.weight"], state["visual.ln_pre.bias"])
    for number in range(2):
        x = block(state, x, f"visual.transformer.resblocks.{number}.", None)
    seen = F.layer_norm(x[:, 0], x.shape[-1:], state["visual.ln_post.weight"], state["visual.ln_post.bias"])
    seen = (seen @ state["visual.proj"])[0]
    ids = torch.tensor([tokens])
    x = state["token_embedding.weight"][ids] + state["positional_embedding"]
    mask = torch.full((77, 77), -torch.inf).triu_(1)
    for number in range(2):
        x = block(state, x, f"transformer.resblocks.{number}.", mask)
    x = F.layer_norm(x, x.shape[-1:], state["ln_final.weight"], state["ln_final.bias"])
    read = x[0, ids.argmax()] @ state["text_projection"]
    return seen @ read / (seen.norm() * read.norm())


def prepared(pixels):
    """HPSv2's own preparation by torchvision, padding also where its code forgets to."""
    x = T.to_tensor(pixels)
    scale = SIDE / max(x.shape[1:])
    height, width = (round(side * scale) for side in x.shape[1:])
    x = T.resize(x, [height, width], T.InterpolationMode.BICUBIC, antialias=True)
    down, across = SIDE - height, SIDE - width
    x = T.pad(x, [across // 2, down // 2, across - across // 2, down - down // 2], fill=0)
    return T.normalize(x, MEAN, STD)


@pytest.mark.parametrize(
    "shape", [(60, 37), (28, 15), *(pytest.param(s, marks=pytest.mark.long) for s in ((28, 28), (11, 20)))], ids=str
)
@pytest.mark.parametrize("prompt", ["a cat", LONG], ids=["short", "long"])
def test_hps_equals_open_clip_written_out(files, shape, prompt):
    weights, folder = files
    state, pixels = torch.load(weights)["state_dict"], picture(*shape, 3)
    tokens = transformers.CLIPTokenizer.from_pretrained(folder)(prompt)["input_ids"]
    tokens = tokens if len(tokens) <= 77 else [*tokens[:76], tokens[-1]]
    with torch.inference_mode():
        cosine = plain(state, prepared(pixels), tokens + [0] * (77 - len(tokens)))
        network = load(str(weights), "2.1", str(folder), heads=HEADS)
        score = network.scores(from_uint8(torch.from_numpy(pixels[None])), [prompt])
    torch.testing.assert_close(score.item(), cosine.item(), rtol=1e-5, atol=1e-5)


ODD = (
    "schÃ¶n & s\u00e2\u20ac\u2122mores",
    "&amp;amp;lt;b&amp;gt; &nbsp;x",
    "\u201cquotes\u201d, \ufb01ne \uff26\uff35\uff2c\uff2c",
    "tab\tline\nnel\x85 sep\u2028 end  ",
    "\ufeffbom, zero\u200bwidth, e\u0301",
    "\u0391\u03a3 \u0130stanbul STRASSE",
)


@pytest.mark.parametrize("prompt", ODD)
def test_hps_reads_prompts_that_are_broken_as_open_clip_does(files, prompt):
    """Its tokenizer: ftfy, entities twice, white space by a pattern, lower case, and no special token in words."""
    network = load(str(files[0]), "2.1", str(files[1]), heads=HEADS)
    tokenizer = transformers.CLIPTokenizer.from_pretrained(files[1])
    plain_text = html.unescape(html.unescape(ftfy.fix_text(prompt))).strip()
    plain_text = re.sub(r"\s+", " ", plain_text).strip().lower()
    expected = tokenizer(plain_text)["input_ids"]
    assert network._tokens(prompt) == expected
    assert network._tokens("a <|endoftext|> b").count(expected[-1]) == 1


def test_hps_needs_ftfy(files, monkeypatch):
    monkeypatch.setitem(sys.modules, "ftfy", None)
    with pytest.raises(ValueError, match=r"needs ftfy, which is not installed; .* '.\[text2image\]'"):
        load(str(files[0]), "2.1", str(files[1]), heads=HEADS)


def test_hps_is_differentiable(files):
    """Its gradient is the rise of the score along it, of an image that is resized and padded."""
    network = load(str(files[0]), "2.1", str(files[1]), heads=HEADS)
    images = from_uint8(torch.from_numpy(picture(30, 20, 3)[None])).requires_grad_()
    [gradient] = torch.autograd.grad(network.scores(images, ["a cat"]).sum(), images)
    step = 1e-2 * gradient / gradient.norm()
    with torch.inference_mode():
        rise = network.scores(images + step, ["a cat"]) - network.scores(images - step, ["a cat"])
    torch.testing.assert_close(rise.item() / 2e-2, gradient.norm().item(), rtol=0.05, atol=0)
    assert gradient.norm() > 0


def names_of_vit_h_14():
    """Names and shapes of open_clip's ViT-H-14, as its modules declare them."""

    def blocks(start, width, layers):
        for number in range(layers):
            place = f"{start}transformer.resblocks.{number}."
            for norm in ("ln_1", "ln_2"):
                yield from ((f"{place}{norm}.{kind}", (width,)) for kind in ("weight", "bias"))
            yield f"{place}attn.in_proj_weight", (3 * width, width)
            yield f"{place}attn.in_proj_bias", (3 * width,)
            yield f"{place}attn.out_proj.weight", (width, width)
            yield f"{place}attn.out_proj.bias", (width,)
            yield f"{place}mlp.c_fc.weight", (4 * width, width)
            yield f"{place}mlp.c_fc.bias", (4 * width,)
            yield f"{place}mlp.c_proj.weight", (width, 4 * width)
            yield f"{place}mlp.c_proj.bias", (width,)

    yield from {
        "positional_embedding": (77, 1024),
        "text_projection": (1024, 1024),
        "logit_scale": (),
        "visual.class_embedding": (1280,),
        "visual.positional_embedding": (257, 1280),
        "visual.proj": (1280, 1024),
        "visual.conv1.weight": (1280, 3, 14, 14),
        "visual.ln_pre.weight": (1280,),
        "visual.ln_pre.bias": (1280,),
        "visual.ln_post.weight": (1280,),
        "visual.ln_post.bias": (1280,),
        "token_embedding.weight": (49408, 1024),
        "ln_final.weight": (1024,),
        "ln_final.bias": (1024,),
    }.items()
    yield from blocks("visual.", 1280, 32)
    yield from blocks("", 1024, 24)


def test_open_clip_names_of_vit_h_14_are_all_of_transformers(tmp_path):
    with torch.device("meta"):
        state = {name: torch.empty(shape) for name, shape in names_of_vit_h_14()}
        shared = {"num_attention_heads": 16, "hidden_act": "gelu"}
        vision = {"hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32, "patch_size": 14, **shared}
        text = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "vocab_size": 49408, **shared}
        config = transformers.CLIPConfig(vision_config=vision, text_config=text, projection_dim=1024)
        model = transformers.CLIPModel(config)
    assert len(state) == 14 + 12 * (32 + 24)
    assert {k: v.shape for k, v in renamed(state).items()} == {k: v.shape for k, v in model.state_dict().items()}
    assert renamed({"attn_mask": torch.zeros(77, 77)}) == {}


@pytest.mark.parametrize(
    ("name", "version", "sentence"),
    [
        (
            "HPS_v2_compressed.pt",
            "2.1",
            r"is 2.1, and HPS_v2_compressed.pt is named as 2.0: their scores are not compar",
        ),
        ("HPS_v2.1_compressed.pt", "2.0", r"is 2.0, and HPS_v2.1_compressed.pt is named as 2.1"),
        ("HPSv2.pt", "2.1", r"is 2.1, and HPSv2.pt is named as 2.0"),
        ("own.pt", "2", r"version of HPS is '2'; it is '2.0' or '2.1', in quotes"),
    ],
)
def test_hps_versions_are_never_mixed(files, tmp_path, name, version, sentence):
    (tmp_path / name).hardlink_to(files[0])
    with pytest.raises(ValueError, match=sentence):
        load(str(tmp_path / name), version, str(files[1]), heads=HEADS)


def test_hps_refuses_what_is_not_whole(files, tmp_path):
    state = torch.load(files[0])["state_dict"]
    path = tmp_path / "own.pt"
    for lost, sentence in (
        ("visual.proj", "own.pt is no CLIP of open_clip's .'visual_projection.weight' is missing"),
        ("ln_final.bias", r"does not fit CLIPModel: 1 missing \(text_model.final_layer_norm.bias\); fetch it again"),
    ):
        torch.save({"state_dict": {name: value for name, value in state.items() if name != lost}}, path)
        with pytest.raises(ValueError, match=sentence):
            load(str(path), "2.1", str(files[1]), heads=HEADS)
    torch.save({"state_dict": {**state, "visual.head.weight": torch.zeros(2, 2)}}, path)
    with pytest.raises(ValueError, match=r"1 unexpected \(visual.head.weight\)"):
        load(str(path), "2.1", str(files[1]), heads=HEADS)


def test_hps_reads_half_precision_and_refuses_what_is_no_number(files, tmp_path):
    """The published files are compressed so; they are computed with in float32."""
    state = torch.load(files[0])["state_dict"]
    image = from_uint8(torch.from_numpy(picture(SIDE, SIDE, 3)[None]))
    half = {name: value.half() for name, value in state.items()}
    for name, content in (("half.pt", half), ("back.pt", {key: value.float() for key, value in half.items()})):
        torch.save({"state_dict": content}, tmp_path / name)
    scores = [load(str(tmp_path / name), "2.1", str(files[1]), heads=HEADS) for name in ("half.pt", "back.pt")]
    assert scores[0].scores(image, ["a cat"]) == scores[1].scores(image, ["a cat"])
    torch.save({"state_dict": {**state, "ln_final.bias": state["ln_final.bias"] * torch.nan}}, tmp_path / "half.pt")
    with pytest.raises(ValueError, match=r"final_layer_norm.bias of .* holds NaN or infinity"):
        load(str(tmp_path / "half.pt"), "2.1", str(files[1]), heads=HEADS)
    torch.save({"state_dict": {**state, "visual.proj": state["visual.proj"].T}}, tmp_path / "half.pt")
    with pytest.raises(ValueError, match=r"mis-shaped"):
        load(str(tmp_path / "half.pt"), "2.1", str(files[1]), heads=HEADS)
