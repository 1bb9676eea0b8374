"""Pipelines whose configuration files are as they were published, beside diffusers' reading of the same files."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.model.pipelines import FAMILIES, PROMPTS, WRITERS
from tests.model.published_families import PUBLISHED, publish
from tests.model.references import compare

pytestmark = pytest.mark.usefixtures("text_cache")

LONG = "a Very long request, " * 30
"""More letters than any of the encoders takes."""


USUAL = ("sd15", "flux2_klein", "sana")
"""Families that the default tier tries."""


@pytest.mark.parametrize(
    "family", [pytest.param(each, marks=[] if each in USUAL else [pytest.mark.long]) for each in PUBLISHED]
)
def test_published_files_are_read_as_diffusers_reads_them(family, tmp_path):
    WRITERS[family](str(tmp_path))
    publish(tmp_path, family)
    compare(family, tmp_path, FAMILIES[family](str(tmp_path)), (*PROMPTS[:2], LONG))


@pytest.mark.parametrize("text_encoder", ["text_encoder", "text_encoder_2"])
def test_published_tensors_of_text_encoders_are_read(text_encoder, tmp_path):
    """CLIP's were saved with the numbers of places, and T5's with its embedding under two names."""
    WRITERS["flux_dev"](str(tmp_path))
    file = tmp_path / text_encoder / "model.safetensors"
    state = load_file(file)
    if text_encoder == "text_encoder":
        state["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    else:
        state["encoder.embed_tokens.weight"] = state["shared.weight"].clone()
    save_file(state, file, metadata={"format": "pt"})
    compare("flux_dev", tmp_path, FAMILIES["flux_dev"](str(tmp_path)), PROMPTS[:2])


@pytest.mark.parametrize("family", PUBLISHED)
def test_published_files_with_another_entry_are_refused_by_name(family, tmp_path):
    """In every file of networks, schedulers and pipelines."""
    WRITERS[family](str(tmp_path))
    publish(tmp_path, family)
    for place in PUBLISHED[family]:
        if "tokenizer" in place:
            continue
        path = tmp_path / place
        before = path.read_text()
        path.write_text(json.dumps(json.loads(before) | {"another_entry": 1}))
        with pytest.raises(ValueError, match=f"another_entry of .*{place} is 1"):
            FAMILIES[family](str(tmp_path)).prepare(PROMPTS[:1])
        path.write_text(before)
