"""diffusers' cleaning of captions, of PixArt and SANA."""

from __future__ import annotations

from importlib.util import find_spec

CLEANERS = {"bs4": "beautifulsoup4", "ftfy": "ftfy"}
"""Modules, and packages, without which diffusers leaves captions as they are."""


def cleaners(clean_caption: bool) -> tuple[str, ...]:
    """Return the packages that cleaning captions takes, without which diffusers would leave them as they are.

    Raises:
        ValueError: naming those that are not installed.
    """
    missing = [package for name, package in CLEANERS.items() if clean_caption and find_spec(name) is None]
    if missing:
        raise ValueError(
            f"model.clean_caption is true, and {' and '.join(missing)} is not installed, without which diffusers "
            "cleans nothing; in the folder of this code: .venv/bin/python -m pip install -c constraints.txt -e "
            "'.[text2image]', or set model.clean_caption=false, which only puts prompts in lower case"
        )
    return tuple(CLEANERS.values()) if clean_caption else ()
