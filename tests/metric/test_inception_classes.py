"""The classes of Inception's logits, against what is known of its graph and of the challenge's development kit."""

from its.dataset.class_names import ClassNames
from its.metric.inception_classes import logits_of_classes

KNOWN = {
    "kit fox": 1,
    "English setter": 2,
    "Siberian husky": 3,
    "giant panda": 169,
    "tench": 449,
    "goldfish": 450,
    "great white shark": 442,
    "dumbbell": 1000,
}
"""Numbers that tutorials of TensorFlow's classify_image print, and the first and last of the development kit."""


def test_logits_of_classes_are_the_challenge_s_own_numbers():
    logits, names = logits_of_classes(), ClassNames.of("imagenet")
    assert sorted(logits) == list(range(1, 1001)), "0 and 1,001 to 1,007 are of no class"
    assert {name: logits[names.id_of(name)] for name in KNOWN} == KNOWN
