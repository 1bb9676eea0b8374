"""The number of problems of a run, which a list of prompts may say, and the prompt of a command line."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from its.config.instantiate import TARGET, instantiate
from its.config.names import recorded
from its.config.smoke import IMAGES, is_twin
from its.dataset.prompts import find_list, is_here
from its.dataset.published_prompts import PUBLISHED
from its.parameters import check_values

USUAL = 200
"""Images of a run, where neither words nor a list of prompts say how many."""

ONE, LIST = "dataset/prompt", "dataset/prompts"
"""Recorded names of what asks for prompts."""


def settled_images(plain: Mapping[str, Any], packages: Sequence[str], *, smoke: bool) -> int:
    """Return how many images a run makes: as many as its words say, else as many of each prompt as the dataset says.

    Raises:
        ValueError: that number breaks a rule, or the list of prompts cannot be counted.
    """
    dataset, most = plain["dataset"], IMAGES if smoke else math.inf
    rounds = {"images_per_prompt": dataset.get("images_per_prompt")}
    check_values(rounds, {"images_per_prompt": int | None}, "dataset.", {"images_per_prompt": 1})
    if plain["images"] is not None:
        return int(plain["images"])
    if kind_of(dataset) not in (ONE, LIST):
        return int(min(USUAL, most))
    if smoke and kind_of(dataset) == LIST:  # its twin is not made yet
        return IMAGES
    return int(min(_prompts(dataset["images"], packages) * (rounds["images_per_prompt"] or 1), most))


def _prompts(node: Mapping[str, Any], packages: Sequence[str]) -> int:
    """Return how many prompts there are; of a published list that is not here, as many as were published."""
    published = PUBLISHED.get(Path(str(node.get("path"))).name)
    if published is not None and not is_here(node["path"]):
        return published.count
    return len(instantiate(dict(node), packages))


def check_prompt(plain: Mapping[str, Any]) -> None:
    """Refuse a prompt that nothing asks for, and to ask for one that is not given.

    Raises:
        ValueError: saying what to write.
    """
    dataset, prompt = plain["dataset"], plain.get("prompt")
    if prompt is not None and kind_of(dataset) != ONE:
        raise ValueError(
            f"prompt is {prompt!r}, and dataset={dataset.get('name')} does not ask for it; take dataset=prompt"
        )
    if kind_of(dataset) == ONE and dataset["images"].get("prompt") is None:
        raise ValueError("dataset=prompt needs a prompt; write \"prompt='sketch, a cat'\", with both pairs of quotes")


def check_list(dataset: Mapping[str, Any]) -> None:
    """Refuse a list of prompts that is not there, unless it is a twin that will be made.

    Raises:
        FileNotFoundError: the message says where it is to be had.
    """
    if kind_of(dataset) == LIST and not is_twin(path := dataset["images"]["path"]):
        find_list(path)


def kind_of(dataset: Mapping[str, Any]) -> str:
    """Return the recorded name of what a dataset's problems are, `ONE` and `LIST` among others."""
    images = dataset.get("images")
    return recorded(str(images.get(TARGET))) if isinstance(images, Mapping) else ""
