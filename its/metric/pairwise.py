"""Mean pairwise distance of images that were asked for alike: a search that hacks its verifier makes them the same."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from its.dataset.image_set import NO_CLASS
from its.metric.features import Features, Float64, Int64
from its.metric.metric import Metric


@dataclass(frozen=True)
class PairwiseDistance(Metric):
    """The mean distance of two images of one prompt, or of one class where there are no prompts.

    A distance is the root mean square of the difference of two images' features; what a prompt's pairs come to is
    averaged over prompts with two images or more.
    """

    reads = "features"
    against = "nothing"
    of_prompts = True

    def shortage(self, labels: np.ndarray, classes: Sequence[int]) -> str:
        if len(labels) and labels.min() == NO_CLASS:
            return "is of images of one prompt or class, and these are asked for neither"
        if np.unique(labels, return_counts=True)[1].max(initial=0) < 2:
            return "needs two images of a prompt, and there is one of each; dataset.images_per_prompt=2 makes two"
        return ""

    def __call__(self, sample: Features, reference: object) -> dict[str, float]:
        distances = distances_within(sample)
        groups = sample.wishes[np.isfinite(distances)]
        means = np.array([distances[sample.wishes == group].mean() for group in np.unique(groups)])
        spread = float(means.std(ddof=1)) if len(means) > 1 else math.inf
        return {"pairwise": float(means.mean()), "pairwise_se": spread / math.sqrt(len(means))}


def distances_within(sample: Features) -> Float64:
    """Return each image's mean distance from the others of its prompt or class, NaN where there is none: `[image]`."""
    wishes: Int64 = sample.wishes
    order = np.argsort(wishes, kind="stable")
    distances = np.full(len(wishes), math.nan)
    for rows in np.split(order, np.flatnonzero(np.diff(wishes[order])) + 1):
        if len(rows) > 1:
            features = sample.features[rows].astype(np.float64)
            apart = [np.sqrt(np.square(features - each).mean(axis=1)).sum() for each in features]
            distances[rows] = np.array(apart) / (len(rows) - 1)
    return distances
