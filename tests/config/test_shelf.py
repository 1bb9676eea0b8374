"""Networks are shared by what names them: loader, arguments and the content of weights, and by nothing less."""

import shutil
import weakref
from pathlib import Path

import pytest
from torch import nn

from its.config.instantiate import CHOICES, instantiate, packages_of
from its.config.shelf import Shelf, name_of
from its.weights import locate

DIGITS = {"_target_": "its.classifier.digits.load", "cls_name": "VerifierNet", "weights": "digits/verifier.safetensors"}
NOISY = {"_target_": "its.classifier.digits.load", "cls_name": "NoisyNet", "weights": "digits/noisy.safetensors"}


def classifier(node: dict) -> dict:
    return {"_target_": "its.verifier.classifier.Classifier", "network": node}


def copied(folder: Path, name: str = "verifier.safetensors", *, more: bytes = b"") -> dict:
    folder.mkdir()
    shutil.copy(locate(DIGITS["weights"]), folder / name)
    with (folder / name).open("ab") as file:
        file.write(more)
    return {**DIGITS, "weights": str(folder / name)}


def test_name_of_a_network_goes_by_content_of_weights_and_every_argument(tmp_path):
    there = copied(tmp_path / "there")
    assert name_of(there) == name_of(DIGITS) == name_of(dict(reversed([*DIGITS.items()])))
    others = [
        copied(tmp_path / "other", more=b"\0"),
        copied(tmp_path / "called", "HPS_v2.1.safetensors"),  # by whose name a loader may refuse it
        {**DIGITS, "cls_name": "ReporterNet"},
        {**DIGITS, "device": "cpu"},
        {**DIGITS, "scale": 1},
        {**DIGITS, "scale": 1.0},
        {**DIGITS, "scale": True},
        {**DIGITS, "scale": "1"},
        {**DIGITS, "weights": str(tmp_path / "absent")},
    ]
    assert len({name_of(each) for each in [DIGITS, *others]}) == 1 + len(others)


def test_name_of_a_network_changes_with_its_file(tmp_path):
    node = copied(tmp_path / "there")
    before = name_of(node)
    with Path(node["weights"]).open("ab") as file:
        file.write(b"\0")
    assert name_of(node) != before


def test_shelf_has_each_network_once_under_new_wrappers():
    shelf = Shelf()
    node = {"_target_": "its.verifier.ensemble.Ensemble", "members": {"a": classifier(DIGITS), "b": classifier(DIGITS)}}
    one, two = instantiate(node, CHOICES, shelf)._verifiers
    other = instantiate(classifier(DIGITS), CHOICES, shelf)
    assert one is not two
    assert one.network is two.network is other.network
    assert len(shelf) == 1
    assert instantiate(classifier(DIGITS), CHOICES).network is not other.network, "without a shelf"


def test_shelf_lets_go_of_what_the_next_run_does_not_name():
    shelf = Shelf()
    held = [weakref.ref(instantiate(node, CHOICES, shelf)) for node in (DIGITS, NOISY)]
    shelf.keep([{"verifier": classifier(NOISY)}])
    assert [each() is None for each in held] == [True, False]
    shelf.clear()
    assert held[1]() is None


def test_shelf_keeps_no_network_that_failed_to_load():
    shelf = Shelf()
    with pytest.raises(ValueError, match="NoNet"):
        instantiate({**DIGITS, "cls_name": "NoNet"}, CHOICES, shelf)
    assert len(shelf) == 0


def test_shelf_shares_no_network_of_a_users_own(tmp_path, monkeypatch):
    """Whether it holds anything from one run to the next is not known."""
    source = "from torch import nn\nfrom its import Weights\ndef load(weights: Weights): return nn.Linear(1, 1)\n"
    (tmp_path / "mine_shelf.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    node = {"_target_": "mine_shelf.load", "weights": DIGITS["weights"]}
    shelf = Shelf()
    one, two = (instantiate(node, packages_of(["mine_shelf"]), shelf) for _ in range(2))
    assert isinstance(one, nn.Module)
    assert one is not two
