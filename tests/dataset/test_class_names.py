"""Classes by name: ImageNet's as torchvision and timm list them, and everybody's through dataset.classes."""

from pathlib import Path

import pytest
from timm.data import ImageNetInfo
from torchvision.models._meta import _IMAGENET_CATEGORIES

from its.dataset import imagenet as module
from its.dataset.class_names import ClassNames
from its.dataset.imagenet import imagenet
from tests.build import blueprint_of

AMBIGUOUS = {"crane", "maillot", "Cardigan", "cardigan"}


def test_imagenet_knows_every_class_by_its_name_and_its_synset():
    info, names = ImageNetInfo(), ClassNames.of("imagenet")
    assert [names.id_of(synset) for synset in info.label_names()] == list(range(1000))
    known = {name: k for k, name in enumerate(_IMAGENET_CATEGORIES) if name not in AMBIGUOUS}
    assert {name: names.id_of(name) for name in known} == known
    assert len(known) == 996


def test_imagenet_knows_lists_of_synonyms_by_the_first():
    names = ClassNames.of("imagenet")
    assert names.id_of("tench, Tinca tinca") == 0, "as transformers' configurations say it"
    assert names.id_of("goldfish, as somebody else goes on") == 1
    assert names.id_of("Great_White Shark") == 2
    assert names.id_of("maillot, tank suit") == 639, "all synonyms together are of one class"
    with pytest.raises(ValueError, match="'tench, goldfish' names no class"):
        names.id_of("tench, goldfish")
    with pytest.raises(ValueError, match="'Tinca tinca' names no class"):
        names.id_of("Tinca tinca")


@pytest.mark.parametrize(
    ("word", "candidates"),
    [
        ("crane", (r"134 \(crane bird, n02012849\)", r"517 \(crane, n03126707\)")),
        ("maillot", (r"638 \(maillot, n03710637\)", r"639 \(maillot tank suit, n03710721\)")),
        ("cardigan", (r"264 \(Cardigan, n02113186\)", r"474 \(cardigan, n02963159\)")),
        ("crane, whooping", (r"134 \(crane bird, n02012849\)", r"517 \(")),
    ],
)
def test_class_names_refuse_a_word_of_two_classes_with_both(word, candidates):
    with pytest.raises(ValueError, match=" or ".join(candidates)):
        ClassNames.of("imagenet").id_of(word)


def test_class_names_name_the_class_that_may_be_meant():
    with pytest.raises(ValueError, match=r"'goldfsh' names no class; did you mean 1 \(goldfish, n01443537\)\?"):
        ClassNames.of("imagenet").id_of("goldfsh")
    with pytest.raises(ValueError, match="there are cat, dog"):
        ClassNames.of(["cat", "dog"]).id_of("submarine")
    with pytest.raises(ValueError, match="a list of names by class id, or imagenet"):
        ClassNames.of("cifar")


def test_imagenet_says_which_package_lacks_which_file(monkeypatch):
    monkeypatch.setattr(module, "SYNSETS", ("timm", "data/_info/gone.txt"))
    with pytest.raises(ValueError, match=r"timm/data/_info/gone.txt of the installed timm is not there"):
        imagenet.__wrapped__()
    monkeypatch.setattr(module, "SYNSETS", ("no_such_package", "gone.txt"))
    with pytest.raises(ValueError, match="no_such_package is not installed"):
        imagenet.__wrapped__()


def test_imagenet_refuses_lists_in_two_orders(monkeypatch):
    monkeypatch.setattr(module, "_categories", lambda: sorted(_IMAGENET_CATEGORIES))
    with pytest.raises(ValueError, match="their orders differ"):
        imagenet.__wrapped__()


IMAGENET = ("dataset=imagenet64", "model=openai_imagenet64", "verifier=null_rewards")


@pytest.mark.parametrize(
    ("words", "name", "number"),
    [
        (("dataset=cifar10", "verifier=null_rewards"), "ship", "8"),
        ((), "three", "3"),
        ((), "[three,5,nine]", "[3,5,9]"),
        (IMAGENET, "golden retriever", "207"),
        (IMAGENET, "[n02099601,tench]", "[207,0]"),
    ],
)
def test_dataset_classes_takes_names_and_numbers_alike(tmp_path: Path, words, name, number):
    """One class has one folder, whatever it was called by."""
    one, other = (
        blueprint_of(tmp_path, *words, f"dataset.classes={classes}", planning=True) for classes in (name, number)
    )
    assert one.folder == other.folder
    assert one.record == other.record


@pytest.mark.parametrize(
    ("words", "classes", "refusal"),
    [
        (IMAGENET, "crane", r"dataset.classes of dataset imagenet64: 'crane' names 2 classes: 134"),
        ((), "thre", r"did you mean 3 \(three\)\?"),
        (IMAGENET, "1000", "dataset imagenet64 asks for class 1000, and it has 1000, counted from 0"),
        ((), "[3,-1]", "dataset digits asks for class -1, and it has 10, counted from 0"),
        (("dataset=mixture", "model=mixture"), "red", "dataset mixture has no names of classes"),
    ],
)
def test_dataset_classes_refuses_words_in_a_plan(tmp_path: Path, words, classes, refusal):
    with pytest.raises(ValueError, match=refusal):
        blueprint_of(tmp_path, *words, f"dataset.classes={classes}", planning=True)


def test_imagenet_is_read_without_torch():
    import subprocess
    import sys

    code = "import sys; from its.dataset.imagenet import imagenet; imagenet(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
