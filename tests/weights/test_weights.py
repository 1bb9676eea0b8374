"""Loaders declare their weights, device and slots by annotations that are read without importing them."""

import ast
import re
from hashlib import sha256
from pathlib import Path

import pytest

from its import weights

ROOT = Path(__file__).parents[2]
LOADER = re.compile(r"_target_: (its\.(?:model|classifier|verifier|metric|dataset|twins)\.\S+)")
TARGETS = sorted({target for path in (ROOT / "conf").rglob("*.yaml") for target in LOADER.findall(path.read_text())})
MARKS = {
    **dict.fromkeys(("weights", "vae", "decoder", "latents_stats", "head", "unet"), "Weights"),
    **dict.fromkeys(("tokenizer", "preprocessor", "med_config", "base", "texts", "questions"), "Weights Settings"),
    "device": "Device",
    "guidance_scale": "GuidanceScale",
    "guidance_interval": "GuidanceInterval",
    "autoguidance": "Weights Autoguidance",
}
"""The marks that a parameter of each name must have; rules go by the marks, and names are only a habit."""

LISTS = {"its.dataset.prompts.Prompts": {"path": "Weights"}}
"""Files that count by their content as weights do, by what reads them; other paths are of folders of images."""


def annotations(target: str) -> dict[str, str]:
    """Return the annotation of each parameter of the function or class that a target names."""
    module, _, name = target.rpartition(".")
    tree = ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text())
    [node] = [node for node in tree.body if getattr(node, "name", None) == name]
    if isinstance(node, ast.ClassDef):
        methods = [part for part in node.body if isinstance(part, ast.FunctionDef) and part.name == "__init__"]
        if not methods:  # a dataclass
            return {p.target.id: ast.unparse(p.annotation) for p in node.body if isinstance(p, ast.AnnAssign)}
        [node] = methods
    arguments = [*node.args.args, *node.args.kwonlyargs]
    return {part.arg: ast.unparse(part.annotation) for part in arguments if part.annotation}


@pytest.mark.parametrize("target", TARGETS)
def test_weights_device_and_slots_are_declared_by_every_loader(target):
    for name, annotation in annotations(target).items():
        marks = set(re.findall(r"\w+", annotation)) & set(" ".join(MARKS.values()).split())
        assert marks == set((MARKS | LISTS.get(target, {})).get(name, "").split()), name


def test_weights_marks_are_plain_types():
    assert (weights.Weights, weights.Device, weights.GuidanceScale) == (str, str, float)


def test_locate_takes_one_file_of_a_repository(monkeypatch, tmp_path):
    asked = []

    def download(name, revision, allow_patterns):
        asked.append((name, revision, allow_patterns))
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    (tmp_path / "deep").mkdir()
    file = tmp_path / "deep" / "sac+logos.pth"
    file.write_bytes(b"weights")
    assert weights.locate("owner/name@v1/deep/sac+logos.pth") == file
    assert weights.fingerprint("owner/name/deep/sac+logos.pth") == sha256(b"weights").hexdigest()
    assert asked == [("owner/name", revision, ["deep/sac+logos.pth"]) for revision in ("v1", None)]
    with pytest.raises(FileNotFoundError, match=r"the hub's owner/name has no file other\.json; choose another"):
        weights.locate("owner/name/other.json")
    with pytest.raises(FileNotFoundError, match="give the path of a file or folder that exists"):
        weights.locate("name/other.pth")
