"""Classes by names and folders: their numbers, their order, and layouts that do not say them for certain."""

from pathlib import PurePosixPath

import pytest

from its.dataset.class_folders import class_ids
from its.dataset.class_names import ClassNames


def ids(*paths: str) -> list[int]:
    return class_ids([PurePosixPath(path) for path in paths], "photos")[0].tolist()


def test_class_ids_of_numbered_folders_are_their_numbers():
    folders = sorted(map(str, range(11)))
    assert folders[2] == "10", "the alphabet has 10 before 2"
    assert ids(*(f"{name}/a.png" for name in folders)) == [int(name) for name in folders]
    assert ids("007/a.png", "3/a.png") == [7, 3]


def test_class_ids_of_words_are_alphabetical():
    labels, names = class_ids([PurePosixPath(f"{name}/a.png") for name in ("dog", "cat", "dog")], "photos")
    assert (labels.tolist(), names) == ([1, 0, 1], ["cat", "dog"])
    assert ids("n02/x.JPEG", "n01/x.JPEG", "n10/x.JPEG") == [1, 0, 2]


def test_class_ids_of_names_come_before_folders():
    assert ids("train/0_label7.png", "train/1_label10.png") == [7, 10]
    assert ids("a.png", "b.png") == [-1, -1]


def test_class_ids_look_past_one_folder_in_every_class():
    """Tiny ImageNet's layout."""
    assert ids("n01/images/a.JPEG", "n02/images/a.JPEG") == [0, 1]


UNCERTAIN = {
    "numbers among words": (["0/a.png", "10/a.png", "cat/a.png"], "0, 10 are numbers, and cat are not"),
    "two spellings of a number": (["7/a.png", "07/a.png"], "two are the same number"),
    "numbers inside words": (["class2/a.png", "class10/a.png"], "another order by the alphabet"),
    "numbers before words": (["10_cat/a.png", "2_dog/a.png"], "another order by the alphabet"),
    "splits": (["train/a.png", "val/a.png"], "holds train, val, which are parts .* such as photos/train"),
    "one split": (["train/cat/a.png", "train/dog/a.png"], "holds train, .* such as photos/train"),
    "a split in capitals": (["Test/a.png"], "such as photos/Test"),
    "a split among classes": (
        ["cat/a.png", "test/a.png"],
        "holds test, .* such as photos/test, take it out, or set cl",
    ),
    "splits among others": (["train/cat/a.png", "extra/a.png"], "such as photos/train"),
    "a wrapper": (["photos/cat/a.png", "photos/dog/a.png"], "such as photos/photos"),
    "classes at two depths": (["cat/a.png", "dogs/poodle/a.png"], "lies 2 folders deep"),
    "loose images": (["a.png", "cat/b.png"], "a.png lies beside the folders cat"),
    "names that say it beside names that do not": (["a_label1.png", "b.png"], "a_label1.png says its class and b.png"),
    "no class id": (["99999999999999999999/a.png"], "lie below 2"),
}


@pytest.mark.parametrize(("paths", "message"), UNCERTAIN.values(), ids=UNCERTAIN)
def test_class_ids_refuse_what_is_not_certain(paths, message):
    with pytest.raises(ValueError, match=message):
        ids(*paths)


def test_class_ids_take_a_class_that_is_called_train():
    assert ids("bus/a.png", "car/a.png", "train/a.png") == [0, 1, 2]


def test_class_ids_of_folders_called_by_synsets_are_imagenets():
    """Some of the classes, in any order; by the alphabet they would be 0, 1 and 2."""
    paths = [PurePosixPath(f"{name}/a.JPEG") for name in ("n02099601", "n01440764", "crane bird")]
    ids, names = class_ids(paths, "train", ClassNames.of("imagenet"))
    assert ids.tolist() == [207, 0, 134]
    assert names[207] == "n02099601"


@pytest.mark.parametrize(
    ("folders", "refusal"),
    [
        (("n02099601", "n99999999"), "'n99999999' names no class"),
        (("n02099601", "crane"), r"'crane' names 2 classes: 134 .* take the folder crane out"),
        (("tench", "n01440764"), r"n01440764 and tench are both class 0 \(tench, n01440764\)"),
    ],
)
def test_class_ids_refuse_folders_that_are_no_class_or_one_twice(folders, refusal):
    with pytest.raises(ValueError, match=refusal):
        class_ids([PurePosixPath(f"{name}/a.png") for name in folders], "train", ClassNames.of("imagenet"))
