"""The names that authors import from `its`: each is there, is loaded lazily, and is the one that type checkers see."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import its

TREE = ast.parse(Path(its.__file__).read_text(encoding="utf-8"))


def checked() -> dict[str, str]:
    """The modules that type checkers are told of, by public name."""
    [block] = [node for node in TREE.body if isinstance(node, ast.If)]
    return {
        alias.name: str(node.module)
        for node in block.body
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("its.")
        for alias in node.names
    }


def test_face_is_the_same_for_type_checkers():
    assert checked() == its._MODULES


@pytest.mark.parametrize("name", its.__all__)
def test_face_has_every_name(name: str):
    assert getattr(its, name) is not None


def test_face_lists_its_names_when_one_is_unknown():
    with pytest.raises(AttributeError, match=r"no attribute 'serch'; it has .*Search"):
        its.serch  # noqa: B018


def test_face_loads_nothing_at_import():
    slow = {"torch", "numpy", "hydra", "diffusers", "transformers", "accelerate", "huggingface_hub"}
    code = f"import sys, its; print(sorted({{name.split('.')[0] for name in sys.modules}} & {slow}))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"


@pytest.mark.long
def test_run_of_digits_loads_nothing_of_texts(tmp_path):
    """Neither what takes pipelines apart and scores prompts, nor a pipeline of diffusers."""
    code = (
        "import sys; from pathlib import Path; from tests.build import SMALL, make_experiment; "
        f"make_experiment(Path({str(tmp_path)!r}), *SMALL, 'images=2').run(); "
        "print([name for name in sys.modules if name.startswith(('its.model.pipeline', 'its.model.prompted', "
        "'its.classifier.image_text', 'its.verifier.endpoint', 'diffusers.pipelines.', 'ftfy', 'bs4'))])"
    )
    said = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert said.splitlines()[-1] == "[]"


def test_face_offers_search_without_loading_torch():
    code = "import sys; from its import Search, Rotate, advance, reward, sized; print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "False\n"
