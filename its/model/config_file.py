"""JSON configurations of other libraries, read by an allow-list: an entry or a value that is not on it is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from its.parameters import described, fits

METADATA: Mapping[str, Any] = dict.fromkeys(("_class_name", "_diffusers_version", "_name_or_path"), str)
"""Entries with which diffusers signs its files."""

EMA: Mapping[str, Any] = dict.fromkeys(
    ("decay", "min_decay", "inv_gamma", "power", "optimization_step", "update_after_step", "use_ema_warmup"), Any
)
"""Entries that diffusers' EMAModel adds to a configuration; they are of training."""


@dataclass(frozen=True)
class ConfigFile:
    """A JSON object on disk, and refusals that name its file, key and value.

    Attributes:
        remedy: advice to the user about an entry that is refused.
        absent: advice about an entry that is missing; None is the same.
    """

    path: Path
    entries: Mapping[str, Any]
    remedy: str
    absent: str | None = None

    @classmethod
    def read(cls, path: Path, remedy: str, absent: str | None = None) -> ConfigFile:
        """Read a file.

        Raises:
            ValueError: it is absent, or no JSON object.
        """
        if not path.is_file():
            raise ValueError(f"there is no {path.absolute()}; give a folder that its library saved whole")
        try:
            entries = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path} is not JSON ({error}); fetch it again") from error
        if not isinstance(entries, dict):
            raise ValueError(f"{path} holds no JSON object; fetch it again")
        return cls(path, entries, remedy, absent)

    def require(self, known: Mapping[str, Any]) -> None:
        """Refuse every entry that is not known, or whose value is not.

        Args:
            known: the type annotation of each known entry's values; `Any` admits all, `Literal` those listed.

        Raises:
            ValueError: names the first such entry.
        """
        for key, value in self.entries.items():
            if key not in known:
                raise self.refusal(key, "this entry is not known here, and may decide pixels")
            if not fits(value, known[key]):
                raise self.refusal(key, f"here it is {_words(known[key])}")

    def needed(self, key: str) -> Any:
        """Return an entry that has no default.

        Raises:
            ValueError: it is absent.
        """
        if key not in self.entries:
            raise ValueError(f"{self.path} has no {key}, and it is not guessed; {self.absent or self.remedy}")
        return self.entries[key]

    def get(self, key: str, default: Any) -> Any:
        """Return an entry, or the default that its library documents."""
        return self.entries.get(key, default)

    def refusal(self, key: str, rule: str, remedy: str | None = None) -> ValueError:
        """Return the error that refuses an entry's value."""
        value = json.dumps(self.entries.get(key))
        shown = value if len(value) < 200 else f"{value[:200]}…"
        return ValueError(f"{key} of {self.path} is {shown}; {rule}: {remedy or self.remedy}")


def _words(hint: Any) -> str:
    """Describe an annotated type, and listed values as JSON writes them."""
    if get_origin(hint) is Literal:
        return " or ".join(map(json.dumps, get_args(hint)))
    return described(hint)
