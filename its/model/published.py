"""Published checkpoints, told apart by the names and shapes of their tensors, and the configuration that takes each."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256

from its.model.wrappers import StateDict

HOMES: Mapping[str, str] = {
    "80b29d6f201a8c8e": "model=openai_cifar10",
    "9ad39a179d3f7a8f": "model=tfg_cifar10",
    "0463057b42c021ed": "model=openai_imagenet64",
    "5282b4d8ae2109d4": "model=openai_imagenet64 model.channels=192 model.classes=1000 model.rescale_time=false",
    "cdbf32c1675c84fb": "model=adm_imagenet64",
    "c56d52445fdb2112": "model=adm_imagenet256 model.size=128 model.multipliers=[1,1,2,3,4] model.heads=4 "
    "model.head_channels=null",
    "e357403fc997eb00": "model=adm_imagenet256",
    "77e18ded5689d791": "model=adm_imagenet256_uncond",
    "ab03f15f765591ce": "model=adm_imagenet512",
    "0b7fc9917ffd8325": "verifier@guide=adm_classifier64",
    "e717337216e06448": "verifier@guide=adm_classifier256 guide.network.size=128 guide.network.multipliers=[1,1,2,3,4]",
    "bc098f973cf9f8b9": "verifier@guide=adm_classifier256",
    "2a24b6c641814825": "verifier@guide=adm_classifier512",
    "fe7609a95512b0ce": "model=edm_cifar10",
    "ba3ee664348926cf": "model=edm_cifar10",
    "a366bf95b8a46a56": "model=edm_cifar10",
    "d5841c5e559aae27": "model=edm_cifar10",
    "a678ef235436739c": "model=edm_imagenet64",
    "2262e0bf0c1151e0": "model=dit_xl2 (if it is DiT) or model=sit_xl2 (if it is SiT)",
    "67853183aa7c7189": "model=dit_xl2 model.size=64",
    "da4690e0b6739066": "model=repa_xl2",
    "02083ba8193a5cbb": "model=repa_xl2",
    "c3f91e9ef4595909": "model=lightningdit",
    "e58fe56721100053": "model=lightningdit",
    "8daa612db238f1ec": "model=rae",
    "b973010593ea2527": "model=rae model.autoguidance=...",
    "9288cdc79af38c19": "model=rae model.decoder=...",
    "bceb61df9288dcaa": "model=rae model.size=32 model.shift=13.856406460551018",
    "2156717de076a458": "model=rae model.size=32 model.shift=13.856406460551018 model.autoguidance=...",
    "caf9c7aa9a77fe85": "model=rae model.size=32 model.shift=13.856406460551018 model.decoder=...",
}
"""Words of a command line by `mark_of` the checkpoints that they take; EDM's as scripts/convert_edm.py writes them."""


def mark_of(state: StateDict) -> str:
    """Return 16 hex digits of the names and shapes of a state dict."""
    lines = "\n".join(f"{name} {list(value.shape)}" for name, value in sorted(state.items()))
    return sha256(lines.encode()).hexdigest()[:16]


def home_of(state: StateDict) -> str | None:
    """Say which configuration takes a published checkpoint; None of one that is not known."""
    words = HOMES.get(mark_of(state))
    return None if words is None else f"its names and shapes are those of the checkpoint that {words} takes"
