"""The sentence that stands beside every FID: how images were measured; `its.metric.protocol` makes its entries."""

from collections.abc import Mapping
from typing import Any


def sentence(entries: Mapping[str, Any]) -> str:
    """Return a protocol in a line, without the number of images, which stands beside each number."""
    second = f" · of the second {entries['second_reference']}" if "second_reference" in entries else ""
    wishes = f"prompts {entries['prompts']}" if "prompts" in entries else f"labels {entries['labels']}"
    return (
        f"{wishes} · {entries['resolution']} · features {entries['features']} · reference "
        f"{entries['reference']}{second}"
    )
