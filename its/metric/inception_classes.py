"""The ImageNet class of each logit of the Inception network of 2015-12-05.

Its graph numbers the classes by the `ILSVRC2012_ID` of the challenge's development kit, 1 to 1,000: tench, the first by
synset, is 449. Of its 1,008 logits number 0 is of no class, and those from 1,001 on are of nothing.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def logits_of_classes() -> tuple[int, ...]:
    """Return for each of ImageNet's thousand classes, in the order of their synsets, the number of its logit."""
    text = (files("its.metric") / "ilsvrc2012_ids.txt").read_text(encoding="ascii")
    return tuple(map(int, text.split()))
