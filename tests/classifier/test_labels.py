"""A checkpoint's labels against the dataset's classes: by synset, by name and place, or by a user's word."""

import json

import pytest
import torch
from timm.data import ImageNetInfo
from torchvision.models._meta import _IMAGENET_CATEGORIES

from its.classifier.hub_classifier import load
from its.classifier.labels import class_order, match_classes
from its.twins import hub_classifier as twin

INFO = ImageNetInfo()
SYNSETS = INFO.label_names()
LEMMAS = [INFO.label_name_to_description(synset, detailed=False) for synset in SYNSETS]
FIRST = [lemma.split(",")[0] for lemma in LEMMAS]
IN_ORDER = list(range(1000))


def order_of(labels):
    return match_classes(labels, "imagenet", "net")


@pytest.mark.parametrize("labels", [SYNSETS, LEMMAS, FIRST, _IMAGENET_CATEGORIES], ids=["synset", "all", "first", "tv"])
def test_match_classes_knows_every_list_of_imagenet_in_order(labels):
    assert order_of(labels) == IN_ORDER
    assert order_of(dict(enumerate(labels))) == IN_ORDER, "as transformers' id2label"
    assert order_of([label.upper().replace(" ", "_") for label in labels]) == IN_ORDER


def test_match_classes_takes_synsets_in_any_order_and_names_in_their_place_alone():
    moved = [*IN_ORDER[500:], *IN_ORDER[:500]]
    assert order_of([SYNSETS[k] for k in moved]) == [moved.index(k) for k in IN_ORDER]
    for names in (LEMMAS, FIRST):
        with pytest.raises(ValueError, match=r"its 0 is .* names several, so that names alone do not tell the order"):
            order_of([names[k] for k in moved])
    cranes = list(FIRST)
    cranes[134], cranes[135] = cranes[135], cranes[134]
    with pytest.raises(ValueError, match="its 134 is 'limpkin' and"):
        order_of(cranes)


@pytest.mark.parametrize(
    ("place", "label", "words"),
    [
        (3, "tiger shark, with something nobody else says", ""),
        (3, "tiger shark, Tinca tinca", "its 3 is 'tiger shark, Tinca tinca', which names none of these, or two"),
        (3, "moon shark", "its 3 is 'moon shark', which names none"),
        (3, "", "its 3 is '', which names none"),
        (4, "tiger shark", "its 4 is 'tiger shark' and 'crane' names several"),
    ],
)
def test_match_classes_refuses_a_contradiction_by_name(place, label, words):
    labels = [label if k == place else name for k, name in enumerate(LEMMAS)]
    if not words:
        assert order_of(labels) == IN_ORDER
        return
    with pytest.raises(ValueError, match=words):
        order_of(labels)


@pytest.mark.parametrize("count", [999, 1001])
def test_match_classes_refuses_other_numbers_of_classes(count):
    labels = ["background", *LEMMAS] if count > 1000 else LEMMAS[:count]
    with pytest.raises(ValueError, match=rf"and {count - 10} more apart, .* goldfish,.*: {count} and 1000 of them"):
        order_of(labels)
    with pytest.raises(ValueError, match="several of its names mean the same class"):
        match_classes(["cat", "dog", "Cat"], ["cat", "dog", "fox"], "net")
    doubled = [SYNSETS[0], *SYNSETS[:-1]]
    with pytest.raises(ValueError, match="several of its names mean the same class"):
        order_of(doubled)


def test_class_order_takes_a_user_s_word_for_imagenet_alone():
    nameless = {k: f"LABEL_{k}" for k in range(1000)}
    for labels in ({}, nameless):
        with pytest.raises(ValueError, match=r"no names of its 1000 classes.*assume_order=imagenet if they have"):
            class_order(labels, 1000, "imagenet", "net")
        assert class_order(labels, 1000, "imagenet", "net", "imagenet") == IN_ORDER
    with pytest.raises(ValueError, match=r"carries no names of its 2 classes.*labels=\[\.\.\.\]$"):
        class_order({}, 2, ["cat", "dog"], "net")
    for outputs, classes, assumed in (
        (1000, ["cat", "dog"], "imagenet"),
        (21843, "imagenet", "imagenet"),
        (1000, "imagenet", "cifar"),
    ):
        with pytest.raises(ValueError, match=r"assume_order is .*; it is imagenet for 1000 classes on an ImageNet"):
            class_order({}, outputs, classes, "net", assumed)
    with pytest.raises(ValueError, match="carries class names, which say its order; assume_order=imagenet is for one"):
        class_order(LEMMAS, 1000, "imagenet", "net", "imagenet")
    with pytest.raises(ValueError, match="tells 1000 classes apart, and there are names of 2"):
        class_order(["cat", "dog"], 1000, "imagenet", "net")


def test_hub_classifier_matches_a_timm_checkpoint_with_imagenet(tmp_path):
    arguments = {"img_size": 32, "embed_dim": 32, "depth": 1, "num_heads": 2}
    weights = str(tmp_path / "net")
    twin.write(weights, architecture="vit_tiny_patch16_224", classes="imagenet", size=32, model_args=arguments)
    path, images = tmp_path / "net" / "config.json", torch.rand(2, 3, 32, 32)
    config, own = json.loads(path.read_text()), load(weights)(images)

    def labelled(own_names, **options):
        path.write_text(json.dumps(config | {"label_names": own_names}))
        return load(weights, classes="imagenet", **options)(images)

    torch.testing.assert_close(labelled(_IMAGENET_CATEGORIES), own)
    torch.testing.assert_close(labelled(SYNSETS[::-1]), own.flip(1))
    torch.testing.assert_close(labelled(None, assume_order="imagenet"), own)
    torch.testing.assert_close(labelled(None, labels=SYNSETS[::-1]), own.flip(1))
    with pytest.raises(ValueError, match="carries no names of its 1000 classes"):
        labelled(None)
