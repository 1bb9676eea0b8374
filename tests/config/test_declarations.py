"""What a loader's source declares is read without importing it."""

import subprocess
import sys
from pathlib import Path

from its.config.declarations import DEVICE, GUIDANCE_SCALE, WEIGHTS, is_declared, marked, parameters
from tests.build import CONF, blueprint_of

CANARY = "raise SystemExit('imported')\n"


def test_marked_reads_type_declarations_and_not_key_names(tmp_path: Path, monkeypatch):
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "__init__.py").write_text(f"{CANARY}from .nets import load as loader\n")
    (tmp_path / "foreign" / "nets.py").write_text(
        f"{CANARY}import its.weights as w\n"
        "def load(checkpoint: w.Weights, weights: list[float], *, at: w.Device = 'cpu',\n"
        "         cfg: w.GuidanceScale = 1.0): ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    for target in ("foreign.nets.load", "foreign.loader"):
        node = {"a": [{"_target_": target, "checkpoint": "x.pt", "weights": [1.0], "at": "cuda", "cfg": 3.0}]}
        assert [*marked(node, WEIGHTS)] == ["x.pt"]
        assert [*marked(node, DEVICE)] == ["cuda"]
        assert [*marked(node, GUIDANCE_SCALE)] == [3.0]
    assert "foreign" not in sys.modules


def test_parameters_of_a_dataclass_are_its_own_and_inherited_fields(tmp_path: Path, monkeypatch):
    (tmp_path / "classes.py").write_text(
        "from dataclasses import dataclass, field\n"
        "from typing import ClassVar\n"
        "@dataclass\n"
        "class Base:\n    kind: ClassVar[str] = 'x'\n    size: int = 2\n"
        "@dataclass(frozen=True)\n"
        "class Own(Base):\n"
        "    names: list = field(default_factory=list)\n    rate: float = -0.5\n    late: int = LATER\n"
        "class Plain:\n    note: str = 'no parameter'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    own = parameters("classes.Own")
    assert list(own) == ["size", "names", "rate", "late"]
    assert {name: entry.default for name, entry in own.items() if entry.has_default} == {"size": 2, "rate": -0.5}
    assert parameters("classes.Plain") == parameters("classes.Absent") == parameters("no.such.module.X") == {}


def test_parameters_are_those_of_the_definition_that_python_would_use(tmp_path: Path, monkeypatch):
    (tmp_path / "heirs.py").write_text(
        "from its import Weights\nfrom bases import Loader as Base\n"
        "def load(path: str): ...\n"
        "def load(path: Weights): ...\n"
        "class Heir(Base):\n    shape = (3, 8, 8)\n"
    )
    (tmp_path / "bases.py").write_text(
        "from its import Weights\nclass Loader:\n    def __init__(self, path: Weights): ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    for target in ("heirs.load", "heirs.Heir"):
        assert [*marked({"_target_": target, "path": "x.pt"}, WEIGHTS)] == ["x.pt"]


def test_is_declared_follows_imports_through_the_face_of_its_and_no_further(tmp_path: Path, monkeypatch):
    (tmp_path / "indirect.py").write_text("from its import Mix\nfrom math import *\nmade = type('made', (), {})\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert is_declared("indirect.Mix")
    assert parameters("indirect.Mix") == parameters("its.particles.moves.Mix") != {}
    for target in ("indirect.sqrt", "indirect.made", "math.sqrt", "no.such.module.X"):
        assert not is_declared(target)


def test_guidance_scale_doubles_the_price_of_a_sampling(tmp_path: Path):
    plain = blueprint_of(tmp_path, "model=digits", "search=none")
    guided = blueprint_of(tmp_path, "model=digits", "search=none", "model.guidance_scale=2")
    assert guided.prices.sampling == 2 * plain.prices.sampling


def test_parameters_are_read_without_loading_torch():
    code = (
        "import sys; from its.config.declarations import parameters; "
        "print(len(parameters('its.model.unet2d.load')), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=CONF.parent, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["12", "False"], done.stderr
